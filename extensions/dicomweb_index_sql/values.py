"""How the values of attributes without columns of their own are compared, by their VR."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal

from dicomweb_index_sql.columns import LONGEST, clean, name_groups
from dicomweb_server.ps318 import dates
from dicomweb_server.ps318.matching import (
    NUMBER_VRS,
    AnyOf,
    ByStoredVR,
    Equals,
    EqualsNumber,
    FuzzyName,
    IsEmpty,
    Moments,
    NameGroups,
    OneOf,
    Predicate,
    Range,
    Wildcard,
    fold,
    number_of,
    plain,
    single,
    text_of,
)

Kind = Literal["text", "long", "uid", "name", "DA", "TM", "DT", "number", "single"]

COLUMNS = ("text", "folded", "ideographic", "phonetic", "number")
_EXACT = 2**53
_KINDS: dict[str, Kind] = {
    **{"UI": "uid", "PN": "name", "DA": "DA", "TM": "TM", "DT": "DT", "FL": "single"},
    **{"LT": "long", "ST": "long", "UC": "long", "UN": "long", "UR": "long", "UT": "long"},
}


def kind_of(vr: str) -> Kind:
    """How values of a VR are compared; of an ambiguous one as of its first."""
    first = vr.split(" ")[0]
    return _KINDS.get(first, "number" if first in NUMBER_VRS else "text")


def cells(kind: Kind, value: Any, stored_vr: str = "") -> dict[str, Any]:
    """The columns that one value (DICOM JSON model) fills.

    `stored_vr`: that of the data, which counts where nobody declared one.
    """
    found: dict[str, Any] = dict.fromkeys(COLUMNS)
    text = plain(clean(text_of(value)))
    if kind == "name":
        groups = name_groups(value if isinstance(value, Mapping) else {"Alphabetic": text})
        names = ("text", "ideographic", "phonetic")
        return found | {
            name: group and group[:LONGEST]
            for name, group in zip(names, groups.values(), strict=True)
        }
    if kind in ("DA", "TM", "DT"):
        return found | {"text": dates.first_moment(kind, text)}
    if kind in ("number", "single"):
        number = number_of(text)
        return found | {"number": None if number is None else double(kind, number)}
    number = number_of(text) if stored_vr in NUMBER_VRS else None
    if number is not None:
        found["number"] = double(kind_of(stored_vr), number)
    found["text"] = text[:LONGEST]
    if kind != "uid":
        found["folded"] = fold(text)[:LONGEST]
    if len(text) >= LONGEST:
        # Wild cards need all of it; no database index is on these columns, so it fits.
        found |= {"ideographic": text, "phonetic": fold(text)}
    return found


def double(kind: Kind, number: Decimal) -> float | None:
    """A number as its column has it; None if it has none such."""
    return single(number) if kind == "single" else float(number)


def can_compare(kind: Kind, predicate: Predicate, *, nested: bool) -> bool:
    """Whether comparing columns tells whether the values fulfil a predicate."""
    match predicate:
        case AnyOf(alternatives):
            # A row cannot tell that there is none.
            return all(
                not isinstance(each, IsEmpty | ByStoredVR)
                and can_compare(kind, each, nested=nested)
                for each in alternatives
            )
        case IsEmpty():
            return not nested  # an item without it is enough
        case EqualsNumber(number):
            return kind in ("number", "single") and abs(number) < _EXACT
        case ByStoredVR(_, number):
            return kind == "long" and not nested and abs(number) < _EXACT
        case Range():
            return kind in ("DA", "TM", "DT") and not predicate.utc
        case NameGroups():
            return kind == "name"
        case Equals(value):
            return _is_text(kind, (value,))
        case OneOf(values):
            return _is_text(kind, values)
        case Wildcard(pattern):
            return kind in ("text", "long", "name") and _is_text(kind, (pattern,))
        case Moments() | FuzzyName():
            return False
    return True


def _is_text(kind: Kind, texts: Iterable[str]) -> bool:
    """Whether texts can be compared; a name with several groups is matched as a whole."""
    if kind not in ("text", "long", "uid", "name"):
        return False
    return all(len(text) < LONGEST and not (kind == "name" and "=" in text) for text in texts)
