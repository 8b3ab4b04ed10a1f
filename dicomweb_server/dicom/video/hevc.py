"""The sequence parameter set of HEVC (ITU-T H.265, 7.3.2.2 and 7.3.3).

Which profiles and levels DICOM allows: PS3.5, 8.2.10 and 8.2.11.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dicomweb_server.dicom.bits import Bits
from dicomweb_server.dicom.errors import DicomError

from .header import Coded
from .nal import cropped, payload

CODEC: Final = "HEVC"
_WHAT: Final = "HEVC stream"
SEQUENCE_PARAMETERS: Final = 33
_PROFILES: Final = {1: "Main", 2: "Main 10", 3: "Main Still Picture", 4: "Range Extensions"}
_MAIN, _MAIN_10 = 1, 2
_SUBSAMPLED: Final = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}  # chroma: columns, rows
_LEVEL_5_1: Final = 153  # thirty for each whole level
_RECORD: Final = 23  # bytes of hvcC before its arrays


@dataclass(slots=True)
class _Tier:
    """Profile, tier and level (7.3.3)."""

    profile: int
    compatible: int
    level: int


def from_parameter_set(unit: bytes) -> Coded:
    """What a sequence parameter set says; raises `DicomError`.

    `unit`: with its header.
    """
    bits = payload(unit, 2, _WHAT)
    bits.u(4)  # the video parameter set
    layers = bits.u(3)
    bits.flag()
    tier = _tier(bits, layers)
    bits.ue()  # its number
    chroma = bits.ue()
    if chroma > 3:
        raise DicomError(f"The {_WHAT} has the chroma format {chroma}; possible are 0 to 3.")
    separate = chroma == 3 and bits.flag()
    columns, rows = bits.ue(), bits.ue()
    edges = [bits.ue() for _ in range(4)] if bits.flag() else [0] * 4
    across, down = (1, 1) if separate else _SUBSAMPLED[chroma]
    rows = cropped(rows, down, (edges[2], edges[3]), _WHAT)
    columns = cropped(columns, across, (edges[0], edges[1]), _WHAT)
    precision = 8 + bits.ue()
    return _coded(tier, chroma, precision, rows, columns)


def is_interlaced(unit: bytes) -> bool:
    """Whether a sequence parameter set says that its pictures may be fields (7.4.4)."""
    bits = payload(unit, 2, _WHAT)
    bits.u(8 + 8 + 32)  # up to the profiles that it keeps to
    bits.flag()  # progressive
    return bits.flag()


def from_configuration(record: bytes, rows: int, columns: int) -> Coded:
    """What the record in an MP4 file says (ISO/IEC 14496-15, 8.3.3); raises `DicomError`.

    `rows` and `columns` are those of the file, for records without a parameter set.
    """
    if len(record) < _RECORD:
        raise DicomError(f"The configuration of HEVC (hvcC) has less than {_RECORD} bytes.")
    unit = _parameter_set(record)
    if unit:
        return from_parameter_set(unit)
    tier = _Tier(record[1] & 0x1F, int.from_bytes(record[2:6], "big"), record[12])
    return _coded(tier, record[16] & 3, 8 + (record[17] & 7), rows, columns)


def _parameter_set(record: bytes) -> bytes:
    """The first sequence parameter set of a record, b"" if it has none."""
    at = _RECORD
    for _ in range(record[22]):
        head = record[at : at + 5]
        if len(head) < 5:
            break
        count, size = (int.from_bytes(head[n : n + 2], "big") for n in (1, 3))
        if count and head[0] & 0x3F == SEQUENCE_PARAMETERS:
            return record[at + 5 : at + 5 + size]
        at += 3
        while count and at < len(record):
            at, count = at + 2 + int.from_bytes(record[at : at + 2], "big"), count - 1
    return b""


def _tier(bits: Bits, layers: int) -> _Tier:
    bits.u(3)
    profile, compatible = bits.u(5), bits.u(32)
    bits.u(48)  # further constraints
    level = bits.u(8)
    if layers:
        present = [(bits.flag(), bits.flag()) for _ in range(layers)]
        bits.u(2 * (8 - layers))
        for has_profile, has_level in present:
            bits.u(88 * has_profile + 8 * has_level)
    return _Tier(profile, compatible, level)


def _coded(tier: _Tier, chroma: int, precision: int, rows: int, columns: int) -> Coded:
    whole, rest = divmod(tier.level, 30)
    return Coded(
        CODEC,
        _PROFILES.get(tier.profile, str(tier.profile)),
        f"{whole}.{rest // 3}",
        rows,
        columns,
        precision,
        _syntaxes(tier, chroma, precision),
    )


def _syntaxes(tier: _Tier, chroma: int, precision: int) -> tuple[str, ...]:
    """A stream may say that it keeps to a lower profile too (A.3.2, A.3.3)."""
    if chroma != 1 or tier.level > _LEVEL_5_1:
        return ()

    def keeps_to(profile: int) -> bool:
        return tier.profile == profile or bool(tier.compatible >> (31 - profile) & 1)

    if precision == 8 and keeps_to(_MAIN):
        return ("107",)
    return ("108",) if precision in (8, 10) and keeps_to(_MAIN_10) else ()
