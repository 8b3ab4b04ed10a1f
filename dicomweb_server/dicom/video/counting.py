"""How many frames a coded stream holds: the beginnings of its pictures are counted.

Nothing is decoded, and the stream is read once, in pieces. Two fields are a frame; where a stream
shows pictures again or changes in between, its frames are not told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from dicomweb_server.dicom.errors import DicomError

from . import h264, hevc, mpeg2
from .nal import unit_at

_REACH: Final = 64
"""Bytes from a start code on in which a unit says what is asked of it."""
_MOST: Final = 5_000_000
"""Units that are looked at: 46 hours of a video."""

# H.264: parameters, and slices from the first macroblock on (7.3.3: 0 is coded as a bit of 1).
_H264: Final = re.compile(
    rb"\x00\x00\x01(?=((?:[\x07\x27\x47\x67]|[\x01\x21\x41\x61\x05\x25\x45\x65][\x80-\xff]).{58}))",
    re.DOTALL,
)
# HEVC: parameters, and the first slice segments of pictures of the base layer (7.3.6.1).
_HEVC: Final = re.compile(
    rb"\x00\x00\x01(?=((?:\x42\x01|[\x00\x02\x04\x06\x08\x0a\x0c\x0e\x10\x12\x20\x22\x24\x26\x28\x2a]"
    rb"[\x01-\x07][\x80-\xff]).{58}))",
    re.DOTALL,
)
# MPEG-2: the coding extension that each picture has (6.2.3.1).
_MPEG2: Final = re.compile(rb"\x00\x00\x01\xb5(?=([\x80-\x8f].{59}))", re.DOTALL)

Weigh = Callable[[bytes], int]
"""Fields that a unit begins: 0, 1 or 2; raises `DicomError` if the stream does not tell."""


def count_frames(pieces: Iterable[bytes], codec: str) -> int | None:
    """Frames of a coded stream, None if it does not tell."""
    pattern, meter = _METERS[codec]
    weigh, fields = meter(), 0
    try:
        for count, unit in enumerate(_units(pieces, pattern)):
            fields += weigh(unit)
            if count > _MOST:
                return None
    except DicomError:
        return None
    return fields // 2 if fields and fields % 2 == 0 else None


def _units(pieces: Iterable[bytes], pattern: re.Pattern[bytes]) -> Iterator[bytes]:
    """What the pattern finds, each once, though it may lie in two pieces."""
    rest = b""
    for piece in pieces:
        window = rest + piece
        yield from (found[1] for found in pattern.finditer(window))
        rest = window[1 - _REACH :]
    yield from (found[1] for found in pattern.finditer(rest + bytes(_REACH)))


def _of_h264() -> Weigh:
    layout: h264.SliceLayout | None = None
    parameters = b""

    def weigh(unit: bytes) -> int:
        nonlocal layout, parameters
        if unit[0] & 0x1F == h264.SEQUENCE_PARAMETERS:
            found = unit_at(unit, 0).rstrip(b"\0")
            if parameters not in (b"", found):
                raise DicomError("The parameters change.")
            parameters, layout = found, layout or h264.slice_layout(found)
            return 0
        return h264.fields_of_slice(unit, layout) if layout else 0

    return weigh


def _of_hevc() -> Weigh:
    def weigh(unit: bytes) -> int:
        if unit[0] >> 1 != hevc.SEQUENCE_PARAMETERS:
            return 2
        if hevc.is_interlaced(unit):
            raise DicomError("Pictures may be fields.")
        return 0

    return weigh


_METERS: Final[Mapping[str, tuple[re.Pattern[bytes], Callable[[], Weigh]]]] = {
    h264.CODEC: (_H264, _of_h264),
    hevc.CODEC: (_HEVC, _of_hevc),
    mpeg2.CODEC: (_MPEG2, lambda: mpeg2.fields_of_picture),
}
