"""From what a walk found to a `ParsedInstance`."""

from array import array
from dataclasses import dataclass, field
from struct import Struct
from typing import Any

from .instance import LocatedValue, ParsedInstance, first_number, first_text
from .json_model import BulkPath, dump_header
from .pixel_data import ByteRange, Clues, PixelData, map_frames, marks_of
from .scope import OpenFragments, Scope
from .transfer_syntaxes import is_video
from .values import CONVERTERS

Attributes = dict[str, dict[str, Any]]

_MAX_FRAMES = 0xFFFFFFFF
_PIXEL_DATA_KEYS = ("7FE00010", "7FE00008", "7FE00009")
# Elements whose VR was ambiguous: data set, key, element, "US or SS", value, its offset.
Deferred = list[tuple[Scope, str, dict[str, Any], str, bytes, int]]


@dataclass
class Findings:
    """All that a walk through a stream found."""

    attributes: Attributes
    order: str
    transfer_syntax: str
    size: int
    deflated: bool
    reader: str
    problems: list[str]
    located: list[LocatedValue]
    deferred: Deferred = field(default_factory=list)
    encapsulated: OpenFragments | None = None
    offset_tables: tuple[bytes, bytes] = (b"", b"")  # extended: offsets, lengths


def assemble(found: Findings) -> ParsedInstance:
    """Settle what depends on the whole data set, and put it all together."""
    attributes = found.attributes
    resolve_deferred(found.deferred, found.located, found.order)
    pixel_data = _pixel_data(found)
    return ParsedInstance(
        patient_id=first_text(attributes, "00100020"),
        study_uid=first_text(attributes, "0020000D"),
        series_uid=first_text(attributes, "0020000E"),
        sop_uid=first_text(attributes, "00080018"),
        sop_class_uid=first_text(attributes, "00080016"),
        transfer_syntax=found.transfer_syntax,
        attributes=attributes,
        header=dump_header(attributes),
        located=tuple(sorted(found.located, key=lambda value: value.offset)),
        pixel_data=pixel_data,
        size=found.size,
        deflated=found.deflated,
        big_endian=found.order == ">",
        reader=found.reader,
        problems=tuple(found.problems),
    )


def resolve_deferred(deferred: Deferred, located: list[LocatedValue], order: str) -> None:
    """Give ambiguous elements their VR, as `settle_vr` finds it."""
    for scope, key, element, ambiguous, raw, offset in deferred:
        if scope.values.get(key) is not element:
            continue  # the element came a second time
        vr = settle_vr(ambiguous, scope, key)
        element["vr"] = vr
        if not raw:
            continue
        if vr == "OW":
            path = BulkPath(scope.path + key.lower())
            element["BulkDataURI"] = path
            located.append(LocatedValue(path, vr, offset, len(raw)))
        else:
            element.update(CONVERTERS[scope.order][vr](raw, scope, key))


def settle_vr(ambiguous: str, scope: Scope, key: str) -> str:
    """The VR of an element that PS3.6 gives several, from the data sets around it."""
    if ambiguous == "US or SS":
        return "SS" if scope.nearest_pixel_representation() else "US"
    if ambiguous == "US or OW":
        # One entry means one number; all other LUT data are words (PS3.3, C.11.1.1.1).
        return "US" if first_number(scope.values, "00283002") == 1 else "OW"
    return "OW"


def _pixel_data(found: Findings) -> PixelData | None:
    attributes = found.attributes
    key = next((k for k in _PIXEL_DATA_KEYS if "BulkDataURI" in attributes.get(k, ())), None)
    if key is None:
        return None
    path = key.lower()
    place = next((value for value in reversed(found.located) if value.path == path), None)
    if place is None:
        return None
    frames = first_number(attributes, "00280008")
    fragments = found.encapsulated
    if fragments is not None and fragments.key == key:
        return _encapsulated(found, fragments, place, frames)
    return PixelData(
        tag=key,
        vr=place.vr,
        offset=place.offset,
        length=place.length,
        encapsulated=False,
        number_of_frames=min(frames, _MAX_FRAMES) if frames and frames > 0 else 1,
        frame_bits=frame_bits(attributes, key),
    )


def frame_bits(attributes: Attributes, key: str = "7FE00010") -> int:
    """Bits of a native frame (PS3.5, 8.1); 0 if an element that tells is missing."""
    rows, columns, allocated = (
        first_number(attributes, tag) or 0 for tag in ("00280010", "00280011", "00280100")
    )
    if key == "7FE00008":
        allocated = 32
    elif key == "7FE00009":
        allocated = 64
    samples = first_number(attributes, "00280002") or 1
    bits = rows * columns * samples * allocated
    if samples == 3 and first_text(attributes, "00280004") in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        bits = bits // 3 * 2  # two pixels share their colour (PS3.3, C.7.6.3.1.2)
    return bits if 0 < bits < 1 << 62 else 0


def _encapsulated(
    found: Findings, fragments: OpenFragments, place: LocatedValue, frames: int | None
) -> PixelData:
    order = found.order
    table = fragments.table or b""
    mapping = map_frames(
        fragments.lengths,
        Clues(
            frames=min(frames, _MAX_FRAMES) if frames and frames > 0 else None,
            basic=_numbers(table, "I", order),
            extended=_numbers(found.offset_tables[0], "Q", order),
            extended_lengths=_numbers(found.offset_tables[1], "Q", order),
            heads=bytes(fragments.heads),
            video=is_video(found.transfer_syntax),
        ),
    )
    if mapping.problem:
        found.problems.append(mapping.problem)
    return PixelData(
        tag=fragments.key,
        vr="OB",
        offset=place.offset,
        length=place.length,
        encapsulated=True,
        number_of_frames=mapping.number_of_frames,
        offset_table=ByteRange(fragments.first - len(table), len(table)),
        lengths=fragments.lengths,
        starts=mapping.starts,
        frame_lengths=mapping.frame_lengths,
        marks=marks_of(fragments.lengths),
    )


def _numbers(raw: bytes, code: str, order: str) -> "array[int]":
    size = 4 if code == "I" else 8
    count = len(raw) // size
    return array(code, Struct(f"{order}{count}{code}").unpack(raw[: count * size]))
