"""Range requests (RFC 9110, 14) at every address that can be read: one value or file has ranges."""

import pytest

from dicomweb_server.testing.dicom import make_instance, path_of
from tests.conftest import ROOT

FILE = "application/dicom; transfer-syntax=*"
CONVERTED = "application/dicom; transfer-syntax=1.2.840.10008.1.2"
VALUE = "application/octet-stream"
MANY = 'multipart/related; type="application/dicom"; transfer-syntax=*'
VALUES = 'multipart/related; type="application/octet-stream"'
PICTURES = 'multipart/related; type="image/jpeg"'
XML = 'multipart/related; type="application/dicom+xml"'

STUDY, SERIES = "/studies/<study>", "/studies/<study>/series/<series>"
INSTANCE = f"{SERIES}/instances/<instance>"
FRAMES = f"{INSTANCE}/frames/<listed>"
RANGED = [
    (INSTANCE, FILE),
    (f"{INSTANCE}/bulk/<path:path>", VALUE),
    (FRAMES, VALUE),
    *(
        (f"{level}/{kind}", "image/png")
        for level in (STUDY, SERIES, INSTANCE, FRAMES)
        for kind in ("rendered", "thumbnail")
    ),
]
WHOLE = [
    (INSTANCE, CONVERTED),
    (f"{INSTANCE}/bulk/<path:path>", VALUES),
    *((level, form) for level in (STUDY, SERIES, INSTANCE) for form in (MANY, "application/zip")),
    *((f"{level}/metadata", form) for level in (STUDY, SERIES, INSTANCE) for form in (None, XML)),
    *((f"{level}/bulkdata", None) for level in (STUDY, SERIES, INSTANCE)),
    *((f"{level}/pixeldata", None) for level in (STUDY, SERIES, INSTANCE)),
    *(
        (path, form)
        for path in ("/studies", "/series", "/instances", "/patients")
        for form in (None, XML)
    ),
    (FRAMES, VALUES),
    (f"{INSTANCE}/frames", VALUES),
    *((f"{level}/rendered", PICTURES) for level in (STUDY, SERIES, INSTANCE, FRAMES)),
    (f"{STUDY}/series", None),
    (f"{STUDY}/instances", None),
    (f"{SERIES}/instances", None),
    ("/", "application/dicom+json"),
]


@pytest.fixture
def stored(client):
    data = make_instance(pixels=bytes(range(256)) * 4)
    client.stored(data)
    return data


@pytest.fixture
def ask(client, stored):
    """Requests by the pattern of a route."""
    _, study, _, series, _, instance = path_of(stored).split("/")
    found = {"study": study, "series": series, "instance": instance, "path:path": "7fe00010"}
    found["listed"] = "1"

    def get(route, accept=None, **headers):
        for name, value in found.items():
            route = route.replace(f"<{name}>", value)
        return client.get(route, accept, **headers)

    return get


def test_every_route_that_is_read_is_here(client):
    rules = client.flask.application.url_map.iter_rules()
    routes = {
        rule.rule.removeprefix(ROOT)
        for rule in rules
        if "GET" in rule.methods and rule.rule.startswith(f"{ROOT}/")
    }
    assert {route for route, _ in (*RANGED, *WHOLE)} >= routes


@pytest.mark.parametrize(("route", "accept"), RANGED)
@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [("bytes=0-9", 0, 10), ("Bytes=50-", 50, None), ("bytes=-7", -7, None)],
)
def test_a_range_of_one_file_or_value(ask, route, accept, header, start, stop):
    whole = ask(route, accept)
    assert (whole.status_code, whole.headers["Accept-Ranges"]) == (200, "bytes")
    etag, size = whole.headers["ETag"], len(whole.data)
    for condition in ({}, {"If_Range": etag}):
        part = ask(route, accept, Range=header, **condition)
        first, last, _ = slice(start, stop).indices(size)
        assert part.status_code == 206
        assert part.data == whole.data[start:stop]
        assert part.headers["Content-Range"] == f"bytes {first}-{last - 1}/{size}"
        assert part.headers["ETag"] == etag
    for other in ('"other"', f"W/{etag}", "Tue, 01 Jan 2030 00:00:00 GMT"):
        answer = ask(route, accept, Range=header, If_Range=other)
        assert (answer.status_code, answer.data) == (200, whole.data)
    assert ask(route, accept, Range=header, If_None_Match=etag).status_code == 304
    assert ask(route, accept, Range=header, If_Match='"other"').status_code == 412


@pytest.mark.parametrize(("route", "accept"), RANGED)
@pytest.mark.parametrize("header", ["bytes=5000-", "bytes=-0", "bytes=99999-100000"])
def test_a_range_outside_says_how_long_it_is(ask, route, accept, header):
    size = len(ask(route, accept).data)
    answer = ask(route, accept, Range=header)
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")


@pytest.mark.parametrize(("route", "accept"), RANGED)
@pytest.mark.parametrize(
    "header",
    ["bytes=9-1", "bytes=0-1,5-6", "lines=0-9", "bytes=x-y", "bytes=-", f"bytes={'9' * 5000}-"],
)
def test_what_is_no_range_is_ignored(ask, route, accept, header):
    answer = ask(route, accept, Range=header)
    assert (answer.status_code, answer.data) == (200, ask(route, accept).data)


@pytest.mark.parametrize(("route", "accept"), WHOLE)
def test_everything_else_is_sent_as_a_whole(ask, route, accept):
    whole = ask(route, accept)
    answer = ask(route, accept, Range="bytes=0-9")
    assert answer.status_code == whole.status_code == 200
    assert len(answer.data) == len(whole.data) > 10
    for each in (answer, whole):
        assert "Content-Range" not in each.headers
        assert each.headers.get("Accept-Ranges", "none") == "none"


@pytest.mark.parametrize(("route", "accept"), [each for each in RANGED if each[1] != "image/png"])
def test_a_range_without_accept_is_of_the_file_or_value(ask, route, accept):
    whole = ask(route, accept).data
    for form in (None, "*/*"):
        answer = ask(route, form, Range="bytes=2-11")
        assert (answer.status_code, answer.data) == (206, whole[2:12])
