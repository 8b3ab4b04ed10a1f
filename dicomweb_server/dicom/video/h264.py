"""The sequence parameter set of H.264 (ITU-T H.264, 7.3.2.1.1 and E.1.1).

Which profiles and levels DICOM allows: PS3.5, 8.2.7 to 8.2.9.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from dicomweb_server.dicom.bits import Bits
from dicomweb_server.dicom.errors import DicomError

from .header import Coded
from .nal import cropped, frame_rate, payload

CODEC: Final = "H.264"
SEQUENCE_PARAMETERS: Final = 7
_WHAT: Final = "H.264 stream"
_PROFILES: Final = {
    44: "CAVLC 4:4:4 Intra",
    66: "Baseline",
    77: "Main",
    88: "Extended",
    100: "High",
    110: "High 10",
    118: "Multiview High",
    122: "High 4:2:2",
    128: "Stereo High",
    244: "High 4:4:4 Predictive",
}
_BASELINE, _MAIN, _HIGH, _STEREO = 66, 77, 100, 128
_WITH_CHROMA: Final = frozenset((44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244))
_SUBSAMPLED: Final = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}  # chroma: columns, rows
_ALSO_MAIN: Final = 0x40  # constraint_set1_flag: nothing that only Baseline has (A.2.1)
_BLURAY: Final = ((1080, 1920), (720, 1280))  # PS3.5, table 8-4
_ANY_RATIO: Final = 255


@dataclass(slots=True)
class _Sps:
    """A sequence parameter set; the defaults are those of what is left out."""

    profile: int
    constraints: int
    level: int
    chroma: int = 1
    separate: bool = False
    precision: int = 8
    rows: int = 0
    columns: int = 0
    rate: Fraction | None = None
    number_bits: int = 0
    only_frames: bool = True


@dataclass(frozen=True, slots=True)
class SliceLayout:
    """How slices say whether they are of a field (7.3.3).

    Attributes:
        only_frames: they need not say it, since all are of frames.
        separate: whether each colour has slices of its own.
        number_bits: how long the number of a frame is.
    """

    only_frames: bool
    separate: bool
    number_bits: int


def slice_layout(unit: bytes) -> SliceLayout:
    """The layout of the slices behind a sequence parameter set; raises `DicomError`."""
    sps = _parsed(unit)
    return SliceLayout(sps.only_frames, sps.separate, sps.number_bits)


def fields_of_slice(unit: bytes, layout: SliceLayout) -> int:
    """1 for a slice of a field, 2 for one of a frame; raises `DicomError`."""
    if layout.only_frames:
        return 2
    bits = payload(unit, 1, _WHAT)
    bits.skip_ue(3)  # first macroblock, type, and picture parameter set
    bits.u(2 * layout.separate + layout.number_bits)
    return 1 if bits.flag() else 2


def from_parameter_set(unit: bytes) -> Coded:
    """What a sequence parameter set says; raises `DicomError`.

    `unit`: with its header.
    """
    return _coded(_parsed(unit))


def _parsed(unit: bytes) -> _Sps:
    bits = payload(unit, 1, _WHAT)
    sps = _Sps(bits.u(8), bits.u(8), bits.u(8))
    bits.ue()  # its number
    if sps.profile in _WITH_CHROMA:
        _chroma(bits, sps)
    sps.number_bits = 4 + bits.ue()
    _order_of_pictures(bits)
    _size(bits, sps)
    with suppress(DicomError):  # nobody needs what stands here to decode, so it is often wrong
        sps.rate = _rate(bits) if bits.flag() else None
    return sps


def from_configuration(record: bytes, rows: int, columns: int) -> Coded:
    """What the record in an MP4 file says (ISO/IEC 14496-15, 5.3.3); raises `DicomError`.

    `rows` and `columns` are those of the file, for records without a parameter set.
    """
    if len(record) < 6:
        raise DicomError("The configuration of H.264 (avcC) has less than 6 bytes.")
    size = int.from_bytes(record[6:8], "big")
    if record[5] & 0x1F and size:
        return from_parameter_set(record[8 : 8 + size])
    profile, constraints, level = record[1:4]
    return _coded(_Sps(profile, constraints, level, rows=rows, columns=columns))


def _coded(sps: _Sps) -> Coded:
    level = sps.level // 10, sps.level % 10
    return Coded(
        CODEC,
        _PROFILES.get(sps.profile, str(sps.profile)),
        f"{level[0]}.{level[1]}",
        sps.rows,
        sps.columns,
        sps.precision,
        _syntaxes(sps),
        sps.rate,
    )


def _syntaxes(sps: _Sps) -> tuple[str, ...]:
    """Decoders of the High Profile read Main and the common part of Baseline too (A.2.4)."""
    if sps.chroma != 1 or sps.precision != 8 or sps.level > 42:
        return ()
    if sps.profile == _STEREO:
        return ("106",)
    common = sps.profile == _BASELINE and bool(sps.constraints & _ALSO_MAIN)
    if not common and sps.profile not in (_MAIN, _HIGH):
        return ()
    higher = ("104", "105", "106")
    if sps.level > 41:
        return higher
    return ("102", *(("103",) if (sps.rows, sps.columns) in _BLURAY else ()), *higher)


def _chroma(bits: Bits, sps: _Sps) -> None:
    sps.chroma = bits.ue()
    if sps.chroma == 3:
        sps.separate = bits.flag()
    sps.precision = 8 + bits.ue()
    if sps.chroma > 3 or sps.precision > 14 or bits.ue() > 6:
        raise DicomError(f"The {_WHAT} has samples of a kind that H.264 does not know.")
    bits.flag()  # whether some blocks are lossless
    if bits.flag():
        for number in range(12 if sps.chroma == 3 else 8):
            if bits.flag():
                _scaling_list(bits, 16 if number < 6 else 64)


def _scaling_list(bits: Bits, size: int) -> None:
    """7.3.2.1.1.1: differences, of which 0 in sum ends the list."""
    last = 8
    for _ in range(size):
        last = (last + bits.se()) % 256
        if not last:
            return


def _order_of_pictures(bits: Bits) -> None:
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.flag()
        bits.skip_ue(2)
        count = bits.ue()
        if count > 255:
            raise DicomError(f"The {_WHAT} has a cycle of {count} pictures; possible are 255.")
        bits.skip_ue(count)
    bits.ue()  # reference frames
    bits.flag()


def _size(bits: Bits, sps: _Sps) -> None:
    columns, units = 16 * (1 + bits.ue()), 1 + bits.ue()
    sps.only_frames = bits.flag()
    fields = 1 if sps.only_frames else 2
    if fields == 2:
        bits.flag()
    rows = 16 * units * fields
    bits.flag()
    across, down = (1, 1) if sps.separate else _SUBSAMPLED[sps.chroma]
    edges = [bits.ue() for _ in range(4)] if bits.flag() else [0] * 4
    sps.columns = cropped(columns, across, (edges[0], edges[1]), _WHAT)
    sps.rows = cropped(rows, down * fields, (edges[2], edges[3]), _WHAT)


def _rate(bits: Bits) -> Fraction | None:
    """Video usability information (E.1.1) as far as its clock, which ticks for each field."""
    if bits.flag() and bits.u(8) == _ANY_RATIO:
        bits.u(32)
    if bits.flag():
        bits.flag()  # overscan
    if bits.flag():
        bits.u(4)  # video format and range
        if bits.flag():
            bits.u(24)
    if bits.flag():
        bits.skip_ue(2)  # where chroma samples lie
    return frame_rate(2 * bits.u(32), bits.u(32)) if bits.flag() else None
