"""Attribute matching of PS3.4, C.2.2.2, as predicates on the values of one attribute.

A predicate is a small frozen dataclass, so that an index can translate it, and knows
`matches(values)`, so that everything else can be filtered without one. `values` are texts, one per
value of the attribute, as `texts_of` takes them from the DICOM JSON model; () if the attribute is
absent or empty.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final
from unicodedata import normalize

from dicomweb_server.ps318 import dates
from dicomweb_server.ps318.names import is_like

WILDCARD_VRS: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UN", "UR", "UT"})
DATE_VRS: Final = frozenset({"DA", "TM", "DT"})
NUMBER_VRS: Final = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
_MIDNIGHT: Final = "000000.000000"
BINARY_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW"})


def fold(text: str) -> str:
    """Text without case: equal for `é` and `É`, however composed, but not for `e` and `é`."""
    return normalize("NFC", normalize("NFC", text).casefold())


def plain(text: str) -> str:
    """Text for comparing with case: composed, without padding."""
    return normalize("NFC", text).strip(" \0")


def texts_of(element: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The values of one attribute of the DICOM JSON model (PS3.18, annex F) as texts.

    A person name becomes its raw form `Alphabetic=Ideographic=Phonetic`; null and empty values are
    left out.
    """
    values = element.get("Value") if element else None
    if not isinstance(values, list):
        return ()
    texts = (text_of(value) for value in values)
    return tuple(text for text in texts if text)


def text_of(value: Any) -> str:
    """One value of the DICOM JSON model as text; "" for null."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        groups = (str(value.get(name) or "") for name in ("Alphabetic", "Ideographic", "Phonetic"))
        return "=".join(groups).rstrip("=")
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class AnyValue:
    """Universal matching (C.2.2.2.3): everything, also where the attribute is absent or empty."""

    def matches(self, values: Sequence[str]) -> bool:
        """Always True."""
        return True


@dataclass(frozen=True, slots=True)
class Equals:
    """Single value matching of text (C.2.2.2.1). `value` is `fold`ed if `folded`, else `plain`."""

    value: str
    folded: bool = False

    def matches(self, values: Sequence[str]) -> bool:
        """Whether any value is equal, apart from padding."""
        clean = _cleaner(self.folded)
        return any(clean(each) == self.value for each in values)


@dataclass(frozen=True, slots=True)
class EqualsNumber:
    """Single value matching of numbers: `0512` equals `512`.

    FL values are compared in single precision, FD values in double precision.
    """

    number: Decimal
    vr: str

    def matches(self, values: Sequence[str]) -> bool:
        """Whether any value is the same number."""
        return any(self._is_same(number_of(each)) for each in values)

    def _is_same(self, other: Decimal | None) -> bool:
        if other is None:
            return False
        if self.vr == "FL":
            wanted = single(self.number)
            return wanted is not None and wanted == single(other)
        return float(self.number) == float(other) if self.vr == "FD" else self.number == other


@dataclass(frozen=True, slots=True)
class ByStoredVR:
    """Single value matching of an attribute whose VR nobody declared: that of the data counts.

    A private attribute has the VR that explicit VR files give it (PS3.5, 7.8.1); `01.50` equals
    `1.5` where that is one of numbers.
    """

    text: Equals
    number: Decimal

    @property
    def folded(self) -> bool:
        """Whether the text is compared without case."""
        return self.text.folded

    def matches(self, values: Sequence[str]) -> bool:
        """Whether any value is equal as a text, for want of a VR."""
        return self.text.matches(values)


@dataclass(frozen=True, slots=True)
class OneOf:
    """List matching (C.2.2.2.2, C.2.2.2.8): any of the texts.

    Each is `fold`ed if `folded`, else `plain`.
    """

    values: tuple[str, ...]
    folded: bool = False

    def matches(self, values: Sequence[str]) -> bool:
        """Whether any value equals any of the list."""
        clean = _cleaner(self.folded)
        return any(clean(each) in self.values for each in values)


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Wild card matching (C.2.2.2.4) of the whole value: `*` any text, `?` one character."""

    pattern: str
    folded: bool = False

    def matches(self, values: Sequence[str]) -> bool:
        """Whether any value fits the pattern."""
        clean = _cleaner(self.folded)
        return any(fits(self.pattern, clean(each)) for each in values)


@dataclass(frozen=True, slots=True)
class Range:
    """Range matching of DA, TM and DT (C.2.2.2.5), both ends inclusive, None for an open end.

    A single value is a range too: it stands for all moments within its precision.

    `low` and `high` are texts of fixed width (`dates`): comparing `dates.first_moment` of a stored
    value with them as text is the comparison. `utc`: the DT key named an offset, and stored values
    must be converted; one without offset counts as UTC.
    """

    vr: str
    low: str | None
    high: str | None
    utc: bool = False
    single: bool = field(default=False, compare=False)
    """Whether one value was given: that matters where ranges of a date and a time are combined."""

    def matches(self, values: Sequence[str]) -> bool:
        """Whether any value lies within; what is no DA, TM or DT does not."""
        return any(self._holds(each.strip(" \0")) for each in values)

    def _holds(self, text: str) -> bool:
        moment = dates.first_moment(self.vr, text, utc=self.utc)
        if moment is None:
            return False
        return (self.low is None or self.low <= moment) and (
            self.high is None or moment <= self.high
        )


@dataclass(frozen=True, slots=True)
class Moments:
    """Combined matching of a date and a time, each given as a range (C.2.2.2.5).

    `low` and `high`: a date and a time of fixed width (`dates`), put together; None for an open
    end. The values of the condition are dates; `time_tag` has the times.
    """

    time_tag: str
    low: str | None
    high: str | None

    def matches(self, values: Sequence[str]) -> bool:
        """Whether any date lies within the days; `holds` heeds the times too."""
        days = (dates.first_moment("DA", each.strip(" \0")) for each in values)
        return any(day is not None and self._within(day, 8) for day in days)

    def holds(self, days: Sequence[str], times: Sequence[str]) -> bool:
        """Whether the first date and time lie within; without a time it is the day's beginning."""
        day = dates.first_moment("DA", days[0].strip(" \0")) if days else None
        time = dates.first_moment("TM", times[0].strip(" \0")) if times else None
        return day is not None and self._within(day + (time or _MIDNIGHT), None)

    def _within(self, moment: str, width: int | None) -> bool:
        return (self.low is None or self.low[:width] <= moment) and (
            self.high is None or moment <= self.high[:width]
        )


@dataclass(frozen=True, slots=True)
class IsEmpty:
    """Empty value matching (C.2.2.2.7): the attribute is absent or has no value."""

    def matches(self, values: Sequence[str]) -> bool:
        """Whether there is no value."""
        return not any(each.strip(" \0") for each in values)


@dataclass(frozen=True, slots=True)
class NameGroups:
    """A person name given by component groups, `Alphabetic=Ideographic=Phonetic`.

    Each group that is asked for must match the same group of one value; None asks for nothing.
    """

    groups: tuple["Equals | Wildcard | None", ...]

    def matches(self, values: Sequence[str]) -> bool:
        """Whether any raw name has the groups."""
        return any(self._fits(each) for each in values)

    def _fits(self, raw: str) -> bool:
        has = [group.strip(" \0").rstrip("^") for group in raw.split("=")]
        has += [""] * (len(self.groups) - len(has))
        pairs = zip(self.groups, has, strict=False)
        return all(wanted is None or wanted.matches((group,)) for wanted, group in pairs)


@dataclass(frozen=True, slots=True)
class FuzzyName:
    """Fuzzy semantic matching of person names (C.2.2.2.1.1): see `names.is_like`.

    `words` are `names.words` of what was asked for.
    """

    words: tuple[str, ...]

    def matches(self, values: Sequence[str]) -> bool:
        """Whether any name is like it."""
        return any(is_like(self.words, each) for each in values)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A list whose alternatives are not all plain texts: ranges, wild cards, numbers."""

    alternatives: tuple["Predicate", ...]

    def matches(self, values: Sequence[str]) -> bool:
        """Whether any alternative matches."""
        return any(each.matches(values) for each in self.alternatives)


Predicate = (
    AnyValue
    | Equals
    | EqualsNumber
    | ByStoredVR
    | OneOf
    | Wildcard
    | Range
    | Moments
    | IsEmpty
    | NameGroups
    | FuzzyName
    | AnyOf
)


def of_vr(predicate: Predicate, vr: str) -> Predicate:
    """The predicate for data that have an attribute with a VR."""
    match predicate:
        case ByStoredVR(text, number):
            return EqualsNumber(number, vr) if vr in NUMBER_VRS else text
        case AnyOf(alternatives):
            return AnyOf(tuple(of_vr(each, vr) for each in alternatives))
    return predicate


def name_texts(raw: str) -> tuple[str, ...]:
    """What a person name can be matched by (PS3.5, 6.2.1).

    That is `A=I=P` as a whole, and each of its groups. Delimiters at the end of a group mean
    nothing, so each is there without them too.
    """
    groups = raw.split("=")
    trimmed = [group.strip(" \0").rstrip("^") for group in groups]
    return tuple(dict.fromkeys((raw, "=".join(trimmed).rstrip("="), *filter(None, trimmed))))


def number_of(text: str) -> Decimal | None:
    """The number that an IS, DS or binary number stands for, or None. Infinity and NaN are none."""
    try:
        number = Decimal(text.strip(" \0"))
    except InvalidOperation:
        return None
    return number if number.is_finite() and "_" not in text else None


def to_prefix(pattern: str) -> str | None:
    """The text before the `*` if a pattern is nothing but a prefix (`SMITH*`), else None."""
    prefix = pattern.rstrip("*")
    return prefix if prefix != pattern and "*" not in prefix and "?" not in prefix else None


def fits(pattern: str, text: str) -> bool:
    """Whether the whole text fits a pattern of `*` and `?`, in bounded time for any pattern."""
    first, *middle = _segments(pattern)
    if not middle:
        return len(first) == len(text) and _same_at(first, text, 0)
    last = middle.pop()
    end = len(text) - len(last)
    if not _same_at(first, text, 0) or end < len(first) or not _same_at(last, text, end):
        return False
    at = len(first)
    for segment in middle:
        at = _find(segment, text, at, end)
        if at < 0:
            return False
        at += len(segment)
    return True


@lru_cache(maxsize=256)
def _segments(pattern: str) -> tuple[str, ...]:
    first, *others = pattern.split("*")
    if not others:
        return (first,)
    return (first, *filter(None, others[:-1]), others[-1])


def _same_at(segment: str, text: str, at: int) -> bool:
    if "?" not in segment:
        return text.startswith(segment, at)
    part = text[at : at + len(segment)]
    return len(part) == len(segment) and all(
        wanted in ("?", found) for wanted, found in zip(segment, part, strict=True)
    )


def _find(segment: str, text: str, start: int, stop: int) -> int:
    if "?" not in segment:
        return text.find(segment, start, stop)
    candidates = range(start, stop - len(segment) + 1)
    return next((at for at in candidates if _same_at(segment, text, at)), -1)


def _folded_plain(text: str) -> str:
    return fold(text.strip(" \0"))


def _cleaner(folded: bool) -> Any:
    return _folded_plain if folded else plain


def single(number: Decimal) -> float | None:
    """The nearest number in single precision; None if it is too large for that."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", float(number)))[0])
    except OverflowError:
        return None
