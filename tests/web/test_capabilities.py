"""Capabilities, CORS: what the server says it can do, and to whom."""

import json
from xml.etree import ElementTree

import pytest

WADL = "{http://wadl.dev.java.net/2009/02}"
VIEWER = "https://viewer.example"
CORS = pytest.mark.dicomweb_config({"CorsAllowedOrigins": [VIEWER]})


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize("path", ["", "/"])
def test_capabilities_are_wadl(client, method, path):
    answer = client.call(method, path, headers={"Accept": "*/*"})
    assert answer.status_code == 200
    assert answer.content_type == "application/vnd.sun.wadl+xml"
    root = ElementTree.fromstring(answer.data)
    (resources,) = root
    assert resources.get("base") == "http://localhost/dicom-web/"
    paths = {each.get("path"): each for each in resources}
    series = paths["studies/{study}/series/{series}"]
    assert [each.get("name") for each in series.findall(f"{WADL}param")] == ["study", "series"]
    methods = {each.get("name") for each in series.findall(f"{WADL}method")}
    assert methods == {"GET", "DELETE"}
    (stored,) = [m for m in paths["studies"].findall(f"{WADL}method") if m.get("name") == "POST"]
    taken = [each.get("mediaType") for each in stored.find(f"{WADL}request")]
    assert 'multipart/related; type="application/dicom"' in taken


def test_capabilities_name_the_character_sets(client):
    """PS3.18 8.8: of what is text."""
    resources = ElementTree.fromstring(client.get("/").data)[0]
    offered = {}
    for resource in resources:
        for method in resource.findall(f"{WADL}method"):
            params = method.find(f"{WADL}request").findall(f"{WADL}param")
            (named,) = [p for p in params if p.get("name") == "Accept-Charset"] or [None]
            values = None if named is None else [option.get("value") for option in named]
            offered[method.get("id")] = values
            in_query = {p.get("name") for p in params if p.get("style") == "query"}
            assert ("charset" in in_query) <= (named is not None)
    assert offered["GET /dicom-web/studies"] == ["utf-8"]
    assert offered["GET /dicom-web/studies/{study}/metadata"] == ["utf-8"]
    assert offered["POST /dicom-web/studies"] == ["utf-8"]
    assert offered["GET /dicom-web/studies/{study}"] is None
    assert offered["GET /dicom-web/studies/{study}/bulkdata"] is None


def test_capabilities_are_openapi(client):
    answer = client.get("/", "application/json")
    document = json.loads(answer.data)
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "http://localhost"}]
    operation = document["paths"]["/dicom-web/studies/{study}/metadata"]["get"]
    assert operation["parameters"][0] == {
        "name": "study",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
    }
    assert "application/dicom+json" in operation["responses"]["200"]["content"]
    ids = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(ids) == len(set(ids))


def test_every_route_of_the_service_is_in_the_capabilities(client, dicomweb_app):
    document = json.loads(client.get("/", "application/json").data)
    listed = {(path, method) for path, item in document["paths"].items() for method in item}
    rules = {
        (rule.rule.replace("<path:", "{").replace("<", "{").replace(">", "}"), method.lower())
        for rule in dicomweb_app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/dicom-web")
    }
    assert listed == rules


@pytest.mark.dicomweb_config({"ReadOnly": True})
def test_what_is_switched_off_is_not_listed(client):
    document = json.loads(client.get("/", "application/json").data)
    assert set(document["paths"]["/dicom-web/studies"]) == {"get"}


@CORS
def test_a_preflight_needs_no_login_and_is_kept(client):
    asked = {"Origin": VIEWER, "Access-Control-Request-Method": "POST"}
    answer = client.call("OPTIONS", "/studies", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == VIEWER
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert int(answer.headers["Access-Control-Max-Age"]) > 600


@CORS
def test_answers_to_an_allowed_page_say_so(client):
    answer = client.get("/studies?totalcount=true", Origin=VIEWER)
    assert answer.headers["Access-Control-Allow-Origin"] == VIEWER
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "X-Total-Count" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in ",".join(answer.headers.getlist("Vary"))
    missing = client.get("/studies/1.2.3", Origin=VIEWER)
    assert missing.headers["Access-Control-Allow-Origin"] == VIEWER
    deleted = client.call("DELETE", "/studies/1.2.3", headers={"Origin": VIEWER})
    assert deleted.status_code == 404


@CORS
@pytest.mark.parametrize("origin", ["https://other.example", "http://viewer.example", "null"])
def test_other_pages_get_nothing(client, origin):
    answer = client.get("/studies", Origin=origin)
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Origin" in ",".join(answer.headers.getlist("Vary"))
    assert client.call("DELETE", "/studies/1.2.3", headers={"Origin": origin}).status_code == 403


def test_by_default_no_page_is_allowed(client):
    answer = client.get("/studies", Origin=VIEWER)
    assert "Access-Control-Allow-Origin" not in answer.headers
    asked = {"Origin": VIEWER, "Access-Control-Request-Method": "GET"}
    preflight = client.call("OPTIONS", "/studies", headers=asked)
    assert "Access-Control-Allow-Origin" not in preflight.headers


@pytest.mark.dicomweb_config({"CorsAllowedOrigins": ["*"]})
def test_any_page_without_credentials(client):
    answer = client.get("/studies", Origin=VIEWER)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
