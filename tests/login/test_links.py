"""Links that expire: what they open, for how long, and who may make and revoke them."""

import json
from urllib.parse import urlsplit

import pytest

from dicomweb_server.config import ConfigError
from dicomweb_server.interfaces.state import StateError
from dicomweb_server.testing.apps import context_of, temporary_app
from dicomweb_server.testing.dicom import make_instance, multipart_body

RULES = [
    {"Users": ["admin"], "Actions": ["*"]},
    {"Users": ["alice"], "Actions": ["search", "read"], "Studies": {"InstitutionName": "North"}},
    {"Users": ["reader"], "Actions": ["search", "read"]},
    {"Users": ["finder"], "Actions": ["search"]},
]
CONFIG = {
    "AuthenticationEnabled": True,
    "RegisteredUsers": dict.fromkeys(("admin", "alice", "reader", "finder"), "secret"),
    "Authentication": {"Order": ["link", "basic"]},
    "Authorization": {"Type": "rules", "Rules": RULES},
}
pytestmark = pytest.mark.dicomweb_config(CONFIG)


def login(user):
    return {"auth": (user, "secret")}


def files():
    for study, institution in (("1.1", "North"), ("1.2", "South")):
        for series in (1, 2):
            yield make_instance(
                pixels=bytes(64),
                StudyInstanceUID=study,
                SeriesInstanceUID=f"{study}.{series}",
                SOPInstanceUID=f"{study}.{series}.1",
                SeriesNumber=series,
                InstitutionName=institution,
                OperatorsName=f"Op^{series}",
                Modality=("CT", "MR")[series - 1],
                SeriesDescription=f"Description {series}",
            )


@pytest.fixture
def archive(dicomweb_client):
    body, content_type = multipart_body(list(files()))
    answer = dicomweb_client.post(
        "/dicom-web/studies", data=body, content_type=content_type, **login("admin")
    )
    assert answer.status_code == 200
    return dicomweb_client


@pytest.fixture
def make(archive):
    def call(user="alice", **wanted):
        body = {"Study": "1.1", "Expires": 3600} | wanted
        return archive.post("/links", json=body, **login(user))

    return call


def uids(answer, tag="0020000D"):
    assert answer.status_code == 200, answer.text
    return {each[tag]["Value"][0] for each in json.loads(answer.data)}


def ways(token):
    yield {"query_string": {"link": token}}
    yield {"headers": {"X-DICOMweb-Link": token}}
    yield {"headers": {"Authorization": f"Bearer {token}"}}


BELOW = (
    "/dicom-web/studies/1.1",
    "/dicom-web/studies/1.1/metadata",
    "/dicom-web/studies/1.1/series",
    "/dicom-web/studies/1.1/instances",
    "/dicom-web/studies/1.1/series/1.1.1",
    "/dicom-web/studies/1.1/series/1.1.1/metadata",
    "/dicom-web/studies/1.1/series/1.1.1/instances",
    "/dicom-web/studies/1.1/series/1.1.1/instances/1.1.1.1",
    "/dicom-web/studies/1.1/series/1.1.1/instances/1.1.1.1/metadata",
    "/dicom-web/studies/1.1/series/1.1.1/instances/1.1.1.1/bulk/7fe00010",
)


def test_a_link_opens_one_study_for_reading(archive, make):
    made = make()
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    token = made.json["Token"]
    for way in ways(token):
        for path in ("/studies", "/series", "/instances"):
            assert uids(archive.get(f"/dicom-web{path}", **way)) == {"1.1"}
        for path in BELOW:
            assert archive.get(path, **way).status_code == 200
            outside = archive.get(path.replace("1.1", "1.2"), **way)
            assert outside.status_code in (200, 404)
            assert outside.status_code == 404 or outside.json == []
        assert archive.delete(BELOW[0], **way).status_code == 403
        stored = archive.post(
            "/dicom-web/studies", data=next(files()), content_type="application/dicom", **way
        )
        assert stored.status_code == 403
        assert archive.get("/extensions", **way).status_code == 403
        for call in (archive.get, archive.post):
            assert call("/links", **way).status_code == 403
        assert archive.delete(f"/links/{made.json['ID']}", **way).status_code == 403


def test_the_url_is_all_that_is_needed(archive, make):
    url = urlsplit(make().json["URL"])
    answer = archive.get(f"{url.path}?{url.query}")
    assert answer.status_code == 200
    assert answer.content_type.startswith("multipart/related")


@pytest.mark.parametrize("user", ["alice", "admin"])
def test_a_link_may_be_to_one_series(archive, make, user):
    token = make(user, Series="1.1.2").json["Token"]
    for way in ways(token):
        for path in ("/series", "/instances", "/studies/1.1/series", "/studies/1.1/instances"):
            assert uids(archive.get(f"/dicom-web{path}", **way), "0020000E") == {"1.1.2"}
        metadata = archive.get("/dicom-web/studies/1.1/metadata", **way)
        assert uids(metadata, "0020000E") == {"1.1.2"}
        for path in BELOW[4:]:
            answer = archive.get(path, **way)
            assert answer.status_code == (200 if path.endswith("/instances") else 404)
            assert answer.status_code == 404 or answer.json == []
    # Others share the cache of metadata, but not this answer.
    full = archive.get("/dicom-web/studies/1.1/metadata", **login("admin"))
    assert uids(full, "0020000E") == {"1.1.1", "1.1.2"}
    etag = full.headers["ETag"]
    again = archive.get(
        "/dicom-web/studies/1.1/metadata",
        headers={"If-None-Match": etag, "X-DICOMweb-Link": token},
    )
    assert again.status_code == 200
    shown = archive.get(f"/dicom-web/studies?includefield=OperatorsName&link={token}")
    assert "Warning" not in shown.headers  # the link is no parameter that nobody reads
    assert json.loads(shown.data)[0]["00081070"]["Value"][0]["Alphabetic"] == "Op^2"
    # A filter from headers looks at the visible series alone.
    assert archive.get(f"/dicom-web/studies?OperatorsName=Op^1&link={token}").json == []


@pytest.mark.parametrize("below", ["metadata", "bulkdata", "rendered", ""])
def test_what_changes_in_other_series_changes_no_tag(archive, make, below):
    token = make("admin", Series="1.1.2").json["Token"]
    path = f"/dicom-web/studies/1.1/{below}".rstrip("/")
    accept = {"rendered": 'multipart/related; type="image/jpeg"'}.get(below, "*/*")

    def ask():
        return archive.get(path, headers={"X-DICOMweb-Link": token, "Accept": accept})

    before = ask()
    hidden = archive.delete("/dicom-web/studies/1.1/series/1.1.1", **login("admin"))
    assert hidden.status_code == 204
    after = ask()
    assert (after.status_code, after.headers.get("ETag")) == (
        before.status_code,
        before.headers.get("ETag"),
    )


@pytest.mark.parametrize("path", ["/patients", "/studies", "/series", "/instances"])
def test_a_link_to_one_series_tells_nothing_of_others(archive, make, path):
    token = make("admin", Series="1.1.2").json["Token"]

    def ask(**keys):
        answer = archive.get(f"/dicom-web{path}", query_string=keys | {"link": token})
        assert answer.status_code == 200, answer.text
        return answer.json

    for series, number in (("1.1.1", 0), ("1.1.2", 1)):
        for keys in (
            {"SeriesDescription": f"Description {series[-1]}"},
            {"SeriesInstanceUID": series},
            {"SOPInstanceUID": f"{series}.1"},
            {"OperatorsName": f"Op^{series[-1]}"},
            {"Modality": ("CT", "MR")[int(series[-1]) - 1]},
            {"ModalitiesInStudy": ("CT", "MR")[int(series[-1]) - 1]},
            {"NumberOfStudyRelatedSeries": 2 - number},
            {"NumberOfStudyRelatedInstances": 2 - number},
        ):
            assert len(ask(**keys)) == number, keys
    fields = "SeriesDescription,OperatorsName,ModalitiesInStudy,NumberOfStudyRelatedInstances"
    for included in (fields, "all"):
        (found,) = ask(includefield=included)
        assert "Description 1" not in json.dumps(found)
        assert "Op^1" not in json.dumps(found)
        if path == "/patients":
            assert found["00201202"]["Value"] == found["00201204"]["Value"] == [1]
        elif included == fields:
            assert found["00080061"]["Value"] == ["MR"]
            assert found["00201206"]["Value"] == found["00201208"]["Value"] == [1]


def test_a_link_shows_no_more_than_its_maker_may_see(archive, make):
    assert make("alice", Study="1.2").status_code == 404
    assert make("alice", Study="9.9").status_code == 404
    assert make("alice", Series="1.2.1").status_code == 404
    assert make("finder").status_code == 403
    assert archive.post("/links", json={}).status_code == 401
    assert make("reader", Study="1.2").status_code == 201


def test_a_link_ends_with_the_rights_of_its_maker(tmp_path):
    with temporary_app(tmp_path, CONFIG) as app:
        client = app.test_client()
        for data in files():
            client.post(
                "/dicom-web/studies", data=data, content_type="application/dicom", **login("admin")
            )
        body = {"Study": "1.2", "Expires": 3600}
        token = client.post("/links", json=body, **login("reader")).json["Token"]
        assert client.get(f"/dicom-web/studies/1.2?link={token}").status_code == 200
    rules = [rule for rule in RULES if rule["Users"] != ["reader"]]
    fewer = CONFIG | {"Authorization": {"Type": "rules", "Rules": rules}}
    with temporary_app(tmp_path, fewer) as app:
        assert app.test_client().get(f"/dicom-web/studies/1.2?link={token}").status_code == 403
    # Another process knows the same key.
    with temporary_app(tmp_path, CONFIG) as app:
        assert app.test_client().get(f"/dicom-web/studies/1.2?link={token}").status_code == 200


def test_a_link_expires(archive, make, monkeypatch):
    token = make(Expires=60).json["Token"]
    assert archive.get(f"/dicom-web/studies?link={token}").status_code == 200
    now = [0.0]
    monkeypatch.setattr("dicomweb_signed_links.links.time.time", lambda: now[0])
    assert archive.get(f"/dicom-web/studies?link={token}").status_code == 200
    now[0] = 10.0**11
    answer = archive.get(f"/dicom-web/studies?link={token}")
    assert answer.status_code == 401
    assert "expired" in answer.json["Details"]
    assert archive.get("/links", **login("alice")).json == []


@pytest.mark.parametrize(
    "change",
    [
        lambda t: "",
        lambda t: "link.a",
        lambda t: t[:-1],
        lambda t: t[:-1] + ("0" if t[-1] != "0" else "1"),
        lambda t: t.replace("link.", "link.0000000000000000.", 1),
        lambda t: ".".join([*t.split(".")[:2], "99999999999", t.split(".")[3]]),
        lambda t: ".".join(["link", "0" * 16, *t.split(".")[2:]]),
        lambda t: t.upper(),
        lambda t: t + "\u00e9",
    ],
)
def test_a_changed_link_opens_nothing(archive, make, change, caplog):
    token = make().json["Token"]
    wrong = change(token)
    answer = archive.get("/dicom-web/studies", query_string={"link": wrong})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in "".join(answer.headers.getlist("WWW-Authenticate"))
    assert not wrong or wrong not in answer.text


def test_links_are_listed_and_revoked_by_their_makers_and_administrators(archive, make):
    first, second = make("alice").json, make("reader", Study="1.2").json

    def listed(user):
        return {link["ID"] for link in archive.get("/links", **login(user)).json}

    assert listed("alice") == {first["ID"]}
    assert listed("reader") == {second["ID"]}
    assert listed("admin") == {first["ID"], second["ID"]}
    assert first["Token"] not in archive.get("/links", **login("admin")).text
    assert archive.get("/links", **login("finder")).status_code == 403

    def revoke(user, link):
        return archive.delete(f"/links/{link['ID']}", **login(user))

    other, absent = revoke("alice", second), revoke("alice", {"ID": "0" * 16})
    assert other.status_code == absent.status_code == 404
    assert revoke("alice", first).status_code == 204
    assert revoke("admin", second).status_code == 204
    for link in (first, second):
        answer = archive.get(f"/dicom-web/studies?link={link['Token']}")
        assert answer.status_code == 401
        assert "revoked" in answer.json["Details"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"Study": None}, "Study must be a UID"),
        ({"Study": 3}, "Study must be a UID"),
        ({"Study": ""}, "Study must be a UID"),
        ({"Study": "a\nb"}, "Study must be a UID"),
        ({"Series": 3}, "Series must be a UID"),
        ({"Expires": 0}, "Expires must be"),
        ({"Expires": True}, "Expires must be"),
        ({"Expires": "60"}, "Expires must be"),
        ({"Expires": 10**9}, "at most 2592000"),
        ({"Instance": "1.2"}, "must be an object such as"),
    ],
    ids=str,
)
def test_a_wrong_wish_is_told(make, wanted, words):
    answer = make(**wanted)
    assert answer.status_code == 400
    assert words in answer.json["Details"]


def test_a_wish_is_json_and_small(archive):
    for body, status in ((b"", 400), (b"[1]", 400), (b"{", 400), (b" " * 100_000, 413)):
        assert archive.post("/links", data=body, **login("alice")).status_code == status


def test_no_log_holds_a_link(archive, make, caplog):
    token = make().json["Token"]
    with caplog.at_level("DEBUG"):
        for way in ways(token):
            archive.get("/dicom-web/studies/1.2", **way)
        archive.get("/dicom-web/studies", query_string={"link": token[:-1]})
    assert "alice/link:" in caplog.text
    assert token[:-1] not in caplog.text


def test_a_state_store_that_is_gone_is_503(archive, make, dicomweb_context, monkeypatch):
    token = make().json["Token"]

    def gone(*arguments, **options):
        raise StateError("the database is gone")

    monkeypatch.setattr(dicomweb_context.state, "get", gone)
    assert archive.get(f"/dicom-web/studies?link={token}").status_code == 503


def test_without_the_login_there_are_no_routes(tmp_path):
    with temporary_app(tmp_path, CONFIG | {"Authentication": {}}) as app:
        assert app.test_client().get("/links", **login("admin")).status_code == 404


def test_links_alone_are_no_login(tmp_path):
    config = CONFIG | {"Authentication": {"Order": ["link"]}}
    with pytest.raises(ConfigError, match="nobody can"), temporary_app(tmp_path, config):
        pass


def test_one_key_is_made_whoever_is_first(tmp_path):
    with temporary_app(tmp_path, CONFIG) as one, temporary_app(tmp_path, CONFIG) as other:
        stores = [context_of(app).providers.authenticators[0].links for app in (one, other)]
        assert stores[0]._key() == stores[1]._key()


def test_the_study_of_a_link_is_what_its_series_says(dicomweb_client):
    """Another series of the study, which came first, says something else of study and patient."""
    hidden, shown = (
        make_instance(
            StudyInstanceUID="1.9",
            SeriesInstanceUID=f"1.9.{name}",
            PatientID="P",
            PatientName=f"{name}^Name",
            AccessionNumber=f"acc{name}",
            StudyDescription=f"description {name}",
            InstitutionName="North",
            pixels=bytes(4),
        )
        for name in ("1", "2")
    )
    body, content_type = multipart_body([hidden, shown])
    dicomweb_client.post(
        "/dicom-web/studies", data=body, content_type=content_type, **login("admin")
    )
    made = dicomweb_client.post(
        "/links", json={"Study": "1.9", "Series": "1.9.2", "Expires": 3600}, **login("admin")
    )
    way = {"headers": {"X-DICOMweb-Link": made.json["Token"]}}

    def search(path):
        answer = dicomweb_client.get(f"/dicom-web{path}", **way)
        assert answer.status_code == 200
        return answer.get_data(as_text=True)

    for path in ("/studies", "/patients", "/studies/1.9/series", "/series", "/instances"):
        for more in ("", "?includefield=all", "?includefield=StudyDescription,PatientName"):
            assert "1^Name" not in search(path + more)
            assert "description 1" not in search(path + more)
        assert json.loads(search(f"{path}?PatientName=2^*"))
        assert not json.loads(search(f"{path}?PatientName=1^*"))
    assert "acc2" in search("/studies")
    assert json.loads(search("/studies?AccessionNumber=acc2"))
    assert not json.loads(search("/studies?StudyDescription=description 1"))
