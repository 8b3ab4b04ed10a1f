r"""Attributes without columns of their own: those that `ExtraMainDicomTags` names.

Each value is a row of `extra_values`, under the name of its attribute: its tag, the path of tags of
an attribute inside of a sequence (`00400275.00400009`), and for a private one the block-free tag
with its creator beside (`0009xx01:ACME`), because each file chooses its blocks (PS3.5, 7.8.1). So
it is for each step of a path: `0009xx02:ACME\00080100`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import count
from typing import Any, cast

from dicomweb_index_sql.columns import BY_TAG, clean
from dicomweb_index_sql.values import Kind, can_compare, cells, kind_of
from dicomweb_server.dicom import STANDARD, TagDictionary
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.matching import Predicate, text_of
from dicomweb_server.ps318.query_model import Condition, Query, QueryLevel

Attributes = Mapping[str, Mapping[str, Any]]
Row = dict[str, Any]
Steps = tuple[str, ...]
Value = tuple[str, str, Any, str]
"""A name, the VR that is declared, one value (DICOM JSON model), and the VR that the data have."""

LEVELS = {QueryLevel.STUDY: 1, QueryLevel.SERIES: 2, QueryLevel.INSTANCE: 3}
"""How the levels are told apart in the table."""

_COMPUTED = sets.COUNTS | {
    sets.MODALITIES_IN_STUDY,
    sets.SOP_CLASSES_IN_STUDY,
    sets.INSTANCE_AVAILABILITY,
    sets.AVAILABLE_TRANSFER_SYNTAX_UID,
}
_BETWEEN = "\\"  # the names of creators are LO, which has no backslash
_FORMAT = "2"  # of the rows: another one makes every study one that is to be filled again


@dataclass(frozen=True, slots=True)
class Key:
    """Where the values of an attribute are: in rows of a level, under a name."""

    level: QueryLevel
    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Kept:
    """Stands for a predicate: it is asked of the values that are kept under a key."""

    key: Key
    predicate: Predicate

    def matches(self, values: object) -> bool:
        """Values are not compared any more."""
        raise NotImplementedError


class Extras:
    """The attributes of one configuration, by the level of their rows."""

    def __init__(self, tags: Mapping[QueryLevel, Sequence[str]], dictionary: TagDictionary) -> None:
        self._dictionary = dictionary
        self._level: dict[str, QueryLevel] = {}
        for level in LEVELS:
            for tag in tags.get(level, ()):
                if tag not in BY_TAG and tag not in _COMPUTED:
                    self._level.setdefault(tag, level)
        self._private = {_free(tag): level for tag, level in self._level.items() if _private(tag)}

    def __bool__(self) -> bool:
        return bool(self._level)

    @cached_property
    def signature(self) -> str:
        """What studies are marked with whose attributes are all kept; "" if there are none."""
        if not self:
            return ""
        text = ";".join(f"{level}:{tag}" for tag, level in sorted(self._level.items()))
        if self._private:
            text += ";creators"  # are among the attributes
        return hashlib.sha256(f"{_FORMAT};{text}".encode()).hexdigest()[:16]

    def tags(self, level: QueryLevel) -> list[str]:
        """The tags of a level, with those of who reserved the blocks of private ones."""
        tags = [tag for tag, of_level in self._level.items() if of_level is level]
        return [*tags, *sorted(sets.creators_of(tags).difference(tags))]

    # --- conditions ------------------------------------------------------------------------

    def key_of(self, condition: Condition) -> Key | None:
        """Where the values are that a condition is about, if all that it asks is kept there."""
        if condition.vr == "SQ":
            return None  # of a sequence only the values within its items are kept
        first, creator = condition.path[0], condition.creator()
        level = self._private.get(_free(first)) if creator else self._level.get(first)
        name = _name_of(condition)
        if level is None or not name:
            return None
        key = Key(level, clean(name), kind_of(condition.vr))
        nested = len(condition.path) > 1
        return key if can_compare(key.kind, condition.predicate, nested=nested) else None

    def key_to_sort(self, tag: str) -> Key | None:
        """Where the values of an attribute are that results can be sorted by."""
        level, vr = self._level.get(tag), self._dictionary.vr(tag)
        return Key(level, tag, kind_of(vr)) if level and vr != "SQ" else None

    def resolved(self, condition: Condition) -> Condition:
        """The same condition, on what is kept if it can be."""
        key = None if condition.is_universal else self.key_of(condition)
        if key is None:
            return condition
        kept = cast(Predicate, Kept(key, condition.predicate))
        return replace(condition, predicate=kept)

    def of_query(self, query: Query) -> Query:
        """The same query with its conditions resolved."""
        if not self:
            return query
        return replace(query, conditions=tuple(self.resolved(each) for each in query.conditions))

    def of_scope(self, scope: Scope) -> Scope:
        """The same scope with its conditions resolved."""
        return self._of_scope(scope) if self and scope.any_of else scope

    @cached_property
    def _of_scope(self) -> Any:
        @lru_cache(maxsize=512)
        def resolved(scope: Scope) -> Scope:
            sets_of = tuple(tuple(self.resolved(c) for c in each) for each in scope.any_of)
            return replace(scope, any_of=sets_of)

        return resolved

    # --- values ----------------------------------------------------------------------------

    def rows(self, level: QueryLevel, owner: int, attributes: Attributes) -> Iterator[Row]:
        """What is kept of a data set (DICOM JSON model) with the row of a level."""
        numbers: dict[str, count[int]] = {}
        for name, vr, value, stored_vr in self._values(level, attributes):
            position = next(numbers.setdefault(name, count()))
            yield {
                "level": LEVELS[level],
                "owner": owner,
                "name": clean(name),
                "position": position,
                **cells(kind_of(vr), value, stored_vr),
            }

    def _values(self, level: QueryLevel, attributes: Attributes) -> Iterator[Value]:
        for tag, of_level in self._level.items():
            if of_level is level:
                yield from self._of_element((tag,), attributes.get(tag, {}))
        for free, of_level in self._private.items():
            if of_level is level:
                yield from self._of_creators(free, attributes)

    def _of_element(self, path: tuple[str, ...], element: Mapping[str, Any]) -> Iterator[Value]:
        values = element.get("Value")
        vr = self._dictionary.vr(path[-1])
        for value in values if isinstance(values, list) else ():
            if element.get("vr") == "SQ" and isinstance(value, dict):
                for tag, inner in value.items():
                    yield from self._of_element((*path, tag), inner)
            elif _is_filled(value):
                yield ".".join(path), vr, value, element.get("vr", "")

    def _of_creators(self, free: str, attributes: Attributes) -> Iterator[Value]:
        """The values of a private attribute, in whatever blocks a data set has it."""
        for tag, element in attributes.items():
            if _private(tag) and _free(tag) == free:
                yield from self._by_creators((), tag, attributes, element)

    def _by_creators(
        self, path: Steps, tag: str, around: Attributes, element: Mapping[str, Any]
    ) -> Iterator[Value]:
        """As `_of_element`, with the creators of all private tags on the path."""
        creator = _creator(tag, around)
        if _private(tag) and not creator:
            return
        here = (*path, _step(tag, creator))
        values = element.get("Value")
        vr = self._dictionary.vr(tag, creator)
        for value in values if isinstance(values, list) else ():
            if element.get("vr") == "SQ" and isinstance(value, dict):
                for inner, each in value.items():
                    yield from self._by_creators(here, inner, value, each)
            elif _is_filled(value):
                yield _BETWEEN.join(here), vr, value, element.get("vr", "")


NO_EXTRAS = Extras({}, STANDARD)


def _is_filled(value: Any) -> bool:
    """Whether a value is more than padding."""
    return bool(text_of(value).strip(" \0"))


def _private(tag: str) -> bool:
    return int(tag[3], 16) % 2 == 1 and tag[4:6] != "00"


def _creator(tag: str, attributes: Attributes) -> str:
    """Who reserved the block of a private tag in a data set or item."""
    place = sets.creator_of(tag)
    values = attributes.get(place, {}).get("Value") or [""]
    return text_of(values[0]).strip(" \0") if place else ""


def _step(tag: str, creator: str) -> str:
    return f"{_free(tag)}:{creator}" if creator else tag


def _name_of(condition: Condition) -> str:
    """The name of the values that a condition is about; "" if its path names some creators only."""
    steps = [(tag, condition.creator(depth)) for depth, tag in enumerate(condition.path)]
    if not any(creator for _, creator in steps):
        return ".".join(condition.path)
    if any(_private(tag) and not creator for tag, creator in steps):
        return ""
    return _BETWEEN.join(_step(*step) for step in steps)


def _free(tag: str) -> str:
    return f"{tag[:4]}xx{tag[6:]}"
