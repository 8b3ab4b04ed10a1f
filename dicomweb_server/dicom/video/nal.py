"""Units of H.264 and HEVC streams (ITU-T H.264, 7.3.1 and B; H.265, 7.3.1 and B)."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from dicomweb_server.dicom.bits import Bits
from dicomweb_server.dicom.errors import DicomError

LONGEST: Final = 4096
"""Bytes of a parameter set that are read: real ones have a hundred."""
_START: Final = b"\0\0\1"


def payload(unit: bytes, header: int, what: str) -> Bits:
    """The bits behind the header of a unit, without the bytes that keep start codes away."""
    return Bits(unit[header:LONGEST].replace(b"\0\0\3", b"\0\0"), what)


def unit_at(stream: bytes, at: int) -> bytes:
    """The unit that begins at `at`, behind its start code: up to the next one."""
    end = stream.find(_START, at, at + LONGEST)
    return stream[at : end if end >= 0 else at + LONGEST]


def cropped(length: int, unit: int, edges: tuple[int, int], what: str) -> int:
    """What is shown of a length when `edges`, counted in `unit`, are cut off."""
    shown = length - unit * sum(edges)
    if shown < 1:
        raise DicomError(f"The {what} cuts {unit * sum(edges)} of {length} pixels off its frames.")
    return shown


def frame_rate(ticks: int, scale: int) -> Fraction | None:
    """Frames in a second of `scale` units, each `ticks` long; None if there is no sense in it."""
    return Fraction(scale, ticks) if ticks and scale else None
