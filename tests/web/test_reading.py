"""What the server takes of what a file holds: its transfer syntax, and how large a header may be."""

import pytest

from dicomweb_server.config import ConfigError
from dicomweb_server.testing.apps import temporary_app
from tests.conftest import Client
from tests.dicom.helpers import IDENTITY, element, item, part10

INSTANCE = "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.4"
NO_SYNTAX = [
    "1.2.840.10008.1.2.1\x01",
    "1.2.840\r\nX-Evil: 1",
    '1.2;a="b"',
    "1.2.840.10008.1.2.1\\1.2",
    "1.2.",
    "1" * 65,
    "1" * 500,
    "one",
]


@pytest.mark.parametrize("syntax", NO_SYNTAX)
def test_a_transfer_syntax_that_is_no_uid_is_refused(client, syntax):
    answer = client.store(part10(IDENTITY, syntax))
    assert answer.status_code == 400
    assert "transfer syntax (0002,0010) is '" in answer.headers["Warning"]
    (failed,) = answer.json["00081198"]["Value"]
    assert failed["00081197"]["Value"] == [0xC000]
    assert client.found() == []


@pytest.mark.parametrize("syntax", ["1.2.3.4.5", "1" * 64, " 1.2.840.10008.1.2.1 "])
def test_a_transfer_syntax_that_nobody_knows_is_taken(client, syntax):
    client.stored(part10(IDENTITY, syntax))
    answer = client.get(INSTANCE, "application/dicom; transfer-syntax=*")
    assert answer.headers["Content-Type"].endswith(f"transfer-syntax={syntax.strip()}")


@pytest.mark.parametrize("syntax", NO_SYNTAX)
@pytest.mark.parametrize("asked", ["*/*", "application/dicom", "application/dicom; {}"])
def test_an_earlier_version_may_have_taken_it(client, monkeypatch, syntax, asked):
    data = part10(IDENTITY, syntax)
    with monkeypatch.context() as earlier:
        earlier.setattr("dicomweb_server.services.ingest.admission.is_uid", lambda uid: True)
        client.stored(data)
    answer = client.get(INSTANCE, asked.format("transfer-syntax=*"))
    assert answer.status_code == 200
    assert data in answer.data
    usual = ("Content-Location", "Accept-Ranges")
    told = [value for name, value in answer.headers if name not in usual]
    assert syntax not in " ".join(told)
    assert "X-Evil" not in answer.headers
    assert answer.headers["Content-Type"].startswith(("application/dicom", "multipart/related"))


# --- the size of headers -------------------------------------------------------------------


def nested(depth):
    body = element(0x00091001, "OB", b"ab")
    for _ in range(depth):
        body = element(0x00081140, "SQ", item(body))
    return body


@pytest.mark.parametrize(
    ("option", "value", "body", "words"),
    [
        ("MaximumHeaderElements", 1000, item(b"") * 1000, "1000 elements and items"),
        ("MaximumHeaderSizeMB", 1, item(element(0x00104000, "UT", b"x" * 600_000)) * 2,
         "1048576 bytes"),
        ("MaximumHeaderDepth", 3, item(nested(3)), "the 3 items that are possible"),
    ],
)  # fmt: skip
def test_the_limits_of_a_header_can_be_set(tmp_path, option, value, body, words):
    data = part10(IDENTITY + element(0x0040A730, "SQ", body))
    with temporary_app(tmp_path / "wide") as app:
        Client(app.test_client()).stored(data)
    with temporary_app(tmp_path / "narrow", {option: value}) as app:
        answer = Client(app.test_client()).store(data)
        assert answer.status_code == 400
        assert words in answer.headers["Warning"]


def test_what_a_wider_limit_let_in_can_be_read_in_parts(tmp_path):
    path = "/".join(["00081140/1"] * 75 + ["00091001"])
    with temporary_app(tmp_path, {"MaximumHeaderDepth": 80}) as app:
        client = Client(app.test_client())
        client.stored(part10(IDENTITY + nested(75)))
        answer = client.get(f"{INSTANCE}/bulk/{path}", "application/octet-stream")
        assert answer.data == b"ab"
        assert client.get(f"{INSTANCE}/metadata").status_code == 200


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("MaximumHeaderDepth", 81),
        ("MaximumHeaderDepth", 0),
        ("MaximumHeaderElements", 10**9),
        ("MaximumHeaderSizeMB", 0),
    ],
)
def test_limits_have_limits(tmp_path, option, value):
    with pytest.raises(ConfigError, match=option), temporary_app(tmp_path, {option: value}):
        pass


# --- what only pydicom reads ---------------------------------------------------------------


@pytest.mark.parametrize(
    "rest", [element(0x00720099, "??", b"ab"), b"\n"], ids=["no VR", "one byte behind"]
)
def test_what_pydicom_reads_is_taken(client, rest):
    data = part10(IDENTITY + rest)
    client.stored(data)
    assert client.get(INSTANCE, "application/dicom; transfer-syntax=*").data == data


def test_a_refusal_says_where_the_fragments_go_wrong(client):
    pixels = element(0x7FE00010, "OB", item(b""), 0xFFFFFFFF) + b"\xfe\xff\0\xe0" + b"\xff" * 4
    answer = client.store(part10(IDENTITY + pixels + b"abc", "1.2.840.10008.1.2.5"))
    assert answer.status_code == 400
    assert "(7FE0,0010), at byte 2" in answer.headers["Warning"]
    assert "a fragment has undefined length" in answer.headers["Warning"]
