"""What the server takes of what a file holds."""

import pytest

from tests.dicom.helpers import IDENTITY, part10

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
        earlier.setattr("dicomweb_server.services.ingest.is_uid", lambda uid: True)
        client.stored(data)
    answer = client.get(INSTANCE, asked.format("transfer-syntax=*"))
    assert answer.status_code == 200
    assert data in answer.data
    assert syntax not in str(answer.headers)
    assert "X-Evil" not in answer.headers
    assert answer.headers["Content-Type"].startswith(("application/dicom", "multipart/related"))
