"""From the text of one query value to a predicate, by the VR of its attribute (PS3.4, C.2.2.2).

A list is separated by `,` or backslash, for every VR. Since text may hold commas itself, such a
value also matches as a whole.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from dicomweb_server.ps318 import dates
from dicomweb_server.ps318.errors import BadRequest
from dicomweb_server.ps318.matching import (
    BINARY_VRS,
    DATE_VRS,
    NUMBER_VRS,
    WILDCARD_VRS,
    AnyOf,
    AnyValue,
    ByStoredVR,
    Equals,
    EqualsNumber,
    FuzzyName,
    IsEmpty,
    NameGroups,
    OneOf,
    Predicate,
    Range,
    Wildcard,
    fold,
    number_of,
    plain,
)
from dicomweb_server.ps318.names import words

_SEPARATORS = re.compile(r"[,\\]")
_LONGEST_NUMBER = 64
# the exponent of any DS or FD fits; more would make comparing cost memory
_LARGEST_EXPONENT = 400


@dataclass(frozen=True, slots=True)
class MatchingRules:
    """How values are compared.

    `case_sensitive` does not concern person names, which never are. `fuzzy`: person names are
    matched semantically (PS3.18, 8.3.4.2). `empty`: `""` asks for attributes without a value
    (8.3.4.5).
    """

    case_sensitive: bool = True
    fuzzy: bool = False
    empty: bool = False


def parse_predicate(name: str, vr: str, value: str, rules: MatchingRules) -> Predicate:
    """The predicate for `name=value`.

    Raises BadRequest, naming key and value, if an attribute of this VR cannot be matched by such a
    value.
    """
    text = value.strip(" \0")
    if not text.strip("*"):
        return AnyValue()
    if rules.empty and text == '""':
        return IsEmpty()
    if vr == "SQ":
        raise BadRequest(
            f"{name} is a sequence and cannot be {value!r};"
            f" name an attribute in it, as in {name}.CodeValue=..."
        )
    if vr in BINARY_VRS:
        raise BadRequest(f"{name} holds binary values (VR {vr}), which cannot be matched.")
    if rules.fuzzy and vr == "PN":
        return _fuzzy(text, _listed(name, vr, value, rules.case_sensitive))
    return _listed(name, vr, value, rules.case_sensitive)


def _listed(name: str, vr: str, value: str, case_sensitive: bool) -> Predicate:
    text = value.strip(" \0")
    alternatives = [each.strip(" \0") for each in _SEPARATORS.split(text)]
    if len(alternatives) == 1:
        return _single(name, vr, text, case_sensitive)
    given = [each for each in alternatives if each]
    if not given:
        raise BadRequest(f"{name}={value!r} is a list without any value.")
    if vr in WILDCARD_VRS and vr not in ("AE", "CS"):
        given.append(text)
    return _any_of([_single(name, vr, each, case_sensitive) for each in dict.fromkeys(given)])


def _fuzzy(text: str, literal: Predicate) -> Predicate:
    """Words that a name must have; a comma may stand between them, as in `Doe, John`.

    Fuzzy matching comes in addition (C.2.2.2.1.1): what fits wild cards literally is found too.
    """
    names = [found for each in text.split("\\") if (found := words(each))]
    if not names or isinstance(literal, AnyValue):
        return AnyValue()
    alternatives: tuple[Predicate, ...] = tuple(FuzzyName(each) for each in names)
    if "*" in text or "?" in text:
        alternatives += literal.alternatives if isinstance(literal, AnyOf) else (literal,)
    return alternatives[0] if len(alternatives) == 1 else AnyOf(alternatives)


def _any_of(alternatives: Sequence[Predicate]) -> Predicate:
    """A list of plain texts becomes OneOf, which an index can look up; all else stays as it is."""
    if len(alternatives) == 1:
        return alternatives[0]
    if any(isinstance(each, AnyValue) for each in alternatives):
        return AnyValue()
    texts = [each for each in alternatives if isinstance(each, Equals)]
    if len(texts) < len(alternatives):
        return AnyOf(tuple(alternatives))
    return OneOf(tuple(each.value for each in texts), texts[0].folded)


def _single(name: str, vr: str, text: str, case_sensitive: bool) -> Predicate:
    if not text.strip("*"):
        return AnyValue()
    if vr in DATE_VRS:
        return _moment(name, vr, text)
    if vr in NUMBER_VRS:
        return _number(name, vr, text)
    if vr == "PN" and "=" in text:
        return _by_groups(text)
    folded = vr == "PN" or (not case_sensitive and vr in WILDCARD_VRS)
    clean = fold(text) if folded else plain(text)
    if "*" not in text and "?" not in text:
        equal = Equals(_comparable(vr, clean), folded)
        number = _usable_number(text) if vr == "UN" else None
        return equal if number is None else ByStoredVR(equal, number)
    if vr not in WILDCARD_VRS:
        raise BadRequest(
            f"{name}={text!r} holds a wild card, which attributes of VR {vr} do not have"
            " (PS3.4, C.2.2.2.4); give whole values, several separated by commas."
        )
    return Wildcard(clean, folded)


def _by_groups(text: str) -> Predicate:
    groups = [group.strip() for group in text.split("=")[:3]]
    wanted = tuple(
        None
        if not group.strip("*")
        else Wildcard(fold(group), folded=True)
        if "*" in group or "?" in group
        else Equals(_comparable("PN", fold(group)), folded=True)
        for group in groups
    )
    return NameGroups(wanted) if any(wanted) else AnyValue()


def _comparable(vr: str, text: str) -> str:
    if vr == "PN":  # empty components at the end of a group mean nothing (PS3.5, 6.2.1.1)
        groups = [group.rstrip("^ ") for group in text.split("=")]
        return "=".join(groups).rstrip("=") or text
    return text.upper() if vr == "AT" else text


def _moment(name: str, vr: str, text: str) -> Range:
    single = dates.is_single(vr, text)
    low, high = (text, text) if single else dates.split_range(vr, text) or ("", "")
    if low == "":
        raise BadRequest(f"{name}={text!r} is not a {vr}; possible is {dates.SYNTAX[vr]}.")
    utc = any(end is not None and dates.has_offset(end) for end in (low, high))
    return Range(
        vr,
        None if low is None else dates.first_moment(vr, low, utc=utc),
        None if high is None else dates.last_moment(vr, high, utc=utc),
        utc,
        single,
    )


def _number(name: str, vr: str, text: str) -> EqualsNumber:
    number = _usable_number(text)
    if number is None:
        raise BadRequest(
            f"{name}={text[:_LONGEST_NUMBER]!r} is not a number, which VR {vr} demands;"
            " there are no ranges or wild cards of numbers."
        )
    return EqualsNumber(number, vr)


def _usable_number(text: str) -> Decimal | None:
    number = number_of(text) if len(text) <= _LONGEST_NUMBER else None
    return None if number is None or abs(number.adjusted()) > _LARGEST_EXPONENT else number
