"""Which attributes have a column of their own, and how their values are brought into it.

A text attribute has its value and a folded form beside it, for searches that ignore case. A
person name has one folded column for each of its component groups. Dates, times and numbers are
normalised so that comparing columns compares values; what is none of these is NULL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dicomweb_server.ps318 import dates
from dicomweb_server.ps318.matching import fold, plain
from dicomweb_server.ps318.query_model import QueryLevel

Kind = Literal["text", "uid", "name", "date", "time", "number"]
Attributes = Mapping[str, Mapping[str, Any]]

GROUPS = ("alphabetic", "ideographic", "phonetic")


@dataclass(frozen=True, slots=True)
class Searchable:
    """An attribute with a column; `indexed` columns have a database index."""

    tag: str
    level: QueryLevel
    column: str
    kind: Kind
    indexed: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the attribute fills."""
        if self.kind == "text":
            return (self.column, f"{self.column}_folded")
        if self.kind == "name":
            return tuple(f"{self.column}_{group}" for group in GROUPS)
        return (self.column,)


_S, _E, _I = QueryLevel.STUDY, QueryLevel.SERIES, QueryLevel.INSTANCE

SEARCHABLE: tuple[Searchable, ...] = (
    Searchable("00100020", _S, "patient_id", "text", indexed=True),
    Searchable("00100010", _S, "patient_name", "name", indexed=True),
    Searchable("00100030", _S, "patient_birth_date", "date", indexed=True),
    Searchable("00100040", _S, "patient_sex", "text"),
    Searchable("0020000D", _S, "study_uid", "uid", indexed=True),
    Searchable("00080020", _S, "study_date", "date", indexed=True),
    Searchable("00080030", _S, "study_time", "time"),
    Searchable("00080050", _S, "accession_number", "text", indexed=True),
    Searchable("00200010", _S, "study_id", "text", indexed=True),
    Searchable("00081030", _S, "study_description", "text"),
    Searchable("00080080", _S, "institution_name", "text"),
    Searchable("00080090", _S, "referring_physician", "name"),
    Searchable("0020000E", _E, "series_uid", "uid", indexed=True),
    Searchable("00080060", _E, "modality", "text"),
    Searchable("00200011", _E, "series_number", "number"),
    Searchable("0008103E", _E, "series_description", "text"),
    Searchable("00180015", _E, "body_part", "text"),
    Searchable("00181030", _E, "protocol_name", "text"),
    Searchable("00081010", _E, "station_name", "text"),
    Searchable("00080070", _E, "manufacturer", "text"),
    Searchable("00080021", _E, "series_date", "date"),
    Searchable("00080031", _E, "series_time", "time"),
    Searchable("00400244", _E, "performed_date", "date"),
    Searchable("00400245", _E, "performed_time", "time"),
    Searchable("00080018", _I, "sop_uid", "uid", indexed=True),
    Searchable("00080016", _I, "sop_class_uid", "uid"),
    Searchable("00200013", _I, "instance_number", "number"),
    Searchable("00280008", _I, "number_of_frames", "number"),
    Searchable("00280010", _I, "rows", "number"),
    Searchable("00280011", _I, "columns", "number"),
    Searchable("00280100", _I, "bits_allocated", "number"),
)
BY_TAG = {searchable.tag: searchable for searchable in SEARCHABLE}


def of_level(level: QueryLevel) -> tuple[Searchable, ...]:
    """The searchable attributes whose columns are in the table of a level."""
    return tuple(s for s in SEARCHABLE if s.level is level)


LONGEST = 600
"""Characters by which indexed text is told apart: PostgreSQL's indexes take 2704 bytes."""


def clean(value: str) -> str:
    """Text that every database can keep: PostgreSQL refuses NUL."""
    return value.replace("\0", "")


def clip(searchable: Searchable, value: str) -> str:
    """As much of a text as its column has, or is compared with."""
    return value[:LONGEST] if searchable.indexed and searchable.kind != "uid" else value


def compared(value: str) -> str:
    """A text that columns, which have no NUL, are compared with: with one it equals none."""
    return value.replace("\0", "\N{SYMBOL FOR NULL}")


def _text(values: list[Any]) -> str | None:
    return plain(clean("\\".join("" if v is None else str(v) for v in values))) if values else None


def _number(values: list[Any]) -> int | None:
    try:
        number = int(values[0]) if values else None
    except (TypeError, ValueError):
        return None
    return number if number is None or abs(number) < 2**63 else None


def _name(values: list[Any]) -> dict[str, str | None]:
    return name_groups(values[0] if values and isinstance(values[0], Mapping) else {})


def name_groups(name: Mapping[str, Any]) -> dict[str, str | None]:
    """Each component group of a person name (DICOM JSON model) as it is compared."""
    return {
        group: fold(clean(str(name[key])).strip().rstrip("^")) if name.get(key) else None
        for group, key in zip(GROUPS, ("Alphabetic", "Ideographic", "Phonetic"), strict=True)
    }


def column_values(searchable: Searchable, attributes: Attributes) -> dict[str, Any]:
    """column -> value of one attribute; None where the data has none."""
    values = list(attributes.get(searchable.tag, {}).get("Value", ()))
    name = searchable.column
    if searchable.kind == "name":
        return {
            f"{name}_{group}": None if value is None else clip(searchable, value)
            for group, value in _name(values).items()
        }
    if searchable.kind == "number":
        return {name: _number(values)}
    text = _text(values)
    if searchable.kind == "text":
        if text is None:
            return {name: None, f"{name}_folded": None}
        return {name: clip(searchable, text), f"{name}_folded": clip(searchable, fold(text))}
    if text is not None and searchable.kind in ("date", "time"):
        return {name: dates.first_moment("DA" if searchable.kind == "date" else "TM", text)}
    return {name: text}
