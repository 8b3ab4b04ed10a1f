"""Real servers on a real PostgreSQL: restarts of it under load, and two nodes on one archive."""

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from dicomweb_server.testing.dicom import (
    make_instance,
    make_study,
    multipart_body,
    path_of,
    read,
    uids_of,
    write_dataset,
)
from dicomweb_server.testing.postgresql import PASSWORD
from dicomweb_server.testing.server import RunningServer
from tests.commands import command

RAW = {"Accept": "application/dicom; transfer-syntax=*"}


def get(url, **options):
    """An answer over a connection of its own, so that any worker may give it.

    Without a list of authorities: to read that takes longer than to get an answer.
    """
    return httpx.get(url, verify=False, **options)


def store(client, server, *files):
    """The status of a store request; 0 if there was no answer."""
    body, content_type = multipart_body(files)
    try:
        headers = {"Content-Type": content_type}
        return client.post(f"{server.url}studies", content=body, headers=headers).status_code
    except httpx.TransportError:
        return 0


@pytest.fixture
def server(tmp_path, database_url):
    with RunningServer({"Index": {"Url": database_url}}, folder=tmp_path) as running:
        yield running


def test_the_commands_work(server):
    files = make_study(series=1, instances=3)
    with httpx.Client() as client:
        assert store(client, server, *files) == 200
    assert "up to date" in command(server, "migrate").stdout
    assert json.loads(command(server, "stats").stdout)["instances"] == 3
    assert "3 instances are indexed" in command(server, "reindex").stdout
    done = command(server, "check", "--digests")
    assert done.exit_code == 0, done.stdout
    answer = httpx.get(f"{server.url}{path_of(files[0])}", headers=RAW)
    assert answer.content == files[0]


def test_the_password_is_shown_nowhere(server):
    shown = command(server, "config", "show")
    assert "postgresql://archive:***@127.0.0.1" in shown.stdout
    server.stop()
    config = json.loads(server.config_path.read_text())
    url = config["Index"]["Url"]
    for broken in (url.replace("127.0.0.1", "127.0.0.1:1/x?host=127.0.0.1&port=1#"), url + "x"):
        config["Index"]["Url"] = broken
        server.config_path.write_text(json.dumps(config))
        for line in (["check"], ["migrate"], ["move-index", "--to", url]):
            done = command(server, *line)
            assert done.exit_code != 0
            assert PASSWORD not in done.stdout + done.stderr
            assert "Traceback" not in done.stderr
        served = server.command("serve")
        assert served.returncode != 0
        assert PASSWORD not in served.stdout + served.stderr
        assert "Traceback" not in served.stderr
    assert PASSWORD not in shown.stdout + server.log


def test_ready_names_a_stopped_database(tmp_path, postgresql_alone):
    url = postgresql_alone.url(postgresql_alone.create_database())
    with RunningServer({"Index": {"Url": url}}, folder=tmp_path) as server:
        postgresql_alone.stop()
        answer = httpx.get(f"{server.origin}/health/ready")
        assert answer.status_code == 503
        problems = answer.json()["problems"]
        assert set(problems) == {"index", "state store"}
        assert "127.0.0.1" in problems["index"]
        assert PASSWORD not in answer.text
        with httpx.Client() as client:
            assert store(client, server, make_instance()) == 503
            blobs = (tmp_path / "data" / "instances").glob("??/??/*")
            assert list(blobs) == [], "what was certainly refused leaves no file"
            found = client.get(f"{server.url}studies")
            assert found.status_code == 503
            assert "Retry-After" in found.headers
        postgresql_alone.start()
        assert httpx.get(f"{server.origin}/health/ready").status_code == 200
        with httpx.Client() as client:
            assert store(client, server, make_instance()) == 200
        assert PASSWORD not in server.log


class Load:
    """Threads that store until they are told to end."""

    def __init__(self, server):
        self._server = server
        self.promised, self.sent = [], []
        self.end = threading.Event()
        self._stored = threading.Semaphore(0)
        self._lock = threading.Lock()

    def run(self, number):
        with httpx.Client(timeout=60) as client:
            while not self.end.is_set():
                files = make_study(
                    series=1, instances=random.choice([1, 3, 8]), PatientID=f"P{number}"
                )
                with self._lock:
                    self.sent += files
                if store(client, self._server, *files) == 200:
                    with self._lock:
                        self.promised += files
                    self._stored.release()

    def wait(self):
        """Until some more were stored."""
        for _ in range(6):
            assert self._stored.acquire(timeout=60), self._server.log


@pytest.mark.slow
def test_restarting_the_database_under_load_loses_and_doubles_nothing(tmp_path, postgresql_alone):
    url = postgresql_alone.url(postgresql_alone.create_database())
    with RunningServer({"Index": {"Url": url}}, folder=tmp_path) as server:
        load = Load(server)
        with ThreadPoolExecutor(4) as pool:
            running = [pool.submit(load.run, number) for number in range(4)]
            try:
                for turn in range(6):
                    load.wait()
                    # The moment is random on purpose: within a read, a write, a commit.
                    threading.Event().wait(random.uniform(0, 0.2))
                    postgresql_alone.restart(at_once=turn % 2 == 0)
                load.wait()
            finally:
                load.end.set()
            for each in running:
                each.result(120)
        with httpx.Client(timeout=60) as client:
            for data in load.promised:
                answer = client.get(f"{server.url}{path_of(data)}", headers=RAW)
                assert answer.status_code == 200, "an instance that was answered 200 is lost"
                assert answer.content == data
            found = client.get(f"{server.url}instances?limit=100000").json()
        uids = [match["00080018"]["Value"][0] for match in found]
        assert len(uids) == len(set(uids))
        assert set(uids) <= {path_of(data).rpartition("/")[2] for data in load.sent}
        done = command(server, "check")
        assert done.exit_code == 0, done.stdout
        assert "0 with missing or wrong files, 0 contradictions" in done.stdout
        assert "Traceback" not in server.log
        assert len(load.promised) > 40


# --- two nodes -----------------------------------------------------------------------------


@pytest.fixture
def nodes(tmp_path, database_url):
    """Two servers of their own configuration on one database and one storage folder."""
    storage = {"default": {"Path": str(tmp_path / "shared")}}
    config = {
        "Index": {"Url": database_url},
        "Storages": storage,
        "OverwriteInstances": "Always",
    }
    with ExitStack() as stack:
        yield [
            stack.enter_context(RunningServer(config, folder=tmp_path / name))
            for name in ("one", "other")
        ]


def test_two_nodes_agree_at_once(nodes):
    files = make_study(series=1, instances=3, Rows=1)
    study, series, _ = uids_of(files[0])
    levels = (f"studies/{study}", f"studies/{study}/series/{series}")

    def seen(level):
        """The rows of each instance and the counts of studies, which both nodes must agree about."""
        answers = set()
        for node in nodes * 4:
            answer = get(f"{node.url}{level}/metadata")
            rows = ()
            if answer.status_code == 200:
                rows = tuple(a["00280010"]["Value"][0] for a in answer.json())
            answers.add((answer.status_code, rows))
        counts = {
            tuple(m["00201208"]["Value"][0] for m in get(f"{node.url}studies").json())
            for node in nodes * 4
        }
        (answer,), (count,) = answers, counts
        return answer[1], count

    with httpx.Client() as client:
        for turn in (0, 1):
            one, other = nodes[turn], nodes[1 - turn]
            assert store(client, one, *files[:2]) == 200
            assert [seen(level) for level in levels] == [((1, 1), (2,))] * 2
            assert store(client, other, files[2]) == 200
            assert [seen(level) for level in levels] == [((1, 1, 1), (3,))] * 2
            changed = read(files[1])
            changed.Rows = 7
            assert store(client, one, write_dataset(changed)) == 200
            assert [seen(level) for level in levels] == [((1, 7, 1), (3,))] * 2
            assert client.delete(f"{other.url}{path_of(files[0])}").status_code == 204
            assert [seen(level) for level in levels] == [((7, 1), (2,))] * 2
            assert client.delete(f"{one.url}studies/{study}").status_code == 204
            assert [seen(level) for level in levels] == [((), ())] * 2
    for node in nodes:
        assert command(node, "check").exit_code == 0


def test_two_nodes_store_the_same_files_at_once(nodes):
    files = make_study(series=2, instances=20, PatientID="P")

    def work(number):
        random.Random(number).shuffle(mine := list(files))
        with httpx.Client(timeout=60) as client:
            return [store(client, nodes[number % 2], *mine[at : at + 8]) for at in range(0, 40, 8)]

    with ThreadPoolExecutor(6) as pool:
        statuses = [status for each in pool.map(work, range(6)) for status in each]
    assert set(statuses) == {200}
    for node in nodes:
        (study,) = get(f"{node.url}studies").json()
        assert study["00201208"]["Value"] == [40]
        for data in files:
            assert get(f"{node.url}{path_of(data)}", headers=RAW).content == data
    done = command(nodes[0], "check", "--digests")
    assert done.exit_code == 0, done.stdout
    assert done.stdout.startswith("40 instances, 0 with missing or wrong files")
