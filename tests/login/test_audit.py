"""Who did what is written down, also what was refused; and whoever else wants to know is told."""

import json

import pytest

from dicomweb_server import hookimpl
from dicomweb_server.config import ConfigError
from dicomweb_server.interfaces.auth import Action
from dicomweb_server.interfaces.requests import RequestSummary, Result, Touched
from dicomweb_server.testing.apps import context_of, temporary_app
from dicomweb_server.testing.dicom import make_instance, multipart_body
from dicomweb_server.testing.threads import together

CONFIG = {
    "AuthenticationEnabled": True,
    "RegisteredUsers": {"alice": "secret", "reader": "secret"},
    "Authorization": {
        "Type": "rules",
        "Rules": [
            {"Users": ["alice"], "Actions": ["*"], "Methods": ["GET", "DELETE"]},
            {
                "Users": ["alice"],
                "Actions": ["store"],
                "Studies": {"InstitutionName": "North"},
            },
            {"Groups": ["readers"], "Actions": ["search", "read"]},
        ],
        "Groups": {"readers": ["reader"]},
    },
}


def instance(study="1.1", **attributes):
    uids = {
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.1",
        "SOPInstanceUID": f"{study}.1.1",
        "InstitutionName": "North",
        "PatientID": "P7",
    }
    return make_instance(pixels=bytes(64), **uids | attributes)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.log"


@pytest.fixture
def app(tmp_path, path):
    with temporary_app(tmp_path, CONFIG | {"Audit": {"Path": str(path)}}) as app:
        yield app


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def call(app, method, path, user="alice", password="secret", **options):
    return app.test_client().open(path, method=method, auth=(user, password), **options)


def store(app, *files):
    body, content_type = multipart_body(files)
    return call(app, "POST", "/dicom-web/studies", data=body, content_type=content_type)


def test_a_store_names_every_instance(app, path):
    assert store(app, instance(), instance("1.2", InstitutionName="South")).status_code == 202
    (line,) = lines(path)
    assert line.pop("time").endswith("+00:00")
    assert len(line.pop("request_id")) == 32
    assert line == {
        "user": "alice",
        "address": "127.0.0.1",
        "action": "store",
        "method": "POST",
        "route": "/dicom-web/studies",
        "status": 202,
        "outcome": "done",
        "touched": [
            {"study": "1.1", "series": "1.1.1", "instance": "1.1.1.1", "patient_id": "P7"},
            {
                "study": "1.2",
                "series": "1.2.1",
                "instance": "1.2.1.1",
                "patient_id": "P7",
                "failure": "0124H",
            },
        ],
    }


@pytest.mark.parametrize(
    ("below", "touched"),
    [
        ("studies/1.1", {"study": "1.1", "patient_id": "P7"}),
        ("studies/1.1/metadata", {"study": "1.1", "patient_id": "P7"}),
        ("studies/1.1/series/1.1.1", {"study": "1.1", "series": "1.1.1", "patient_id": "P7"}),
        ("studies/1.1/series", {"study": "1.1"}),
        ("studies/9.9", {"study": "9.9"}),
        ("studies/9.9/pixeldata", {"study": "9.9"}),
        ("studies/1.1/pixeldata", {"study": "1.1", "patient_id": "P7"}),
        ("studies/1.1/bulkdata", {"study": "1.1", "patient_id": "P7"}),
        (
            "studies/1.1/series/1.1.1/bulkdata",
            {"study": "1.1", "series": "1.1.1", "patient_id": "P7"},
        ),
        (
            "studies/1.1/series/1.1.1/instances/1.1.1.1/bulk/7fe00010",
            {"study": "1.1", "series": "1.1.1", "instance": "1.1.1.1", "patient_id": "P7"},
        ),
    ],
)
def test_reading_names_what_was_read(app, path, below, touched):
    store(app, instance())
    answer = call(app, "GET", f"/dicom-web/{below}", headers={"X-Request-ID": "abc"})
    line = lines(path)[-1]
    assert line["touched"] == [touched]
    assert line["request_id"] == "abc"
    assert line["status"] == answer.status_code
    assert line["outcome"] == ("done" if answer.status_code == 200 else "failed")


@pytest.mark.parametrize(
    ("user", "written"),
    [
        ("alice", "alice"),
        ("Jörg O'Neil", "Jörg O'Neil"),
        ("bob\r\n{}\t\x1b[2J", "bob\\r\\n{}\\t\\x1b[2J"),
        ("\x85\u2028\u202e", "\\x85\\u2028\\u202e"),
        ("x" * 5000, "x" * 200),
        ("\0" * 300, "\\x00" * 50),
    ],
)
def test_a_failed_login_has_the_name_that_was_tried(app, path, user, written):
    assert call(app, "GET", "/dicom-web/studies", user, "wrong:pass").status_code == 401
    (line,) = lines(path)
    assert (line["tried"], "user" in line, line["status"]) == (written, False, 401)
    text = path.read_text(encoding="utf-8")
    assert "pass" not in text
    assert text.count("\n") == len(text.splitlines()) == 1


def test_who_tries_too_often_is_named_too(app, path):
    for _ in range(12):
        answer = call(app, "GET", "/dicom-web/studies", "alice", "wrong")
    assert "Retry-After" in answer.headers
    assert {line["tried"] for line in lines(path)} == {"alice"}


def test_who_logs_in_tried_nothing(app, path):
    call(app, "GET", "/dicom-web/studies")
    assert "tried" not in lines(path)[0]


def test_what_is_refused_is_written_too(app, path):
    assert call(app, "GET", "/dicom-web/studies/1.1", "alice", "wrong").status_code == 401
    assert call(app, "DELETE", "/dicom-web/studies/1.1", "reader").status_code == 403
    assert app.test_client().get("/dicom-web/studies?PatientID=P7").status_code == 401
    assert (
        call(
            app, "GET", "/dicom-web/studies", environ_overrides={"REMOTE_ADDR": "192.0.2.9"}
        ).status_code
        == 403
    )
    first, second, third, fourth = lines(path)
    assert (first["outcome"], first["status"], "user" in first) == ("refused", 401, False)
    assert first["touched"] == [{"study": "1.1"}]
    assert (second["outcome"], second["user"], second["action"]) == ("refused", "reader", "delete")
    assert (third["outcome"], third["action"]) == ("refused", "search")
    assert (fourth["outcome"], fourth["address"]) == ("refused", "192.0.2.9")
    text = path.read_text()
    assert "wrong" not in text
    assert "P7" not in text  # query strings are in no log


def test_probes_are_not_written(app, path):
    app.test_client().get("/health/live")
    call(app, "GET", "/nothing")
    (line,) = lines(path)
    assert line["path"] == "/nothing"


def test_a_renamed_file_is_followed_by_a_new_one(app, path):
    call(app, "GET", "/dicom-web/studies")
    old = path.rename(path.with_suffix(".1"))
    call(app, "GET", "/dicom-web/series")
    assert [line["route"] for line in lines(old)] == ["/dicom-web/studies"]
    assert [line["route"] for line in lines(path)] == ["/dicom-web/series"]


def test_lines_of_many_threads_stay_whole(app, path):
    files = [instance(f"1.{n}") for n in range(100, 160)]
    store(app, *files)
    together(lambda n: call(app, "GET", f"/dicom-web/studies/{'1' * 60}.{n}"), range(16))
    found = lines(path)
    assert len(found) == 17
    assert len(found[0]["touched"]) == 60


def test_links_are_named(tmp_path, path):
    config = CONFIG | {"Audit": {"Path": str(path)}}
    config["Authentication"] = {"Order": ["link", "basic"]}
    with temporary_app(tmp_path, config) as app:
        store(app, instance())
        made = (
            app.test_client()
            .post("/links", json={"Study": "1.1", "Expires": 60}, auth=("reader", "secret"))
            .json
        )
        app.test_client().get(f"/dicom-web/studies/1.1?link={made['Token']}")
    _, making, using = lines(path)
    assert making["touched"] == [{"study": "1.1"}]
    assert using["user"] == f"reader/link:{made['ID']}"
    assert made["Token"] not in path.read_text()


@pytest.mark.parametrize(
    ("audit", "words"),
    [
        ({"Path": "/nowhere/audit.log"}, "Audit.Path: /nowhere/audit.log cannot be written"),
        ({"Path": "/"}, "cannot be written"),
        ({"Path": ""}, "Audit must be an object such as"),
        ({"File": "x"}, "Audit must be an object such as"),
        ("x", "must be an object"),
    ],
    ids=str,
)
def test_a_file_that_cannot_be_stops_the_start(tmp_path, audit, words):
    with pytest.raises(ConfigError, match=words), temporary_app(tmp_path, {"Audit": audit}):
        pass


# --- whoever else wants to know ------------------------------------------------------------


class Listener:
    def __init__(self):
        self.heard = []

    @hookimpl
    def request_finished(self, summary):
        self.heard.append(summary)


class Broken:
    @hookimpl
    def request_finished(self):
        raise ZeroDivisionError("never mind")


def test_extensions_are_told_and_hurt_nobody(tmp_path, caplog):
    listeners = [Listener(), Listener()]
    extensions = [("one", listeners[0]), ("broken", Broken()), ("two", listeners[1])]
    with temporary_app(tmp_path, extensions=extensions) as app:
        client = app.test_client()
        assert (
            client.post(
                "/dicom-web/studies", data=instance(), content_type="application/dicom"
            ).status_code
            == 200
        )
        assert client.get("/health/live").status_code == 200
        assert client.get("/nothing").status_code == 404
    assert listeners[0].heard == listeners[1].heard
    stored, probe, nothing = listeners[0].heard
    assert isinstance(stored, RequestSummary)
    assert stored.touched == (Touched("1.1", "1.1.1", "1.1.1.1", "P7"),)
    assert (stored.action, stored.result) == (Action.STORE, Result.DONE)
    assert stored.seconds >= 0
    assert (probe.action, probe.touched) == (Action.PUBLIC, ())
    assert (nothing.action, nothing.route, nothing.result) == (None, "", Result.FAILED)
    assert "extension broken: request_finished failed" in caplog.text
    assert "never mind" in caplog.text


def test_without_listeners_nothing_is_summed_up(tmp_path):
    with temporary_app(tmp_path) as app:
        assert context_of(app).extensions.listeners("request_finished") == []


def test_a_misspelt_hook_is_told(tmp_path):
    class Misspelt:
        @hookimpl
        def request_finish(self, summary):
            pass

    with (
        pytest.raises(ConfigError, match="did you mean request_finished"),
        temporary_app(tmp_path, extensions=[("x", Misspelt())]),
    ):
        pass
