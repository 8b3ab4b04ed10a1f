"""The configurations of docs/security.md start a server that does what the text says."""

import pytest

from dicomweb_server.config import check, read_file
from dicomweb_server.options import CORE_OPTIONS
from dicomweb_server.testing.apps import context_of, temporary_app
from dicomweb_server.testing.dicom import make_instance, multipart_body
from dicomweb_server.tls import OPTIONS
from tests.docs.helpers import written

MANUAL = "docs/security.md"


def configured(folder, name, environ=None):
    return read_file(written(folder, MANUAL, name), environ or {})


@pytest.mark.parametrize("name", ["tokens.json", "oidc.json", "rules.json", "links.json"])
def test_a_server_starts_with_it_and_is_locked(tmp_path, name):
    with temporary_app(tmp_path, configured(tmp_path, name)) as app:
        assert app.test_client().get("/dicom-web/studies").status_code == 401
        assert context_of(app).config.warnings == ()


def test_the_rules_let_in_whom_they_say(tmp_path):
    north = make_instance(InstitutionName="North Hospital", Modality="CT", StudyInstanceUID="1.1")
    south = make_instance(InstitutionName="South", Modality="CT", StudyInstanceUID="1.2")
    demo = make_instance(PatientID="DEMO7", StudyInstanceUID="1.3")
    with temporary_app(tmp_path, configured(tmp_path, "rules.json", {"BOB": "b"})) as app:
        client = app.test_client()
        body, content_type = multipart_body([north, south, demo])
        options = {"data": body, "content_type": content_type}
        admin, bob = ("admin", "change me"), ("bob", "b")
        assert client.post("/dicom-web/studies", auth=bob, **options).status_code == 403
        assert client.post("/dicom-web/studies", auth=admin, **options).status_code == 200
        found = client.get("/dicom-web/studies", auth=bob).json
        assert {each["0020000D"]["Value"][0] for each in found} == {"1.1", "1.3"}
        assert len(client.get("/dicom-web/studies", auth=admin).json) == 3


def test_a_link_is_made_as_shown(tmp_path):
    with temporary_app(tmp_path, configured(tmp_path, "links.json")) as app:
        client = app.test_client()
        alice = ("alice", "change me")
        client.post(
            "/dicom-web/studies",
            data=make_instance(StudyInstanceUID="1.2.3"),
            content_type="application/dicom",
            auth=alice,
        )
        # curl -d says that the body is a form; it is read nevertheless
        answer = client.post(
            "/links",
            data='{"Study": "1.2.3", "Expires": 3600}',
            content_type="application/x-www-form-urlencoded",
            auth=alice,
        )
        assert list(answer.json) == ["ID", "Study", "Series", "Expires", "User", "Token", "URL"]
        url = answer.json["URL"].removeprefix("http://localhost")
        assert client.get(url).status_code == 200
        too_long = client.post("/links", json={"Study": "1.2.3", "Expires": 604801}, auth=alice)
        assert too_long.status_code == 400


def test_the_options_of_tls_are_honoured(tmp_path):
    raw = configured(tmp_path, "tls.json")
    names = {option.name for option in OPTIONS}
    ours = {name: value for name, value in raw.items() if name in names}
    assert len(ours) == 5
    checked = check(ours, CORE_OPTIONS, base=tmp_path)
    assert checked.warnings == ()
    assert {option.name for option in OPTIONS if checked[option] != option.default} == set(ours)


def test_the_audit_log_is_written_where_it_says(tmp_path):
    raw = configured(tmp_path, "audit.json")
    raw["Audit"]["Path"] = str(tmp_path / "audit.log")
    with temporary_app(tmp_path, raw) as app:
        app.test_client().get("/dicom-web/studies")
    assert '"action":"search"' in (tmp_path / "audit.log").read_text()
