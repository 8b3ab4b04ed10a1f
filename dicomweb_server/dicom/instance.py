"""What is known of a DICOM instance after one pass over its stream."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .pixel_data import PixelData

MAX_DEPTH = 80
"""Of items inside each other: JSON writers do not bear more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what a stream may make the reader hold in memory.

    Attributes:
        header_bytes: of the file, for all elements that are loaded.
        depth: how many items may lie inside each other, at most `MAX_DEPTH`.
        inline_value: text and numbers longer than this many bytes are located, not loaded.
        elements: elements and items at all depths. Each takes about 400 bytes of memory; of many
            values in one element, eight count as another one.
    """

    header_bytes: int = 64 << 20
    depth: int = 64
    inline_value: int = 1 << 20
    elements: int = 1_000_000


@dataclass(frozen=True, slots=True)
class LocatedValue:
    """A value left in the file.

    Attributes:
        path: as in its BulkDataURI: "7fe00010", "60031010/2/60031011" (items count from 1).
        vr: its value representation; "SQ" for sequences, which only `locate` reports.
        offset, length: bytes from the start of the stream. Encapsulated data runs from the item tag
            of its offset table to before its sequence delimiter.
    """

    path: str
    vr: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class ParsedInstance:
    """A DICOM instance (PS3.10), its pixel data left where it is.

    Attributes:
        patient_id, study_uid, series_uid, sop_uid, sop_class_uid: "" where missing.
        transfer_syntax: UID, as group 0002 says; guessed if that does not tell.
        attributes: the data set in the DICOM JSON model, tags ascending, without group 0002 and
            group lengths. Values of "BulkDataURI" are paths as in `LocatedValue`. Equal elements
            may be one object, of several instances too: nobody must change them.
        header: the same as JSON text; see `json_model.render`.
        located: all values left in the file, nested ones too.
        pixel_data: that of the main data set.
        size: bytes fed.
        deflated: whether offsets count in the stream with its data set inflated (PS3.5, A.5).
        big_endian: whether values are in big endian byte order.
        reader: "fast" or "pydicom".
        problems: what was tolerated, in sentences, at most a hundred.
    """

    patient_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str
    transfer_syntax: str
    attributes: dict[str, dict[str, Any]]
    header: bytes
    located: tuple[LocatedValue, ...]
    pixel_data: PixelData | None
    size: int
    deflated: bool
    big_endian: bool
    reader: str
    problems: tuple[str, ...]


def first_text(attributes: Mapping[str, Any], key: str) -> str:
    """The first value of an element as text, "" if there is none."""
    values = attributes.get(key, {}).get("Value")
    return values[0] if values and isinstance(values[0], str) else ""


def first_number(attributes: Mapping[str, Any], key: str) -> int | None:
    """The first value of an element as a whole number, None if there is none."""
    values = attributes.get(key, {}).get("Value")
    return values[0] if values and isinstance(values[0], int) else None
