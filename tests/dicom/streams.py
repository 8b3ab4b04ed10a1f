"""Streams that real encoders made: tests/streams/README.md says how."""

from pathlib import Path

from dicomweb_server.dicom import DicomError
from dicomweb_server.dicom.image_header import ImageHeader

FOLDER = Path(__file__).parents[1] / "streams"
FAMILY = "1.2.840.10008.1.2.4."


def stream(name):
    """The bytes of a file."""
    return (FOLDER / name).read_bytes()


def reader(data, around=7):
    """`read(offset, length)` of bytes that lie at `around` of a larger stream."""
    whole = b"\xaa" * around + data + b"\xbb" * 9
    return lambda offset, length: whole[offset : offset + length]


def numbers(header):
    """The ends of the transfer syntaxes."""
    assert all(uid.startswith(FAMILY) for uid in header.syntaxes)
    return " ".join(uid.removeprefix(FAMILY) for uid in header.syntaxes)


def header_or_error(read, data):
    """A header that makes sense, or None for a `DicomError`; every other error is one."""
    try:
        found = read(data)
    except DicomError:
        return None
    header = found if isinstance(found, ImageHeader) else found.image
    assert header.rows >= 0
    assert header.columns >= 0
    assert 1 <= header.precision <= 64
    assert header.start + header.length <= len(data)
    return found
