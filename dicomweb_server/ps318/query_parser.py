"""From the query parameters of a search request to a `Query` (PS3.18, 8.3.4)."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, Protocol

from dicomweb_server.ps318.attributes import PATIENT_COUNTS
from dicomweb_server.ps318.combining import combined
from dicomweb_server.ps318.errors import BadRequest
from dicomweb_server.ps318.predicate_parser import MatchingRules, parse_predicate
from dicomweb_server.ps318.query_model import IncludeFields, Match, Order, Query, QueryLevel

_TAG = re.compile(r"\(?([0-9A-Fa-f]{4})[,|-]?([0-9A-Fa-f]{4})\)?\Z")
# no keyword is longer, and comparing long words with all of them takes seconds
# Names of parameters do not begin with digits: this is a tag with a slip in it.
_LIKE_A_TAG = re.compile(r"\(?(?:0[xX])?[0-9][0-9A-Za-z]{3}[,|-]?[0-9A-Za-z]{1,6}\)?\Z")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}\Z")
_LARGEST_NUMBER: Final = 2**31 - 1
_EMPTY: Final = "emptyvaluematching"
# `multiplevaluematching` changes nothing: lists of values always match (8.3.4.6)
_FLAGS: Final = frozenset({"fuzzymatching", _EMPTY, "multiplevaluematching", "totalcount"})
_NO_PRIVATE_GROUPS: Final = frozenset({"0001", "0003", "0005", "0007", "FFFF"})  # PS3.5, 7.8.1

# says how the request is encoded, which HTTP does already; it is never matched (PS3.4, C.2.2.2)
_CHARACTER_SET: Final = ("00080005",)
# says what dates and times of the request mean, and is no condition (8.3.4.1.1)
_ZONE: Final = ("00080201",)

# parameters of other sections of PS3.18: not for the search, and no mistake either
_FOREIGN: Final = frozenset({"accept", "charset", "_method"})


class AttributeDictionary(Protocol):
    """What is known about attributes (PS3.6 and the configured private ones)."""

    def resolve(self, name: str) -> str | None:
        """The tag (8 upper-case hex digits) of a keyword or of such digits; None if unknown."""

    def vr(self, tag: str, private_creator: str = "") -> str:
        """The VR of a tag, of a private one as its creator means it."""


@dataclass(slots=True)
class _Draft:
    """What has been read so far; the last of equal keys wins."""

    level: QueryLevel = QueryLevel.STUDY
    conditions: dict[tuple[str, ...], Match] = field(default_factory=dict)
    given: dict[tuple[str, ...], tuple[str, str]] = field(default_factory=dict)
    include: dict[str, None] = field(default_factory=dict)
    include_all: bool = False
    limit: int | None = None
    offset: int = 0
    order: dict[str, Order] = field(default_factory=dict)
    flags: dict[str, bool] = field(default_factory=dict)
    ignored: dict[str, None] = field(default_factory=dict)
    zone: bool = False


def parse_query(
    pairs: Sequence[tuple[str, str]],
    level: QueryLevel | str,
    dictionary: AttributeDictionary,
    *,
    case_sensitive: bool,
    keywords: Collection[str] | None = None,
) -> Query:
    """Read the decoded `pairs` of key and value of a search request, in their order.

    `case_sensitive`: whether text other than person names is compared with case. `keywords`: all
    known ones, to name the right spelling of a wrong key; the same tuple or frozenset each time.
    None takes them from `dictionary.keywords`, if it has that.
    Raises BadRequest for values that cannot be, and for keys that can only be meant as attributes
    but are unknown: ignoring them would answer with more than was asked for. Other unknown keys
    are `Query.ignored`.
    """
    if keywords is None:
        keywords = getattr(dictionary, "keywords", ())
    draft = _Draft(QueryLevel(level))
    for key, value in pairs:
        if key.strip() in _FLAGS:
            draft.flags[key.strip()] = _truth(key.strip(), value)
    rules = MatchingRules(
        case_sensitive, draft.flags.get("fuzzymatching", False), draft.flags.get(_EMPTY, False)
    )
    for key, value in pairs:
        if key.strip() and key.strip() not in _FLAGS:
            _read(draft, key.strip(), value, dictionary, rules, keywords)

    def by_creator(path: tuple[str, ...], creators: tuple[str, ...]) -> Match:
        key, value = draft.given[path]
        _check_sequences(key, path, creators, dictionary)
        creator = creators[-1]
        vr = dictionary.vr(path[-1], creator) if creator else dictionary.vr(path[-1])
        return replace(_match(path, (key, value), vr, rules), creators=creators)

    return Query(
        draft.level,
        combined(draft.conditions, by_creator),
        IncludeFields(tuple(draft.include), draft.include_all),
        draft.limit,
        draft.offset,
        tuple(draft.order.values()),
        draft.flags.get("totalcount", False),
        rules.fuzzy,
        tuple(draft.ignored),
        draft.zone,
    )


def parse_include_fields(values: Sequence[str], dictionary: AttributeDictionary) -> IncludeFields:
    """Read the values of all `includefield` parameters; names that are unknown are ignored."""
    draft = _Draft()
    for value in values:
        _read_include_field(draft, value, dictionary)
    return IncludeFields(tuple(draft.include), draft.include_all)


def _read(
    draft: _Draft,
    key: str,
    value: str,
    dictionary: AttributeDictionary,
    rules: MatchingRules,
    keywords: Collection[str],
) -> None:
    if key == "limit":
        # as everywhere else with a limit, 0 means none
        draft.limit = _whole_number(key, value) or None
    elif key == "offset":
        draft.offset = _whole_number(key, value)
    elif key == "orderby":
        _read_order(draft, value, dictionary)
    elif key == "includefield":
        _read_include_field(draft, value, dictionary)
    elif key not in _FOREIGN:
        path = _attribute_path(key, dictionary, keywords)
        if path is None or _is_of_others(path, draft.level):
            draft.ignored[key] = None
        elif path != _CHARACTER_SET:
            draft.given[path] = (key, value)
            _read_match(draft, _match(path, (key, value), dictionary.vr(path[-1]), rules))


def _match(path: tuple[str, ...], given: tuple[str, str], vr: str, rules: MatchingRules) -> Match:
    # PS3.6 leaves some open, as in "US or SS": for matching the first will do
    first = vr.partition(" or ")[0]
    return Match(path, first, parse_predicate(given[0], first, given[1], rules))


def _is_of_others(path: tuple[str, ...], level: QueryLevel) -> bool:
    """Whether only patients have the attribute, which no table of 10.6 names for other levels."""
    return level is not QueryLevel.PATIENT and path[0] in PATIENT_COUNTS


def _read_match(draft: _Draft, match: Match) -> None:
    if match.path == _ZONE and not match.is_universal:
        draft.zone = True
        draft.include[match.tag] = None
        return
    draft.conditions.pop(match.path, None)
    draft.conditions[match.path] = match


def _read_include_field(draft: _Draft, value: str, dictionary: AttributeDictionary) -> None:
    for name in filter(None, (each.strip() for each in _include_names(value))):
        if name == "all":
            draft.include_all = True
            continue
        # sequences are returned whole, so the first tag of a path is what to include
        tag = _resolve(name.partition(".")[0], dictionary)
        if tag is None:
            draft.ignored[f"includefield={name}"] = None
        else:
            draft.include[tag] = None


def _read_order(draft: _Draft, value: str, dictionary: AttributeDictionary) -> None:
    """`orderby=StudyDate,-PatientName`: a sign `-` sorts downwards."""
    for name in filter(None, (each.strip() for each in _include_names(value))):
        tag = _resolve(name.removeprefix("-"), dictionary)
        if tag is None:
            raise BadRequest(f"orderby={value[:100]!r} names {name!r}, which is no attribute.")
        draft.order.setdefault(tag, Order(tag, name.startswith("-")))


def _include_names(value: str) -> list[str]:
    """The names of a list; the comma of `0008,1030` is no separator."""
    names = list[str]()
    for piece in value.split(","):
        before = names[-1].strip() if names else ""
        if len(before) == 4 and _TAG.match(before + piece.strip()):
            names[-1] = before + piece.strip()
        else:
            names.append(piece)
    return names


def _attribute_path(
    key: str, dictionary: AttributeDictionary, keywords: Collection[str]
) -> tuple[str, ...] | None:
    """The tags that a key names, or None if it need not be meant as an attribute."""
    names = key.split(".")
    tags = [_resolve(name, dictionary) for name in names]
    for name, tag in zip(names, tags, strict=True):
        if tag is None:
            _refuse_attribute(key, name, is_path=len(names) > 1, tags=tags, keywords=keywords)
            return None
    path = tuple(tag for tag in tags if tag is not None)
    _check_sequences(key, path, ("",) * len(path), dictionary)
    return path


def _check_sequences(
    key: str, path: Sequence[str], creators: Sequence[str], dictionary: AttributeDictionary
) -> None:
    """Raise BadRequest if a path leads into what is no sequence.

    A private attribute of which nobody declared a VR may be one.
    """
    for name, tag, creator in zip(key.split("."), path[:-1], creators[:-1], strict=False):
        vr = dictionary.vr(tag, creator) if creator else dictionary.vr(tag)
        if vr != "SQ" and not (vr == "UN" and _is_private(tag)):
            raise BadRequest(f"{key} looks into {name}, which is not a sequence.")


def _is_private(tag: str) -> bool:
    return tag[3] in "13579BDF" and tag[:4] not in _NO_PRIVATE_GROUPS


def _refuse_attribute(
    key: str,
    name: str,
    *,
    is_path: bool,
    tags: Sequence[str | None],
    keywords: Collection[str],
) -> None:
    """Raise BadRequest if the key can only be meant as an attribute; say what is known instead."""
    if _TAG.match(name) or _LIKE_A_TAG.match(name):
        raise BadRequest(
            f"The tag {name} of {key!r} is not in the dictionary, so nothing can be searched by it."
            " A private attribute must be declared in the server's configuration first."
        )
    right = _by_lower_case(keywords).get(name.lower())
    if right is not None:
        raise BadRequest(f"There is no attribute {name}; its keyword is written {right}.")
    # a path with nothing known in it, such as "utm.source", is somebody else's parameter
    if is_path and any(tags):
        near = get_close_matches(name, keywords, 1) if _WORD.match(name) else []
        hint = f"; the nearest is {near[0]}" if near else ""
        raise BadRequest(f"{key!r} names the attribute {name!r}, which is unknown{hint}.")


def _resolve(name: str, dictionary: AttributeDictionary) -> str | None:
    found = _TAG.match(name.strip())
    if found is None:
        return dictionary.resolve(name)
    tag = dictionary.resolve((found[1] + found[2]).upper())
    # a dictionary may read any digits as a tag; only private attributes can be of unknown VR
    return None if tag is None or (dictionary.vr(tag) == "UN" and not _is_private(tag)) else tag


@lru_cache(maxsize=8)
def _lower_case_table(keywords: Collection[str]) -> dict[str, str]:
    return {keyword.lower(): keyword for keyword in keywords}


def _by_lower_case(keywords: Collection[str]) -> dict[str, str]:
    if not isinstance(keywords, tuple | frozenset):
        keywords = tuple(keywords)
    return _lower_case_table(keywords)


def _whole_number(key: str, value: str) -> int:
    text = value.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) > _LARGEST_NUMBER:
        raise BadRequest(
            f"{key}={value[:40]!r} must be a whole number from 0 to {_LARGEST_NUMBER}."
        )
    return int(text)


def _truth(key: str, value: str) -> bool:
    if value not in ("true", "false"):
        raise BadRequest(f"{key}={value[:40]!r} must be true or false.")
    return value == "true"
