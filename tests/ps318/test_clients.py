"""What independent implementations write is read here, and the other way round."""

import email
import email.policy
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from dicomweb_client.api import DICOMwebClient

from dicomweb_server.ps318.accept import ANY, Offer, negotiate
from dicomweb_server.ps318.media_types import EXPLICIT_VR_LITTLE_ENDIAN
from dicomweb_server.ps318.multipart import (
    PART_END,
    MultipartDecoder,
    MultipartEncoder,
    PartData,
    PartEnd,
    boundary_of,
)

CONTENTS = [b"", b"one", b"\r\n\r\n--\r\n", bytes(range(256)) * 300]


@pytest.fixture
def message():
    """(Content-Type, body) as our server sends them."""
    encoder = MultipartEncoder()
    body = b"".join(
        encoder.part_header("application/dicom", len(each)) + each + PART_END for each in CONTENTS
    )
    return encoder.content_type("application/dicom"), body + encoder.closing()


class Response(nullcontext):
    """As much of a response of requests as the client reads."""

    def __init__(self, content_type, content):
        super().__init__()
        self.headers = {"content-type": content_type}
        self.content = content

    def iter_content(self, chunk_size):
        return (self.content[at : at + 1000] for at in range(0, len(self.content), 1000))


@pytest.mark.parametrize("stream", [False, True])
def test_dicomweb_client_reads_our_messages(message, stream):
    client = SimpleNamespace(
        _extract_part_content=DICOMwebClient._extract_part_content, _chunk_size=1000
    )
    parts = DICOMwebClient._decode_multipart_message(client, Response(*message), stream)
    # it cannot tell an empty part from no part
    assert [bytes(part) for part in parts] == CONTENTS


def test_the_standard_library_reads_our_messages(message):
    content_type, body = message
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    parsed = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    assert [part.get_content_type() for part in parsed.iter_parts()] == ["application/dicom"] * 4
    assert [int(part["Content-Length"]) for part in parsed.iter_parts()] == list(map(len, CONTENTS))


def test_we_read_the_messages_of_dicomweb_client():
    content_type = (
        'multipart/related; type="application/dicom"; '
        'boundary="0f3cf5c0-70e0-41ef-baef-c6f9f65ec3e1"'
    )
    body = DICOMwebClient._encode_multipart_message(CONTENTS, content_type)
    decoder = MultipartDecoder(boundary_of(content_type))
    contents, ends = [b""], []
    for event in [*decoder.feed(body), *decoder.close()]:
        if isinstance(event, PartData):
            contents[-1] += event.data
        elif isinstance(event, PartEnd):
            contents.append(b"")
            ends.append(event.complete)
    assert contents[:-1] == CONTENTS
    assert ends == [True] * len(CONTENTS)


ELE, J2K, JLS = EXPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80"
SYNTAXES = {
    ELE: "application/octet-stream",
    J2K: "image/jp2",
    JLS: "image/jls",
}
OCTETS = Offer("application/octet-stream", True, frozenset({ELE}))
STORED = Offer("image/jls", True, frozenset({JLS}), as_stored=True)
DICOM = Offer("application/dicom", True, ANY)

ASKED = [
    (("application/octet-stream",), OCTETS, None),
    (("image/*",), STORED, None),
    ((("image/jls", JLS),), STORED, JLS),
    ((("image/jp2", J2K), ("image/jls", JLS)), STORED, JLS),
    ((("image/jp2", J2K), ("application/octet-stream", ELE)), OCTETS, ELE),
    ((("application/octet-stream", "*"),), STORED, "*"),
]


@pytest.mark.parametrize(("media_types", "offer", "syntax"), ASKED)
def test_frames_as_dicomweb_client_asks_for_them(media_types, offer, syntax):
    header = DICOMwebClient._build_multipart_accept_header_field_value(media_types, SYNTAXES)
    match = negotiate(header, (OCTETS, STORED))
    assert (match.offer, match.transfer_syntax) == (offer, syntax)


@pytest.mark.parametrize("syntax", [None, "*", J2K])
def test_instances_as_dicomweb_client_asks_for_them(syntax):
    asked = ("application/dicom",) if syntax is None else (("application/dicom", syntax),)
    known = dict.fromkeys(SYNTAXES, "application/dicom")
    header = DICOMwebClient._build_multipart_accept_header_field_value(asked, known)
    match = negotiate(header, (DICOM,))
    assert (match.offer, match.transfer_syntax) == (DICOM, syntax)
