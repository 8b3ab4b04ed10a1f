"""Who asks the same again gets the same answer, made anew as soon as anything has changed."""

import json
import logging
from pathlib import Path

import pytest
from flask import Response

from dicomweb_server import hookimpl
from dicomweb_server.http.access import requires
from dicomweb_server.http.repeatable import Recording
from dicomweb_server.interfaces.auth import Action, Authenticator, Identity
from dicomweb_server.testing.apps import context_of, temporary_app
from dicomweb_server.testing.dicom import make_instance, multipart_body
from dicomweb_server.web.logs import JsonFormatter
from dicomweb_server.web.repeated import install_repeated

STUDY = "/dicom-web/studies/1.1"
ONE = f"{STUDY}/series/1.1.1/instances/1.1.1.1"
MULTIPART = 'multipart/related; type="application/dicom"; transfer-syntax=*'
OCTETS = 'multipart/related; type="application/octet-stream"'
PLACES = [
    ("/dicom-web/studies?PatientID=P", {}),
    ("/dicom-web/patients", {}),
    ("/dicom-web/instances?includefield=all", {"Accept": "application/dicom+xml"}),
    ("/dicom-web/instances?limit=1", {}),
    (f"{STUDY}/metadata", {}),
    (f"{STUDY}/metadata", {"Accept-Encoding": "gzip"}),
    (f"{STUDY}/series/1.1.1/metadata", {"Accept": 'multipart/related; type="application/dicom+xml"'}),
    (f"{ONE}/metadata", {}),
    (ONE, {"Accept": MULTIPART}),
    (ONE, {"Accept": "application/dicom; transfer-syntax=*"}),
    (ONE, {"Accept": "application/dicom; transfer-syntax=*", "Range": "bytes=10-19"}),
    (STUDY, {"Accept": MULTIPART}),
    (f"{ONE}/frames/1", {"Accept": OCTETS}),
    (f"{ONE}/frames/1", {"Accept": "application/octet-stream"}),
    (f"{ONE}/bulkdata", {}),
    (f"{ONE}/pixeldata", {}),
    (f"{ONE}/bulk/7fe00010", {"Range": "bytes=100-"}),
    (f"{ONE}/rendered", {"Accept": "image/png"}),
    (f"{STUDY}/thumbnail", {}),
    ("/wado?requestType=WADO&objectUID=1.1.1.1", {}),
    ("/wado?requestType=WADO&objectUID=1.1.1.1&contentType=application/dicom&anonymize=yes", {}),
]  # fmt: skip
OF_EACH = {"X-Request-ID", "Date"}


def file(number=1, **attributes):
    return make_instance(
        pixels=bytes(range(256)) * 256,
        Rows=256,
        Columns=256,
        PatientID="P",
        StudyInstanceUID="1.1",
        SeriesInstanceUID="1.1.1",
        SOPInstanceUID=f"1.1.1.{number}",
        **attributes,
    )


def store(client, *files, **login):
    body, content_type = multipart_body(list(files))
    answer = client.post("/dicom-web/studies", data=body, content_type=content_type, **login)
    assert answer.status_code == 200


@pytest.fixture
def calls(dicomweb_app):
    """The endpoints whose views were called."""
    noted = []
    for endpoint, view in dicomweb_app.view_functions.items():

        def called(*args, _view=view, _endpoint=endpoint, **kwargs):
            noted.append(_endpoint)
            return _view(*args, **kwargs)

        called.__dict__ = view.__dict__
        dicomweb_app.view_functions[endpoint] = called
    return noted


@pytest.fixture
def archive(dicomweb_client, calls):
    store(dicomweb_client, file())
    calls.clear()
    return dicomweb_client


def told(answer):
    headers = [(name, value) for name, value in answer.headers if name not in OF_EACH]
    return answer.status_code, sorted(headers), answer.data


def parts(answer):
    """What is told, without the boundary, which is another one each time it is made."""
    status, headers, body = told(answer)
    boundary = answer.mimetype_params.get("boundary", "no boundary")
    without = [(name, value.replace(boundary, "")) for name, value in headers]
    return status, without, body.replace(boundary.encode(), b"")


@pytest.mark.parametrize(("path", "headers"), PLACES)
def test_the_second_answer_is_the_first_one(archive, calls, path, headers):
    if "anonymize" in path:  # the first one of all makes the key of its pseudonyms
        archive.get(path, headers=headers, buffered=True)
        calls.clear()
    first, second, third = (archive.get(path, headers=headers, buffered=True) for _ in range(3))
    assert first.status_code in (200, 206), first.data
    assert told(first) == told(second) == told(third)
    assert len(calls) == 1
    store(archive, make_instance(StudyInstanceUID="9.9"))
    archive.delete("/dicom-web/studies/9.9")
    assert parts(archive.get(path, headers=headers, buffered=True)) == parts(first)
    assert len(calls) == 4


def test_not_modified_is_an_answer_too(archive, calls):
    tag = archive.get(f"{STUDY}/metadata").headers["ETag"]
    answers = [archive.get(f"{STUDY}/metadata", headers={"If-None-Match": tag}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [304] * 3
    assert told(answers[0]) == told(answers[1]) == told(answers[2])
    assert len(calls) == 2


# --- what has changed ----------------------------------------------------------------------


def ask(client, path=f"{STUDY}/metadata"):
    answer = client.get(path)
    return answer.status_code, len(answer.get_json())


def test_what_is_stored_is_there_at_once(archive):
    for number in range(2, 7):
        assert [ask(archive) for _ in range(3)] == [(200, number - 1)] * 3
        store(archive, file(number))


def test_what_is_deleted_is_gone_at_once(archive):
    assert [ask(archive) for _ in range(3)] == [(200, 1)] * 3
    assert archive.delete(STUDY).status_code == 204
    assert archive.get(f"{STUDY}/metadata").status_code == 404
    assert archive.get("/dicom-web/studies").get_json() == []


def test_what_another_process_stores_is_there_at_once(archive, tmp_path):
    assert [ask(archive) for _ in range(3)] == [(200, 1)] * 3
    with temporary_app(tmp_path) as other:
        store(other.test_client(), file(2))
        assert ask(archive) == (200, 2)
        assert [ask(archive) for _ in range(3)] == [(200, 2)] * 3
        other.test_client().delete(STUDY)
        assert archive.get(f"{STUDY}/metadata").status_code == 404


def test_an_answer_that_was_overtaken_is_not_kept(archive, monkeypatch, dicomweb_app):
    """What was committed while it was made is not in it."""
    service = context_of(dicomweb_app).services.search
    search = type(service).search

    def overtaken(*args):
        page = search(*args)
        store(archive, file(2))
        return page

    monkeypatch.setattr(type(service), "search", overtaken)
    assert ask(archive, "/dicom-web/instances") == (200, 1)
    monkeypatch.undo()
    assert ask(archive, "/dicom-web/instances") == (200, 2)


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"short")])
@pytest.mark.parametrize("accept", [MULTIPART, "application/dicom; transfer-syntax=*"])
def test_a_file_that_is_not_as_it_was_is_found_out(archive, dicomweb_app, tmp_path, spoil, accept):
    asked = {"path": ONE, "headers": {"Accept": accept}, "buffered": True}
    assert [archive.get(**asked).status_code for _ in range(3)] == [200] * 3
    [blob] = context_of(dicomweb_app).index.blobs()
    [path] = tmp_path.rglob(f"*{blob.ref.key.rpartition('/')[2]}*")
    spoil(path)
    answer = archive.get(**asked)
    assert answer.status_code == 503
    assert answer.get_json()["Details"]


def test_an_index_that_is_gone_is_told_of(archive, dicomweb_app, tmp_path):
    assert [ask(archive) for _ in range(3)] == [(200, 1)] * 3
    [database] = tmp_path.rglob("*.sqlite")
    database.rename(database.with_name("elsewhere"))
    assert archive.get(f"{STUDY}/metadata").status_code == 503
    database.with_name("elsewhere").rename(database)
    assert ask(archive) == (200, 1)


# --- who asks ------------------------------------------------------------------------------

LOGIN = {"AuthenticationEnabled": True, "RegisteredUsers": {"alice": "secret", "bob": "other"}}
RULES = {
    "Type": "rules",
    "Rules": [
        {"Users": ["alice"], "Actions": ["*"]},
        {"Users": ["bob"], "Actions": ["search"], "Studies": {"PatientID": "Q"}},
    ],
}


@pytest.mark.dicomweb_config({**LOGIN, "Authorization": RULES})
def test_nobody_gets_what_another_one_may_see(dicomweb_client, calls):
    client, path = dicomweb_client, "/dicom-web/studies"
    store(client, file(), auth=("alice", "secret"))
    calls.clear()
    for _ in range(3):
        assert len(client.get(path, auth=("alice", "secret")).get_json()) == 1
        assert client.get(path, auth=("bob", "other")).get_json() == []
        assert client.get(path, auth=("alice", "wrong")).status_code == 401
        assert client.get(path).status_code == 401
    assert len(calls) == 2


class Ending(Authenticator):
    """Knows who says so, for a while."""

    name = "ending"
    ended = False

    def authenticate(self, request):
        known = not self.ended and request.headers.get("X-Who")
        return Identity(known, authenticated=True) if known else None

    def challenge(self):
        return "Ending"


class EndingExtension:
    @staticmethod
    @hookimpl
    def register_authenticators():
        return [Ending]


def test_a_login_that_may_end_is_asked_for_each_time(tmp_path, monkeypatch):
    config = {"AuthenticationEnabled": True, "Authentication": {"Order": ["ending"]}}
    with temporary_app(tmp_path, config, extensions=[("ending", EndingExtension)]) as app:
        client, path = app.test_client(), "/dicom-web/studies"
        who = {"headers": {"X-Who": "alice"}}
        assert [client.get(path, **who).status_code for _ in range(3)] == [200] * 3
        monkeypatch.setattr(Ending, "ended", True)
        assert client.get(path, **who).status_code == 401


def test_where_it_comes_from_counts(archive):
    near = {"REMOTE_ADDR": "127.0.0.1"}
    far = {"REMOTE_ADDR": "192.0.2.1"}
    path = "/dicom-web/studies"
    assert [archive.get(path, environ_overrides=near).status_code for _ in range(3)] == [200] * 3
    assert archive.get(path, environ_overrides=far).status_code == 403
    assert archive.get(path, headers={"Host": "evil.example"}).status_code == 403


def test_the_same_value_in_another_header_is_another_question(archive, calls):
    tag = archive.get(ONE).headers["ETag"]
    for _ in range(3):
        assert archive.get(ONE, headers={"If-None-Match": tag}).status_code == 304
        assert archive.get(ONE, headers={"If-Range": tag}).status_code == 200


# --- who watches ---------------------------------------------------------------------------


def test_each_request_is_logged_by_a_name_of_its_own(archive, caplog):
    path = "/dicom-web/studies?PatientName=Secret"
    with caplog.at_level(logging.INFO, "dicomweb_server.access"):
        answers = [archive.get(path) for _ in range(4)]
        named = archive.get(path, headers={"X-Request-ID": "my-own"})
    ids = [answer.headers["X-Request-ID"] for answer in (*answers, named)]
    assert len(set(ids)) == 5
    assert ids[-1] == "my-own"
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split()[-1] for line in lines] == ids
    assert all(line.startswith("127.0.0.1 - GET /dicom-web/studies 200 ") for line in lines)
    objects = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    assert [each["request_id"] for each in objects] == ids
    assert [each["user"] for each in objects] == [""] * 5


class Listening:
    """Hears of every request."""

    def __init__(self):
        self.heard = []

    @hookimpl
    def request_finished(self, summary):
        self.heard.append(summary)


def test_extensions_hear_of_each_request(tmp_path):
    listening = Listening()
    with temporary_app(tmp_path, extensions=[("listening", listening)]) as app:
        client = app.test_client()
        store(client, file())
        for _ in range(4):
            client.get(ONE, buffered=True)
    heard = listening.heard[1:]
    assert len(heard) == 4
    assert len({each.request_id for each in heard}) == 4
    assert heard == sorted(heard, key=lambda each: each.time)
    assert {(each.route, each.status, each.user, each.touched) for each in heard} == {
        (heard[0].route, 200, "", heard[0].touched)
    }
    assert [touched.patient_id for touched in heard[3].touched] == ["P"]


class Around:
    """Looks at each request before the core's views do."""

    def __init__(self):
        self.seen = 0

    @hookimpl
    def prepare_app(self, app, context):
        def look():
            self.seen += 1

        app.before_request(look)


def test_an_extension_that_looks_at_each_request_sees_each(tmp_path):
    around = Around()
    with temporary_app(tmp_path, extensions=[("around", around)]) as app:
        for _ in range(4):
            assert app.test_client().get("/dicom-web/studies").status_code == 200
    assert around.seen == 4


class Counting:
    """A route that is never the same."""

    @staticmethod
    @hookimpl
    def register_blueprints(context):
        from flask import Blueprint

        routes = Blueprint("counting", __name__)
        count = iter(range(100))

        @routes.get("/counting")
        @requires(Action.READ)
        def counting():
            return Response(str(next(count)))

        return [routes]


def test_a_view_that_declares_nothing_is_called_each_time(tmp_path):
    with temporary_app(tmp_path, extensions=[("counting", Counting)]) as app:
        answers = [app.test_client().get("/counting").data for _ in range(4)]
    assert answers == [b"0", b"1", b"2", b"3"]


def test_probes_do_not_ask_the_index(archive, dicomweb_app, monkeypatch):
    index = context_of(dicomweb_app).index
    asked = []
    monkeypatch.setattr(type(index), "state", lambda _self: asked.append(1))
    for path in ("/health/live", "/metrics", "/dicom-web/", "/nowhere"):
        archive.get(path)
    assert asked == []
    archive.get("/dicom-web/studies")
    assert asked == [1]


# --- how much is kept ----------------------------------------------------------------------


@pytest.mark.dicomweb_config({"RepeatedAnswersMB": 0})
def test_it_can_be_switched_off(archive, calls):
    assert [ask(archive) for _ in range(4)] == [(200, 1)] * 4
    assert len(calls) == 4


@pytest.mark.dicomweb_config({"RepeatedAnswersMB": 1})
def test_large_answers_are_made_anew(archive, calls):
    store(archive, *(file(number, StudyDescription="x" * 60) for number in range(2, 200)))
    calls.clear()
    assert [ask(archive, "/dicom-web/instances") for _ in range(4)] == [(200, 199)] * 4
    assert len(calls) == 4


def test_what_was_deleted_does_not_stay_in_memory(tmp_path, monkeypatch):
    made = []

    def install(*args):
        made.append(install_repeated(*args))
        return made[-1]

    monkeypatch.setattr("dicomweb_server.web.app.install_repeated", install)
    with temporary_app(tmp_path) as app:
        client = app.test_client()
        store(client, file())
        for path in (ONE, f"{STUDY}/metadata", "/dicom-web/studies"):
            for _ in range(3):
                client.get(path, buffered=True)
        assert len(made[0].answers) == 3
        client.delete(STUDY)
        client.get("/dicom-web/studies")
        assert len(made[0].answers) == 1


def test_what_broke_off_is_not_kept():
    kept = []
    recording = Recording(100, kept.append)
    pieces = recording.follow(iter([b"a", b"b"]))
    assert next(pieces) == b"a"
    pieces.close()
    assert kept == []


def test_of_two_answers_the_last_one_is_meant():
    kept = []
    recording = Recording(100, kept.append)
    first, second = recording.follow([b"a", b"b"]), recording.follow([b"c"])
    assert next(first) == b"a"
    assert list(second) == [b"c"]
    assert list(first) == [b"b"]
    assert kept == [(b"c",)]


def test_a_body_of_a_get_is_read(archive):
    """What asks the same with a body is nothing that is known."""
    for _ in range(4):
        answer = archive.get("/dicom-web/studies", data=b"unread")
        assert answer.status_code == 200


def test_head_tells_the_same_without_a_body(archive):
    got = [archive.get(f"{STUDY}/metadata") for _ in range(3)][-1]
    head = archive.head(f"{STUDY}/metadata")
    assert head.data == b""
    assert head.headers["ETag"] == got.headers["ETag"]
