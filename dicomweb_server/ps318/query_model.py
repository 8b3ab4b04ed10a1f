"""The public search language: a query as a tree of frozen dataclasses (PS3.18, 8.3.4, 10.6)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from dicomweb_server.ps318.matching import (
    AnyValue,
    IsEmpty,
    Moments,
    NameGroups,
    Predicate,
    name_texts,
    of_vr,
    texts_of,
)


class QueryLevel(StrEnum):
    """What a query looks for; the order is from the top to the bottom of the DICOM hierarchy."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class Match:
    """One attribute and what it must be.

    `path`: tags as 8 upper-case hex digits, outermost first; more than one looks into sequences,
    any item will do, but see `all_match`. `vr`: of the last tag. `creators`: for each tag who
    reserved the block of a private one (PS3.5, 7.8.1), which may be another block in each data set
    and item; "" takes the tag as it is. () for none.
    """

    path: tuple[str, ...]
    vr: str
    predicate: Predicate
    creators: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """The outermost tag: what must be in the answer."""
        return self.path[0]

    def creator(self, depth: int = 0) -> str:
        """Who reserved the block of the tag at a depth of the path; "" if that does not matter."""
        return self.creators[depth] if self.creators else ""

    @property
    def is_universal(self) -> bool:
        """Whether it matches everything, and thus only asks for the attribute in the answer."""
        return isinstance(self.predicate, AnyValue)

    def matches_values(self, values: Sequence[str]) -> bool:
        """Whether the attribute's values (texts; person names as `A=I=P`) match."""
        if self.vr == "PN" and not isinstance(self.predicate, NameGroups):
            values = [text for raw in values for text in name_texts(raw)]
        return self.predicate.matches(values)

    def matches(self, attributes: Mapping[str, Any]) -> bool:
        """Whether a data set in the DICOM JSON model matches."""
        return all_match((self,), attributes)

    def matches_at(self, attributes: Mapping[str, Any], depth: int) -> bool:
        """Whether the data set or item that has the last tag, at a depth of the path, matches."""
        element = attributes.get(self.tag_in(attributes, depth))
        if isinstance(self.predicate, Moments):
            times = texts_of(attributes.get(self.predicate.time_tag))
            return self.predicate.holds(texts_of(element), times)
        if self.vr == "SQ":  # it has items or none
            return isinstance(self.predicate, IsEmpty) and not (element or {}).get("Value")
        if self.vr == "UN" and element:
            return of_vr(self.predicate, str(element.get("vr"))).matches(texts_of(element))
        return self.matches_values(texts_of(element))

    def tag_in(self, attributes: Mapping[str, Any], depth: int = 0) -> str:
        """The tag at a depth of the path as the data set has it; "" if its block is not there."""
        tag, creator = self.path[depth], self.creator(depth)
        if not creator:
            return tag
        for block in range(0x10, 0x100):
            if texts_of(attributes.get(f"{tag[:4]}00{block:02X}")) == (creator,):
                return f"{tag[:4]}{block:02X}{tag[6:]}"
        return ""


Condition = Match


def all_match(conditions: Iterable[Match], attributes: Mapping[str, Any]) -> bool:
    """Whether a data set in the DICOM JSON model fulfils all conditions.

    Those that lead through the same sequence must be fulfilled by the same item of it (PS3.4,
    C.2.2.2.6), and so on for the sequences within.
    """
    return _hold([each for each in conditions if not each.is_universal], attributes, 0)


def _hold(conditions: Sequence[Match], attributes: Mapping[str, Any], depth: int) -> bool:
    inner: dict[str, list[Match]] = {}
    for each in conditions:
        if len(each.path) > depth + 1:
            inner.setdefault(each.tag_in(attributes, depth), []).append(each)
        elif not each.matches_at(attributes, depth):
            return False
    return all(
        _any_item_holds(attributes.get(tag), within, depth + 1) for tag, within in inner.items()
    )


def _any_item_holds(
    element: Mapping[str, Any] | None, conditions: Sequence[Match], depth: int
) -> bool:
    items = element.get("Value") if element else None
    if not isinstance(items, list) or not items:
        return all(isinstance(each.predicate, IsEmpty) for each in conditions)
    return any(isinstance(item, dict) and _hold(conditions, item, depth) for item in items)


def sharing_items(conditions: Iterable[Match]) -> tuple[Match, ...]:
    """The conditions that must be fulfilled by the same item of a sequence as another one."""
    nested = [each for each in conditions if len(each.path) > 1 and not each.is_universal]
    count = Counter(each.tag for each in nested)
    return tuple(each for each in nested if count[each.tag] > 1)


@dataclass(frozen=True, slots=True)
class IncludeFields:
    """Attributes to return beyond the default ones (8.3.4.3): `tags` as ordered, or `all`."""

    tags: tuple[str, ...] = ()
    all: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """One attribute that the results are sorted by; those without a value come last."""

    tag: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """One search.

    All `conditions` must hold; of the results `offset` are skipped and `limit` (None: any number)
    are given, sorted by `order` first. `total`: the number of all results is wanted too. `fuzzy`:
    semantic matching of person names was asked for, and is in the conditions. `ignored`: names of
    parameters that mean nothing here, in their order. `zone`: a zone for dates and times was named
    (8.3.4.1.1).
    """

    level: QueryLevel
    conditions: tuple[Condition, ...] = ()
    include: IncludeFields = IncludeFields()
    limit: int | None = None
    offset: int = 0
    order: tuple[Order, ...] = ()
    total: bool = False
    fuzzy: bool = False
    ignored: tuple[str, ...] = ()
    zone: bool = False

    def with_condition(self, condition: Condition) -> "Query":
        """The same query with one more condition."""
        return replace(self, conditions=(*self.conditions, condition))

    def including(self, tags: Sequence[str]) -> "Query":
        """The same query with more attributes to return."""
        include = replace(self.include, tags=(*self.include.tags, *tags))
        return replace(self, include=include) if tags else self

    def condition_on(self, *path: str) -> Condition | None:
        """The first condition on a tag or path of tags, or None."""
        return next((each for each in self.conditions if each.path == path), None)

    def matches(self, attributes: Mapping[str, Any]) -> bool:
        """Whether a data set in the DICOM JSON model fulfils all conditions."""
        return all_match(self.conditions, attributes)
