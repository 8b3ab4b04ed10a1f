"""Validators and conditions of every resource that can be retrieved (RFC 9110, 13)."""

import pytest

from dicomweb_server.testing.dicom import make_study, path_of, uids_of
from tests.conftest import parts

XML = 'multipart/related; type="application/dicom+xml"'
MANY = 'multipart/related; type="application/dicom"'

# what lies below the study, series or instance; what is accepted; whether its bytes are the same
# each time
KINDS = {
    "metadata": ("/metadata", "application/dicom+json", True),
    "metadata as XML": ("/metadata", XML, False),
    "instances": ("", MANY, False),
    "instances as they are stored": ("", f"{MANY}; transfer-syntax=*", False),
    "archive": ("", "application/zip", False),
    "bulk data": ("/bulkdata", "*/*", False),
    "pixel data": ("/pixeldata", "*/*", False),
}
ONE = {
    "instance": ("", "application/dicom", True),
    "converted instance": ("", "application/dicom; transfer-syntax=1.2.840.10008.1.2", True),
    "value": ("/bulk/7fe00010", "application/octet-stream", True),
    "value in parts": (
        "/bulk/7fe00010",
        'multipart/related; type="application/octet-stream"',
        False,
    ),
}
LEVELS = [(level, kind) for level in ("study", "series", "instance") for kind in KINDS]
LEVELS += [("instance", kind) for kind in ONE]


@pytest.fixture
def files(client):
    files = make_study(series=1, instances=2, pixels=bytes(64))
    client.stored(*files)
    return files


@pytest.fixture(params=LEVELS, ids=lambda pair: "-".join(pair))
def resource(request, files):
    """(path, Accept, whether its bytes are the same each time) of each resource."""
    level, kind = request.param
    below, accept, same = (KINDS | ONE)[kind]
    study, series, _ = uids_of(files[0])
    paths = {"study": f"/studies/{study}", "series": f"/studies/{study}/series/{series}"}
    return paths.get(level, f"/{path_of(files[0])}") + below, accept, same


def test_who_has_it_is_told_so(client, resource):
    path, accept, same = resource
    first = client.get(path, accept)
    tag = first.headers["ETag"]
    assert tag.startswith('"' if same else 'W/"')
    assert client.get(path, accept).headers["ETag"] == tag
    for condition in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = client.get(path, accept, If_None_Match=condition)
        assert again.status_code == 304
        assert again.data == b""
        assert again.headers["ETag"] == tag
        assert again.headers["Content-Location"] == first.headers["Content-Location"]
    assert client.get(path, accept, If_None_Match='"other"').status_code == 200


def test_a_condition_that_does_not_hold(client, resource):
    path, accept, same = resource
    tag = client.get(path, accept).headers["ETag"]
    refused = client.get(path, accept, If_Match='"other"')
    assert refused.status_code == 412
    assert "other" in refused.json["Details"]
    # A weak tag is equal to none (RFC 9110, 8.8.3.2).
    assert client.get(path, accept, If_Match=tag).status_code == (200 if same else 412)
    assert client.get(path, accept, If_Match="*").status_code == 200


def test_a_change_has_another_tag(client, files, resource):
    path, accept, _ = resource
    before = client.get(path, accept).headers["ETag"]
    client.call("DELETE", f"/{path_of(files[0])}")
    client.stored(files[0])
    assert client.get(path, accept).headers["ETag"] != before


def test_head_says_the_same_without_a_body(client, resource):
    path, accept, _ = resource
    whole = client.get(path, accept)
    head = client.call("HEAD", path, headers={"Accept": accept})
    assert (head.status_code, head.data) == (200, b"")
    for name in ("ETag", "Content-Location", "Vary", "Cache-Control", "Content-Length"):
        assert head.headers.get(name) == whole.headers.get(name), name


def test_a_tag_is_of_one_address(client, resource):
    """What is sent holds URLs of the host that was called."""
    path, accept, same = resource
    here = client.get(path, accept).headers["ETag"]
    there = client.get(path, accept, Host="127.0.0.1:99").headers["ETag"]
    below = path.rpartition("/instances/")[2]
    holds_urls = "metadata" in path or not (same or "/bulk/" in below)
    assert (here != there) is holds_urls


def test_a_deletion_is_not_done_without_its_condition(client, files):
    path = f"/{path_of(files[0])}"
    refused = client.call("DELETE", path, headers={"If-Match": '"x"'})
    assert refused.status_code == 412
    assert "possible is *" in refused.json["Details"]
    assert client.get(path, "application/dicom").status_code == 200
    assert client.call("DELETE", path, headers={"If-Match": "*"}).status_code == 204


def test_what_has_no_tag_meets_no_condition(client, files, monkeypatch):
    """Search answers, and more instances than are counted."""
    monkeypatch.setattr("dicomweb_server.web.retrieve.COUNTED", 2)
    many = f"/studies/{uids_of(files[0])[0]}"
    for path, accept in (("/studies", "*/*"), (many, MANY), (many, "application/zip")):
        answer = client.get(path, accept)
        assert answer.status_code == 200
        assert "ETag" not in answer.headers
        assert client.get(path, accept, If_Match='"x"').status_code == 412
        assert client.get(path, accept, If_None_Match='"x"').status_code == 200
    assert parts(client.get(many, f"{MANY}; transfer-syntax=*")) == files


def test_some_attributes_are_not_the_metadata(client, files):
    path = f"/{path_of(files[0])}/metadata"
    whole, some = client.get(path), client.get(f"{path}?includefield=Rows")
    assert whole.headers["Content-Location"].endswith("/metadata")
    assert "Content-Location" not in some.headers
    assert some.headers["ETag"] != whole.headers["ETag"]


def test_capabilities_have_a_tag(client):
    tag = client.get("/").headers["ETag"]
    assert client.call("OPTIONS", "/", headers={"If-None-Match": tag}).status_code == 304
    assert client.get("/", "application/json").headers["ETag"] != tag
