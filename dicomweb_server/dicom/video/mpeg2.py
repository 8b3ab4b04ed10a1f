"""The sequence header of MPEG-2 video (ITU-T H.262, 6.2.2.1 and 6.2.2.3).

Which profiles and levels DICOM allows: PS3.5, 8.2.5 and 8.2.6.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from dicomweb_server.dicom.bits import Bits
from dicomweb_server.dicom.errors import DicomError

from .header import Coded
from .nal import unit_at

CODEC: Final = "MPEG-2"
SEQUENCE: Final = b"\0\0\1\xb3"
_EXTENSION: Final = b"\0\0\1\xb5"
_WHAT: Final = "MPEG-2 stream"
_PROFILES: Final = {1: "High", 2: "Spatially Scalable", 3: "SNR Scalable", 4: "Main", 5: "Simple"}
_LEVELS: Final = {4: "High", 6: "High 1440", 8: "Main", 10: "Low"}
_SYNTAXES: Final = {4: ("101",), 8: ("100", "101"), 10: ("100", "101")}
_MAIN, _SIMPLE = 4, 5
_FRAME_PICTURE: Final = 3
_RATES: Final = (
    None,
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(50),
    Fraction(60000, 1001),
    Fraction(60),
)


def from_sequence(stream: bytes, at: int) -> Coded:
    """What the sequence header with its start code at `at` says; raises `DicomError`."""
    head = unit_at(stream, at + 4)
    bits = Bits(head, _WHAT)
    columns, rows = bits.u(12), bits.u(12)
    bits.u(4)  # aspect ratio
    code = bits.u(4)
    extension = at + 4 + len(head)
    if stream[extension : extension + 4] != _EXTENSION:
        raise DicomError("The video is an MPEG-1 stream; possible is MPEG-2 (PS3.5, 8.2.5).")
    return _extended(unit_at(stream, extension + 4), columns, rows, code)


def fields_of_picture(extension: bytes) -> int:
    """Fields that a picture codes (6.2.3.1), of its coding extension behind the start code.

    Raises:
        DicomError: a field is shown again, so that there are more frames than pictures.
    """
    if extension[3] & 0x02:
        raise DicomError("The video repeats fields.")
    return 2 if extension[2] & 3 == _FRAME_PICTURE else 1


def _extended(extension: bytes, columns: int, rows: int, code: int) -> Coded:
    bits = Bits(extension, _WHAT)
    kind, escape, profile, level = bits.u(4), bits.flag(), bits.u(3), bits.u(4)
    if kind != 1:
        raise DicomError(f"The {_WHAT} has the extension {kind} behind its header instead of 1.")
    bits.flag()  # progressive
    chroma = bits.u(2)
    columns, rows = columns | bits.u(2) << 12, rows | bits.u(2) << 12
    bits.u(12 + 1 + 8 + 1)
    factor = Fraction(1 + bits.u(2), 1 + bits.u(5))
    rate = _RATES[code] if code < len(_RATES) else None
    known = not escape and chroma == 1 and profile in (_MAIN, _SIMPLE)
    return Coded(
        CODEC,
        "4:2:2 or Multi-view" if escape else _PROFILES.get(profile, str(profile)),
        "of its own" if escape else _LEVELS.get(level, str(level)),
        rows,
        columns,
        8,
        _SYNTAXES.get(level, ()) if known else (),
        rate and rate * factor,
    )
