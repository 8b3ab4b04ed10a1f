"""HTTP as clients expect it: slashes, methods, errors, public URLs, request ids, health."""

import json
import logging
import re

import pytest

from dicomweb_server import hookimpl
from dicomweb_server.http.access import requires
from dicomweb_server.interfaces.auth import Action
from dicomweb_server.testing.dicom import make_instance, make_study, path_of, uids_of

# --- paths and methods ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/dicom-web/studies",
        "/dicom-web/studies/",
        "//dicom-web///studies//",
        "/dicom-web//studies",
    ],
)
def test_slashes_mean_nothing(dicomweb_client, path):
    answer = dicomweb_client.open(environ_overrides={"PATH_INFO": path}, method="GET")
    assert answer.status_code == 200
    assert answer.data == b"[]"


def test_slashes_mean_nothing_when_storing(client):
    data = make_instance()
    assert client.store(data, path="//studies/").status_code == 200
    assert client.get(f"//{path_of(data).replace('/', '//')}/metadata/").status_code == 200


@pytest.mark.parametrize("path", ["/", "/dicom-web/nothing", "/x/y"])
def test_what_is_not_there_is_404(dicomweb_client, path):
    answer = dicomweb_client.get(path)
    assert answer.status_code == 404
    assert answer.json["HttpStatus"] == 404


def test_head_is_get_without_a_body(client):
    data = make_instance(pixels=bytes(1000))
    client.stored(data)
    for path in ("/studies", f"/{path_of(data)}", f"/{path_of(data)}/metadata"):
        get, head = client.get(path), client.call("HEAD", path)
        assert head.status_code == get.status_code == 200
        assert head.data == b""
        assert head.headers["Content-Type"].split(";")[0] == get.content_type.split(";")[0]
        assert head.headers.get("ETag") == get.headers.get("ETag")
    assert client.call("HEAD", "/studies/1.2.3").status_code == 404


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/studies", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("/studies/1", {"DELETE", "GET", "HEAD", "OPTIONS", "POST"}),
        ("/studies/1/metadata", {"GET", "HEAD", "OPTIONS"}),
        ("/series", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_options_lists_what_is_possible(client, path, methods):
    answer = client.call("OPTIONS", path)
    assert answer.status_code in (200, 204)
    assert set(answer.headers["Allow"].replace(" ", "").split(",")) == methods
    assert "Content-Type" not in answer.headers
    refused = client.call("PATCH", path)
    assert refused.status_code == 405
    assert set(refused.headers["Allow"].split(",")) == methods
    assert "PATCH" in refused.json["Details"]


def test_a_method_in_the_query_is_not_heeded(client):
    data = make_instance()
    client.stored(data)
    client.get(f"/{path_of(data)}?_method=DELETE")
    assert client.original(data).status_code == 200


@pytest.mark.dicomweb_config({"DicomWeb": {"Root": "dw/api"}})
def test_the_root_is_configured(dicomweb_client):
    assert dicomweb_client.get("/dw/api/studies").status_code == 200
    assert dicomweb_client.get("/dicom-web/studies").status_code == 404


@pytest.mark.dicomweb_config({"DicomWeb": {"Root": "/"}})
def test_the_root_may_be_nothing(dicomweb_client):
    assert dicomweb_client.get("/studies").status_code == 200
    assert dicomweb_client.get("/health/live").status_code == 200


@pytest.mark.dicomweb_config({"DicomWeb": {"Enable": False}})
def test_dicomweb_may_be_off(dicomweb_client):
    assert dicomweb_client.get("/dicom-web/studies").status_code == 404
    assert dicomweb_client.get("/health/live").status_code == 200


# --- errors --------------------------------------------------------------------------------

KEYS = {
    *("Details", "HttpError", "HttpStatus", "Message", "Method", "OrthancError", "OrthancStatus"),
    "Uri",
}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("GET", "/studies/1.2", {}, 404, 17),
        ("GET", "/nothing", {}, 404, 17),
        ("GET", "/studies?StudyDate=x", {}, 400, 8),
        ("GET", "/studies", {"Accept": "image/png"}, 406, 8),
        ("PUT", "/studies", {}, 405, 8),
        ("POST", "/studies", {"Content-Type": "text/plain"}, 415, 3000),
        ("DELETE", "/studies/1.2", {}, 404, 17),
    ],
)
def test_errors_are_one_document(client, method, path, headers, status, code):
    answer = client.call(method, path, headers=headers)
    assert answer.status_code == status
    assert answer.content_type == "application/json"
    document = answer.json
    assert document.keys() == KEYS
    assert document["HttpStatus"] == status
    assert document["Method"] == method
    assert document["OrthancStatus"] == code
    assert document["Uri"] == "/dicom-web" + path.partition("?")[0]
    assert document["Message"] == document["OrthancError"] != ""
    assert len(document["Details"]) > 10


@pytest.mark.dicomweb_config({"HttpDescribeErrors": False})
def test_errors_may_be_silent(client):
    answer = client.get("/studies/1.2")
    assert (answer.status_code, answer.data) == (404, b"")


@pytest.mark.parametrize(
    "accept",
    [
        "",
        ",",
        ";",
        "q=1",
        "*/*;q=2",
        "*/*;q=x",
        "text",
        'a/b;c="',
        "a/b;" * 2000,
        "\xff/\xfe",
        "*/*;q=0",
    ],
)
def test_no_accept_header_breaks_anything(client, accept):
    assert client.get("/studies", accept).status_code in (200, 400, 406)


@pytest.mark.parametrize(
    "query",
    ["%", "%zz", "=", "&&&", "a=%ff%fe", "limit=%00", "PatientID[]=x", "?" * 500, "includefield="],
)
def test_no_query_breaks_anything(client, query):
    assert client.get(f"/studies?{query}").status_code in (200, 400)


@pytest.mark.parametrize(
    "path", ["/studies/%ff", "/%2e%2e/%2e%2e/etc/passwd", "/studies/a%0d%0aX-Y:1"]
)
def test_no_path_breaks_anything(client, path):
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert "X-Y" not in answer.headers


# --- public URLs ---------------------------------------------------------------------------


def url_of(client, **headers):
    """Where the server says that a study is."""
    if not client.found():
        client.stored(make_instance(StudyInstanceUID="1.2"))
    return client.get("/studies", **headers).json[0]["00081190"]["Value"][0]


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({}, "http://localhost/dicom-web"),
        ({"Host": "localhost:8042"}, "http://localhost:8042/dicom-web"),
        ({"Host": "[::1]:8042"}, "http://[::1]:8042/dicom-web"),
        (
            {"X_Forwarded_Host": "pacs.example.org", "X_Forwarded_Proto": "https"},
            "https://pacs.example.org/dicom-web",
        ),
        ({"X_Forwarded_Host": "pacs.example.org"}, "http://localhost/dicom-web"),
        ({"X_Forwarded_Proto": "https"}, "http://localhost/dicom-web"),
        ({"Forwarded": "host=pacs.example.org;proto=https"}, "https://pacs.example.org/dicom-web"),
        (
            {"Forwarded": 'for=127.0.0.1;Host="a.example:8443" ; PROTO="https"'},
            "https://a.example:8443/dicom-web",
        ),
        ({"Forwarded": "proto=https"}, "https://localhost/dicom-web"),
        (
            {"Forwarded": "host=one.example, host=two.example;proto=https"},
            "http://one.example/dicom-web",
        ),
        ({"Forwarded": "host=one.example;proto=gopher"}, "http://one.example/dicom-web"),
        ({"Forwarded": 'host="evil.example/path"'}, "http://localhost/dicom-web"),
        ({"Forwarded": "nonsense"}, "http://localhost/dicom-web"),
    ],
    ids=str,
)
def test_urls_follow_the_proxy(client, headers, base):
    assert url_of(client, **headers) == f"{base}/studies/1.2"


@pytest.mark.dicomweb_config({"TrustedProxies": ["10.0.0.0/8"]})
def test_who_is_no_trusted_proxy_is_not_believed(client):
    found = url_of(client, X_Forwarded_Host="evil.example", X_Forwarded_Proto="https")
    assert found == "http://localhost/dicom-web/studies/1.2"
    assert url_of(client, Forwarded="host=evil.example") == found


@pytest.mark.dicomweb_config(
    {"DicomWeb": {"Host": "pacs.example.org:8443", "Ssl": True, "PublicRoot": "/pacs/dw"}}
)
def test_urls_may_be_configured(client):
    expected = "https://pacs.example.org:8443/pacs/dw/studies/1.2"
    assert url_of(client) == expected
    assert url_of(client, Forwarded="host=other.example;proto=http") == expected


@pytest.mark.dicomweb_config({"DicomWeb": {"Host": "localhost"}})
def test_the_default_of_old_documentation_counts_as_unset(client):
    assert url_of(client, Host="127.0.0.1:1234") == "http://127.0.0.1:1234/dicom-web/studies/1.2"


@pytest.mark.dicomweb_config({"DicomWeb": {"Root": "/a/b", "Ssl": True}})
def test_the_public_root_follows_the_root(dicomweb_client):
    from dicomweb_server.testing.dicom import multipart_body

    body, content_type = multipart_body([make_instance(StudyInstanceUID="1.2")])
    answer = dicomweb_client.post("/a/b/studies", data=body, content_type=content_type)
    assert answer.json["00081190"]["Value"] == ["https://localhost/a/b/studies/1.2"]


# --- request ids and logs ------------------------------------------------------------------


def test_every_answer_has_a_request_id(client):
    first, second = (client.get("/studies").headers["X-Request-ID"] for _ in range(2))
    assert first != second
    assert client.get("/nothing").headers["X-Request-ID"]
    assert client.get("/studies", X_Request_ID="abc-1").headers["X-Request-ID"] == "abc-1"


@pytest.mark.parametrize("given", ["a b", "a" * 100, "<script>", "é"])
def test_a_strange_request_id_is_replaced(client, given):
    assert client.get("/studies", X_Request_ID=given).headers["X-Request-ID"] != given


def test_the_access_log_has_no_query_strings(client, caplog):
    with caplog.at_level(logging.INFO, "dicomweb_server"):
        client.get("/studies?PatientName=Secret^Name")
        client.get("/studies?PatientName=Secret^Name&limit=x")
    lines = [r.getMessage() for r in caplog.records if r.name == "dicomweb_server.access"]
    assert len(lines) == 2
    assert all("GET /dicom-web/studies" in line for line in lines)
    assert "Secret" not in caplog.text


def test_answers_are_not_sniffed_and_not_shared(client):
    data = make_instance()
    client.stored(data)
    for path in ("/studies", f"/{path_of(data)}", f"/{path_of(data)}/metadata", "/nothing"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert re.search("private|no-store", headers["Cache-Control"])


def test_long_json_is_compressed_for_who_accepts_it(client):
    client.stored(*make_study(series=1, instances=30))
    plain = client.get("/instances")
    packed = client.get("/instances", Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.data) < len(plain.data)
    assert "Content-Encoding" not in client.get("/instances", Accept_Encoding="br").headers


# --- about the server ----------------------------------------------------------------------


def test_alive_and_ready(dicomweb_client):
    assert dicomweb_client.get("/health/live").json == {"status": "ok"}
    assert dicomweb_client.get("/health/ready").json == {"status": "ok", "problems": {}}


def test_not_ready_names_what_is_wrong(dicomweb_client, dicomweb_context, monkeypatch):
    def fail():
        raise OSError("the disk is gone")

    (store,) = dicomweb_context.providers.storages.values()
    monkeypatch.setattr(store, "check", fail)
    answer = dicomweb_client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json["problems"] == {"storage default": "the disk is gone"}


def test_extensions_are_listed(dicomweb_client):
    document = dicomweb_client.get("/extensions").json
    names = {extension["name"] for extension in document["extensions"]}
    assert {"storage-filesystem", "index-sql", "metadata-full", "auth-basic"} <= names
    assert document["in use"]["index"] == "sql"
    assert document["in use"]["codecs"] == ["imagecodecs"]
    assert "1.2.840.10008.1.2.4.80" in document["pixels"]["decoded"]
    assert "image/jpeg" in document["pixels"]["rendered"]


class WithRoute:
    """An extension with a view that fails."""

    @hookimpl
    def prepare_app(self, app):
        @requires(Action.READ)
        def fail():
            raise ZeroDivisionError("secret detail")

        app.add_url_rule("/fail", "fail", fail)


class TestUnexpected:
    @pytest.fixture
    def dicomweb_extensions(self):
        return [("with-route", WithRoute())]

    def test_an_unexpected_error_shows_no_trace(self, dicomweb_client, caplog):
        answer = dicomweb_client.get("/fail")
        assert answer.status_code == 500
        assert answer.json["HttpStatus"] == 500
        assert b"secret" not in answer.data
        assert "secret detail" in caplog.text


def test_json_is_json_everywhere(client):
    data = make_instance(PatientName='"\\\n^\u2028é', StudyDescription="a\tb")
    client.stored(data)
    for path in (
        "/studies?includefield=all",
        "/instances?includefield=all",
        f"/{path_of(data)}/metadata",
    ):
        assert json.loads(client.get(path).data)
    assert uids_of(data)[0] in client.get("/studies").get_data(as_text=True)
