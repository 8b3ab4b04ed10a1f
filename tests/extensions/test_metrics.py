"""What Prometheus is told, by one process and by several."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dicomweb_server import hookimpl
from dicomweb_server.config import ConfigError
from dicomweb_server.interfaces.metrics import Metric, Sample
from dicomweb_server.testing.apps import temporary_app
from dicomweb_server.testing.dicom import make_instance, make_study, multipart_body, path_of
from dicomweb_server.testing.server import RunningServer

PATHS = ("/metrics", "/tools/metrics-prometheus")


def samples(text):
    """(name, labels) -> value of every sample of a page."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(name, **labels):
    return name, tuple(sorted(labels.items()))


class Page:
    """The numbers now, and how much they grew; processes of tests count on and on."""

    def __init__(self, flask_client):
        self._client = flask_client
        self.before = self.now()

    def now(self):
        answer = self._client.get("/metrics")
        assert answer.status_code == 200
        return samples(answer.get_data(as_text=True))

    def grown(self, name, **labels):
        return self.now().get(key(name, **labels), 0) - self.before.get(key(name, **labels), 0)


@pytest.fixture
def page(dicomweb_client):
    return Page(dicomweb_client)


@pytest.mark.parametrize("path", PATHS)
def test_the_page_is_in_the_format_that_prometheus_reads(client, path):
    answer = client.flask.get(path)
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    assert answer.headers["Cache-Control"] == "no-store"
    assert key("dicomweb_archive_instances") in samples(answer.get_data(as_text=True))


def test_the_format_can_be_chosen(client):
    answer = client.flask.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert answer.content_type.startswith("application/openmetrics-text")
    assert answer.data.endswith(b"# EOF\n")


def test_the_archive_is_counted(client, page):
    data = make_study(series=2, instances=2)
    client.stored(*data)
    now = page.now()
    assert now[key("dicomweb_archive_patients")] == 1
    assert now[key("dicomweb_archive_studies")] == 1
    assert now[key("dicomweb_archive_series")] == 2
    assert now[key("dicomweb_archive_instances")] == 4
    assert now[key("dicomweb_archive_bytes")] == sum(map(len, data))
    assert now[key("dicomweb_storage_free_bytes", storage="default")] > 0


def test_instances_are_counted_by_what_became_of_them(client, page):
    data = make_instance()
    client.stored(data)
    client.stored(data)
    client.store(make_instance(), make_instance(StudyInstanceUID=None), b"no DICOM")
    received = "dicomweb_instances_received_total"
    assert page.grown(received, outcome="stored") == 2
    assert page.grown(received, outcome="kept") == 1
    assert page.grown(received, outcome="refused") == 2
    assert page.grown("dicomweb_stored_bytes_total") > len(data)


def test_requests_are_counted_by_route_and_never_by_path(client, page):
    data = make_instance(pixels=bytes(5000))
    client.stored(data)
    assert len(client.original(data).data) == len(data)
    client.get("/studies/1.2.3/nonsense").close()
    route = "/dicom-web/studies/<study>/series/<series>/instances/<instance>"
    requests = "dicomweb_http_requests_total"
    assert page.grown(requests, route=route, method="GET", status="200") == 1
    assert page.grown(requests, route="(none)", method="GET", status="404") == 1
    assert page.grown(requests, route="/dicom-web/studies", method="POST", status="200") == 1
    duration = "dicomweb_http_request_duration_seconds_count"
    assert page.grown(duration, route=route, method="GET") == 1
    assert page.grown("dicomweb_http_sent_bytes_total") > len(data)
    assert "1.2.3" not in client.flask.get("/metrics").get_data(as_text=True)


def test_a_method_of_its_own_is_no_label_of_its_own(client, page):
    for number in range(3):
        client.call(f"FANCY{number}", "/studies").close()
    assert "FANCY" not in client.flask.get("/metrics").get_data(as_text=True)
    (grown,) = [
        name
        for name, value in page.now().items()
        if value > page.before.get(name, 0) and ("method", "(other)") in name[1]
        if name[0] == "dicomweb_http_requests_total"
    ]
    assert page.grown(grown[0], **dict(grown[1])) == 3


def test_the_request_that_asks_is_in_flight_and_no_other(client, page):
    client.get("/studies").close()
    client.get("/nothing").close()
    assert page.now()[key("dicomweb_http_requests_in_flight")] == 1


@pytest.mark.dicomweb_config(
    {"AuthenticationEnabled": True, "RegisteredUsers": {"alice": "secret"}}
)
def test_the_numbers_are_for_who_may_administrate(client):
    for path in PATHS:
        assert client.flask.get(path).status_code == 401
        assert client.flask.get(path, auth=("alice", "secret")).status_code == 200


@pytest.mark.dicomweb_config(
    {
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"alice": "secret"},
        "MetricsPublic": True,
    }
)
def test_the_numbers_can_be_for_everybody(client):
    assert client.flask.get("/metrics").status_code == 200
    assert client.get("/studies").status_code == 401


@pytest.mark.dicomweb_config({"MetricsEnabled": False})
def test_the_numbers_can_be_switched_off(client):
    for path in PATHS:
        assert client.flask.get(path).status_code == 404


# --- what extensions add -------------------------------------------------------------------


class Ward:
    """Tells one number, and then fails."""

    def __init__(self, name="ward_beds"):
        self.name = name
        self.broken = False

    @hookimpl
    def collect_metrics(self, context):
        if self.broken:
            raise RuntimeError("no beds")
        studies = context.index.statistics().studies
        return [Metric(self.name, "Beds.", (Sample(studies + 7, {"ward": 'A"\n'}),), "counter")]


def test_extensions_add_theirs(tmp_path):
    ward = Ward()
    with temporary_app(tmp_path, extensions=[("ward", ward)]) as app:
        page = Page(app.test_client())
        assert page.before[key("ward_beds_total", ward='A"\n')] == 7
        ward.broken = True
        now = page.now()
    assert key("ward_beds_total", ward='A"\n') not in now
    assert key("dicomweb_archive_studies") in now


def test_two_metrics_of_one_name_do_not_break_the_page(tmp_path):
    extensions = [("a", Ward("same")), ("b", Ward("same"))]
    with temporary_app(tmp_path, extensions=extensions) as app:
        text = app.test_client().get("/metrics").get_data(as_text=True)
    assert text.count("# TYPE same_total counter") == 1


def test_a_blueprint_of_an_extension_must_be_one_and_say_who_may(tmp_path):
    from flask import Blueprint

    class Offers:
        def __init__(self, *blueprints):
            self.blueprints = list(blueprints)

        @hookimpl
        def register_blueprints(self):
            return self.blueprints

    open_to_all = Blueprint("open", __name__)
    open_to_all.add_url_rule("/open", view_func=lambda: "")
    for offered, words in (("nothing", "offers"), (open_to_all, "permission")):
        refused = pytest.raises(ConfigError, match=words)
        with refused, temporary_app(tmp_path, extensions=[("offers", Offers(offered))]):
            pass


# --- several processes ---------------------------------------------------------------------


@pytest.mark.slow
def test_all_processes_are_counted_whichever_is_asked(tmp_path):
    files = [make_instance() for _ in range(40)]
    with RunningServer(folder=tmp_path, workers=2) as server:
        for data in files:
            body, content_type = multipart_body([data])
            answer = httpx.post(
                f"{server.url}studies", content=body, headers={"Content-Type": content_type}
            )
            assert answer.status_code == 200
        before = server.workers()
        for path in PATHS * 5:
            now = samples(httpx.get(f"{server.origin}{path}").text)
            assert now[key("dicomweb_instances_received_total", outcome="stored")] == 40
            assert now[key("dicomweb_stored_bytes_total")] == sum(map(len, files))
            assert now[key("dicomweb_http_requests_in_flight")] == 1
        # What a process counted stays when it is killed; what it was doing is forgotten.
        with httpx.stream("GET", f"{server.url}{path_of(files[0])}"):
            os.kill(before[0], signal.SIGKILL)
        end = time.monotonic() + 30
        while before[0] in server.workers() or len(server.workers()) < 2:
            assert time.monotonic() < end
            threading.Event().wait(0.05)
        now = samples(httpx.get(f"{server.origin}/metrics").text)
        assert now[key("dicomweb_instances_received_total", outcome="stored")] == 40
        assert now[key("dicomweb_http_requests_in_flight")] == 1


COUNTING = """
import os, sys, time
from dicomweb_metrics_prometheus.folder import use_folder
print(use_folder(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def counting(tmp_path):
    """Starts a process that counts below `tmp_path`; the process and its folder."""
    environment = {name: value for name, value in os.environ.items() if "PROMETHEUS" not in name}
    environment["TMPDIR"] = str(tmp_path)
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", COUNTING],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        started.append(process)
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_folders_of_servers_that_were_killed_are_removed(tmp_path, counting):
    killed, abandoned = counting()
    living, used = counting()
    being_made = tmp_path / "dicomweb-metrics-1-made"
    being_made.mkdir()
    killed.kill()
    killed.communicate()
    assert abandoned.exists()
    last, own = counting()
    assert not abandoned.exists()
    assert all(each.exists() for each in (used, own, being_made))
    for process in (living, last):
        process.communicate("")
        assert process.returncode == 0
    assert not used.exists()
    assert not own.exists()


def test_a_folder_in_use_stays_though_its_files_were_cleaned_away(tmp_path, counting):
    living, used = counting()
    for path in used.iterdir():
        path.unlink()
    os.utime(used, (0, 0))
    counting()
    assert used.exists()
    living.kill()
    living.communicate()
    os.utime(used, (0, 0))
    counting()
    assert not used.exists()
