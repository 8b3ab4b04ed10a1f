"""The markers before the first scan of a JPEG or JPEG-LS image (ITU-T T.81, B; T.87, C)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import unpack_from

from dicomweb_server.interfaces.codecs import CodecError

SOF_LOSSLESS, SOF_JPEG_LS = 0xC3, 0xF7
_FRAMES = frozenset((0xC0, 0xC1, 0xC2, SOF_LOSSLESS, SOF_JPEG_LS))
_OTHER_FRAMES = frozenset(range(0xC5, 0xD0)) - {0xC8, 0xCC}
_SCAN, _ADOBE, _JFIF = 0xDA, 0xEE, 0xE0
_BARE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length
_END = b"\xff\xd9"
_RGB = (b"RGB", b"rgb")


@dataclass(slots=True)
class Markers:
    """What they say.

    Attributes:
        sof: the second byte of the marker SOF.
        names: identifiers of the components.
        adobe: the transformation of colours in the segment of Adobe (APP14), None without one.
        jfif: whether there is a segment of JFIF (APP0).
    """

    sof: int = 0
    precision: int = 0
    rows: int = 0
    columns: int = 0
    names: bytes = b""
    adobe: int | None = None
    jfif: bool = False

    @property
    def says_rgb(self) -> bool:
        """Whether it is marked that the components are red, green and blue."""
        return self.names in _RGB or (self.adobe == 0 and not self.jfif)

    @property
    def says_ycbcr(self) -> bool:
        """Whether it is marked that the components are Y, Cb and Cr."""
        return not self.says_rgb and (self.jfif or self.adobe == 1)


def read_markers(frame: bytes, what: str) -> Markers:
    """The markers of an image that ends as it must.

    Raises:
        CodecError: it is something else, or was cut.
    """
    if frame[:2] != b"\xff\xd8":
        raise CodecError(f"The {what} does not begin with the marker SOI (FFD8).")
    seen, at = Markers(), 2
    while len(frame) >= at + 4:
        kind = frame[at + 1]
        if frame[at] != 0xFF:
            raise CodecError(f"The {what} has {frame[at]:02X} at byte {at} instead of a marker.")
        if kind == 0xFF or kind in _BARE:
            at += 1 if kind == 0xFF else 2
            continue
        (size,) = unpack_from(">H", frame, at + 2)
        body = frame[at + 4 : at + 2 + size]
        at += 2 + size
        if kind == _SCAN:
            return _complete(seen, frame, at, what)
        _segment(seen, kind, body, what)
    raise CodecError(f"The {what} ends at byte {len(frame)}, before its first scan.")


def _segment(seen: Markers, kind: int, body: bytes, what: str) -> None:
    if kind in _OTHER_FRAMES:
        raise CodecError(f"The {what} is of process SOF {kind:02X}, which DICOM does not know.")
    if kind in _FRAMES:
        if len(body) < 6 or len(body) < 6 + 3 * body[5]:
            raise CodecError(f"The frame header (SOF) of the {what} is too short.")
        seen.sof = kind
        seen.precision, seen.rows, seen.columns, count = unpack_from(">BHHB", body)
        seen.names = body[6 : 6 + 3 * count : 3]
    elif kind == _ADOBE and body[:5] == b"Adobe" and len(body) > 11:
        seen.adobe = body[11]
    elif kind == _JFIF and body[:5] == b"JFIF\0":
        seen.jfif = True


def _complete(seen: Markers, frame: bytes, at: int, what: str) -> Markers:
    if not seen.sof:
        raise CodecError(f"The {what} has no frame header (SOF) before its first scan.")
    # Decoders fill up what is missing with grey: nobody would see that it was cut.
    if frame.rfind(_END, at) < 0:
        raise CodecError(f"The {what} ends without the marker EOI (FFD9): it was cut.")
    return seen
