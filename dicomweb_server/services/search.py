"""Searches (PS3.18 10.6): what the index can do, it does; the rest is filtered from headers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from typing import Any

import orjson

from dicomweb_server.dicom import TagDictionary, load_header
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import Found, Index
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.errors import BadRequest, PayloadTooLarge
from dicomweb_server.ps318.query_model import (
    Condition,
    Order,
    Query,
    QueryLevel,
    all_match,
    sharing_items,
)
from dicomweb_server.services.ready_texts import dump, joined, without_bulk

_AT_ONCE = 100
"""Matches whose headers are in memory together."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of matches: JSON objects with 0x1F for the base URL; `more` follow if asked.

    `total`: how many there are without limit and offset, if that was asked for. `remaining`: how
    many of them follow.
    """

    answers: list[bytes]
    more: bool
    total: int | None = None
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """The server's own maxima of matches; 0 is none.

    `scan`: headers that one search reads at most to filter by attributes that are not indexed.
    """

    results: int = 0
    instances: int = 0
    scan: int = 10_000

    def of(self, level: QueryLevel) -> int:
        """The maximum for searches of a level."""
        return self.instances if level is QueryLevel.INSTANCE else self.results


@dataclass(frozen=True, slots=True)
class _Match:
    """A match, and how to get the header of an instance of it that made it one."""

    found: Found
    header: Callable[[], dict[str, Any]]


class SearchService:
    """Answers queries of all levels."""

    def __init__(
        self,
        index: Index,
        dictionary: TagDictionary,
        limits: SearchLimits,
        main: frozenset[str] = frozenset(),
    ) -> None:
        """`main`: the main attributes, to say which of them results can be sorted by."""
        self._index = index
        self._main = main
        self._dictionary = dictionary
        self._limits = limits

    def search(self, query: Query, scope: Scope) -> Page:
        """One page of matches; raises `PayloadTooLarge` when too many headers had to be read."""
        self._check_order(query)
        maximum = self._limits.of(query.level)
        asked = query.limit
        capped = maximum if maximum and (asked is None or asked > maximum) else asked
        # One more than the page shows whether there are more (PS3.18 8.3.4.4.1). A page that is as
        # long as was asked for must not cost the reading of further headers.
        further = capped != asked or not self._rest(query, scope)
        probe = replace(query, limit=None if capped is None else capped + further)
        found = self._matches(probe, scope)
        more = capped is not None and len(found) > capped
        page = found[:capped] if more else found
        if not query.total:
            return Page(page, more)
        total = self._total(query, scope)
        remaining = max(total - query.offset - len(page), 0)
        return Page(page, more or remaining > 0, total, remaining)

    def _check_order(self, query: Query) -> None:
        for order in query.order:
            if not self._index.sorts(order, query.level):
                possible = ", ".join(self._sortable(query.level))
                raise BadRequest(
                    f"results of the level {query.level} cannot be sorted by "
                    f"{self._name(order.tag)}; possible are {possible}"
                )

    def _sortable(self, level: QueryLevel) -> list[str]:
        tags = self._main | sets.COUNTS | set(sets.PATIENT_COUNTS)
        return sorted(self._name(tag) for tag in tags if self._index.sorts(Order(tag), level))

    def _total(self, query: Query, scope: Scope) -> int:
        rest = self._rest(query, scope)
        if not rest:
            return self._index.count(query, scope)
        return sum(1 for _ in self._matching(query, rest, scope))

    def _rest(self, query: Query, scope: Scope) -> list[Condition]:
        """The conditions that the index does not answer itself.

        It answers each alone, so it cannot tell whether the same item fulfils two.
        """
        shared = sharing_items(query.conditions)
        return [c for c in query.conditions if c in shared or not self._answers(c, query, scope)]

    def _answers(self, condition: Condition, query: Query, scope: Scope) -> bool:
        """Whether the index answers it.

        Of a study of which some series are visible it may know what the others say.
        """
        if scope.series and not (condition.is_universal or condition.tag in _CERTAIN):
            return False
        return self._index.answers(condition, query.level)

    def _matches(self, query: Query, scope: Scope) -> list[bytes]:
        rest = self._rest(query, scope)
        extra = self._extra(query)
        of_creators = any(each.creator() for each in query.conditions)
        part = bool(scope.series)
        plain = not (extra or of_creators or query.include.all or part)
        matches: Iterable[_Match]
        if rest:
            matches = self._filtered(query, rest, scope)
        else:
            found = self._index.search(query, scope, attributes=not plain)
            if plain:
                return [match.answer for match in found]
            if not of_creators and not part and _is_ready(query, extra):
                tags = None if query.include.all else [tag.encode() for tag in extra]
                return joined(found, tags)
            matches = self._with_headers(query, scope, found)
        if part:
            matches = (_of_visible(query, match) for match in matches)
        return [self._edited(query, match, extra) for match in matches]

    # --- filtering what the index cannot ---------------------------------------------------

    def _filtered(self, query: Query, rest: Sequence[Condition], scope: Scope) -> list[_Match]:
        stop = None if query.limit is None else query.offset + query.limit
        matches = self._matching(query, rest, scope)
        return list(islice(matches, query.offset, stop))

    def _matching(self, query: Query, rest: Sequence[Condition], scope: Scope) -> Iterator[_Match]:
        """Each match of which any instance fulfils the rest, before paging."""
        indexed = tuple(c for c in query.conditions if self._answers(c, query, scope))
        narrowed = replace(query, conditions=indexed, limit=None, offset=0)
        done = -1
        for count, (found, header) in enumerate(self._index.scan(narrowed, scope), 1):
            if count > self._limits.scan:
                names = ", ".join(self._name(condition.tag) for condition in rest)
                raise PayloadTooLarge(
                    f"the search by {names} would have to look at more than {self._limits.scan} "
                    f"instances, because the index does not hold it; add a condition that "
                    f"narrows the search, such as PatientID or StudyDate, or raise SearchScanLimit"
                )
            if found.row != done:
                attributes = load_header(header)
                if all_match(rest, attributes):
                    done = found.row
                    yield _Match(found, partial(dict, attributes))

    def _name(self, tag: str) -> str:
        return self._dictionary.keyword(tag) or tag

    # --- attributes beyond the default ones ------------------------------------------------

    def _extra(self, query: Query) -> tuple[str, ...]:
        """Tags that the default answer of the level may lack."""
        asked = [each.tag for each in query.conditions if not each.creator()]
        asked += query.include.tags
        present = _defaults(query.level)
        return tuple(dict.fromkeys(tag for tag in asked if tag not in present))

    def _edited(self, query: Query, match: _Match, extra: Sequence[str]) -> bytes:
        answer: dict[str, Any] = load_header(match.found.answer)
        answer |= self._of_creators(query, match)
        if query.include.all:
            answer = self._everything(query.level, match) | answer
        else:
            answer |= self._wanted(query.level, match, extra)
        return dump(answer)

    def _wanted(self, level: QueryLevel, match: _Match, extra: Sequence[str]) -> dict[str, Any]:
        """Those of the extra attributes that the data has, private ones with their creators.

        A private element says nothing without its creator (PS3.5, 7.8.1; PS3.18, F.2.2).
        """
        found = _ready(match.found, (*extra, *sets.creators_of(extra)))
        missing = [tag for tag in extra if tag not in found and tag not in _KEPT_READY[level]]
        if missing or not sets.creators_of(found) <= found.keys():
            header = match.header()
            found |= {tag: header[tag] for tag in missing if tag in header}
            creators = sets.creators_of(found).difference(found)
            found |= {tag: header[tag] for tag in creators if tag in header}
        wanted = {*extra, *sets.creators_of(tag for tag in extra if tag in found)}
        return {tag: without_bulk(value) for tag, value in found.items() if tag in wanted}

    def _of_creators(self, query: Query, match: _Match) -> dict[str, Any]:
        """Private attributes that were searched by their creator, under the tags they have here."""
        found: dict[str, Any] = {}
        for condition in query.conditions:
            tag = condition.tag_in(match.header()) if condition.creator() else ""
            named = (sets.creator_of(tag), tag) if tag else ()
            header = match.header() if tag else {}
            found |= {each: without_bulk(header[each]) for each in named if each in header}
        return found

    def _everything(self, level: QueryLevel, match: _Match) -> dict[str, Any]:
        """All that is known at the level: for an instance its whole header."""
        known: dict[str, Any] = {}
        if level is QueryLevel.INSTANCE:
            known = match.header()
        else:
            for text in match.found.attributes:
                known |= orjson.loads(text)
        return {tag: without_bulk(value) for tag, value in known.items()}

    def _with_headers(self, query: Query, scope: Scope, found: Sequence[Found]) -> Iterator[_Match]:
        """The matches with the headers of visible instances below them that fulfil the query.

        They are read for many matches at once, and when the first of them is asked for.
        """
        for start in range(0, len(found), _AT_ONCE):
            part = found[start : start + _AT_ONCE]

            @cache
            def headers(rows: tuple[int, ...]) -> Mapping[int, bytes]:
                return self._index.representatives(query.level, rows, query.conditions, scope=scope)

            rows = tuple(match.row for match in part)
            for match in part:
                yield _Match(match, cache(partial(_header_of, headers, rows, match.row)))


def _header_of(
    headers: Callable[[tuple[int, ...]], Mapping[int, bytes]], rows: tuple[int, ...], row: int
) -> dict[str, Any]:
    return load_header(headers(rows).get(row, b"{}"))


def _of_visible(query: Query, match: _Match) -> _Match:
    """A match that says of its study and patient what a visible instance says of them."""
    header = match.header()
    answer = load_header(match.found.answer)
    for tag in _SHARED:
        if tag in answer:
            answer[tag] = header.get(tag, {"vr": answer[tag]["vr"]})
        elif tag in header and tag in _defaults(query.level):
            answer[tag] = header[tag]
    computed = orjson.loads(match.found.attributes[-1]) if match.found.attributes else {}
    told = {tag: value for tag, value in computed.items() if tag in _CERTAIN}
    told |= {tag: header[tag] for tag in _MAIN_TAGS[query.level] if tag in header}
    texts = (orjson.dumps(told),)
    return _Match(Found(match.found.row, dump(answer), texts), match.header)


def _is_ready(query: Query, extra: Sequence[str]) -> bool:
    """Whether the index has all that is asked for, if the data have it."""
    if query.include.all:
        return query.level is not QueryLevel.INSTANCE
    return _KEPT_READY[query.level].issuperset(extra)


def _ready(match: Found, tags: Sequence[str]) -> dict[str, Any]:
    """Those of the tags that the index has ready; no more of that is parsed than is needed."""
    found: dict[str, Any] = {}
    for text in reversed(match.attributes):
        if len(found) == len(tags):
            break
        part = orjson.loads(text)
        found |= {tag: part[tag] for tag in tags if tag in part and tag not in found}
    return found


_CERTAIN = frozenset(
    (
        *("00100020", sets.STUDY_INSTANCE_UID, sets.SERIES_INSTANCE_UID, "00080018"),
        *(sets.INSTANCE_AVAILABILITY, sets.MODALITIES_IN_STUDY, sets.SOP_CLASSES_IN_STUDY),
        *(sets.AVAILABLE_TRANSFER_SYNTAX_UID, *sets.COUNTS, *sets.PATIENT_COUNTS),
    )
)
"""What is the same for all instances of a study, or is made from the visible ones."""
_SHARED = (frozenset(sets.MAIN[QueryLevel.STUDY]) | frozenset(sets.DEFAULT[QueryLevel.STUDY])) - (
    _CERTAIN
)
_MAIN_TAGS = {
    level: frozenset(tag for each in (*sets.PARENTS[level], level) for tag in sets.MAIN[each])
    for level in sets.MAIN
}


@cache
def _defaults(level: QueryLevel) -> frozenset[str]:
    tags = {sets.SPECIFIC_CHARACTER_SET, sets.RETRIEVE_URL}
    if level is not QueryLevel.SERIES:
        tags.add(sets.INSTANCE_AVAILABILITY)
    for of_level in (*sets.PARENTS[level], level):
        tags |= sets.DEFAULT[of_level].keys()
    if level is QueryLevel.PATIENT:
        tags |= set(sets.PATIENT_COUNTS)
    if level is QueryLevel.STUDY:
        tags |= {sets.MODALITIES_IN_STUDY, sets.NUMBER_OF_STUDY_RELATED_SERIES}
        tags.add(sets.NUMBER_OF_STUDY_RELATED_INSTANCES)
    if level is QueryLevel.SERIES:
        tags.add(sets.NUMBER_OF_SERIES_RELATED_INSTANCES)
    if level is QueryLevel.INSTANCE:
        tags.add(sets.AVAILABLE_TRANSFER_SYNTAX_UID)
    return frozenset(tags)


def _kept(level: QueryLevel) -> frozenset[str]:
    """Tags that the index has ready if the data has them at all."""
    kept: set[str] = set(sets.COUNTS) | {sets.MODALITIES_IN_STUDY, sets.SOP_CLASSES_IN_STUDY}
    for of_level in (*sets.PARENTS[level], level):
        if of_level is not QueryLevel.INSTANCE:
            kept |= set(sets.MAIN[of_level])
    return frozenset(kept)


_KEPT_READY = {level: _kept(level) for level in sets.DEFAULT}
