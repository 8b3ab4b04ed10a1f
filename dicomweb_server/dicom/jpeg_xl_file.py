"""Where the codestream of a JPEG XL image lies (ISO/IEC 18181-2).

PS3.5, A.4.12, asks for the bit stream of ISO/IEC 18181-1 in one fragment for each frame. The boxes
of a file are taken off where that loses nothing: what rebuilds a JPEG image lies in a box, and a
codestream in several boxes would have to be joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .boxes import Box, boxes
from .errors import DicomError
from .stream_bytes import StreamBytes

_FILE: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_CODESTREAM: Final = b"\xff\x0a"
_HEADERS: Final = 4096
"""Bytes in which all headers end but entropy-coded ones: about 700 with everything in them."""
_INDEX: Final = 4  # bytes before the codestream in a jxlp box


@dataclass(frozen=True, slots=True)
class Codestream:
    """One codestream.

    Attributes:
        beginning: its first bytes, at least all headers.
        start, length: where the bytes to be kept lie: it alone, or the file around it.
        reconstructs_jpeg: whether the file says how to make the JPEG image of it again.
    """

    beginning: bytes
    start: int
    length: int
    reconstructs_jpeg: bool = False


def find_codestream(data: StreamBytes, what: str) -> Codestream:
    """The codestream of an image, with or without a file around it; raises `DicomError`."""
    if data.get(0, min(len(_FILE), data.length), what) != _FILE:
        return _checked(Codestream(_piece(data, 0, data.length, what), 0, data.length), what)
    found = list(boxes(data, 0, data.length, what))
    jpeg = any(each.kind == b"jbrd" for each in found)
    whole = next((each for each in found if each.kind == b"jxlc"), None)
    if whole is None:
        beginning = _joined(data, found, what)
        return _checked(Codestream(beginning, 0, data.length, jpeg), what)
    size = whole.end - whole.start
    beginning = _piece(data, whole.start, size, what)
    start, length = (0, data.length) if jpeg else (whole.start, size)
    return _checked(Codestream(beginning, start, length, jpeg), what)


def _checked(stream: Codestream, what: str) -> Codestream:
    if stream.beginning[:2] != _CODESTREAM:
        found = stream.beginning[:2].hex().upper()
        raise DicomError(f"The {what} begins with {found!r}; possible are FF0A and the box JXL.")
    return stream


def _joined(data: StreamBytes, found: list[Box], what: str) -> bytes:
    """The beginning of a codestream in several boxes, which stand in order (9.10)."""
    beginning = b""
    for each in found:
        size = each.end - each.start - _INDEX
        if each.kind == b"jxlp" and size > 0 and len(beginning) < _HEADERS:
            beginning += _piece(data, each.start + _INDEX, size, what)
    return beginning


def _piece(data: StreamBytes, at: int, size: int, what: str) -> bytes:
    return data.get(at, min(size, _HEADERS), what)
