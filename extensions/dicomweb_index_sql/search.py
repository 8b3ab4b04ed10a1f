"""Searches: conditions of the public search language as SQL (PS3.4 C.2.2.2)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, exists, or_, select

from dicomweb_index_sql import answers as texts
from dicomweb_index_sql.columns import BY_TAG, GROUPS, Searchable
from dicomweb_index_sql.database import Database
from dicomweb_index_sql.plans import Parameters, Shape, clause, name, plan
from dicomweb_index_sql.prepared import Prepared, Row
from dicomweb_index_sql.schema import details, instances, series, studies
from dicomweb_server.interfaces.index import Found
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.matching import (
    AnyOf,
    Equals,
    EqualsNumber,
    OneOf,
    Predicate,
    Range,
    Wildcard,
)
from dicomweb_server.ps318.query_model import Condition, Query, QueryLevel

_S, _E, _I = QueryLevel.STUDY, QueryLevel.SERIES, QueryLevel.INSTANCE
_TABLES: dict[QueryLevel, Any] = {_S: studies, _E: series, _I: instances}
_DEPTH = {_S: 0, _E: 1, _I: 2}
_SCAN_PAGE = 100
_EVERYTHING = 2**62

# Attributes that are computed: the level whose rows hold them, and the column.
_COUNTS = {
    sets.NUMBER_OF_STUDY_RELATED_SERIES: (_S, studies.c.series_count),
    sets.NUMBER_OF_STUDY_RELATED_INSTANCES: (_S, studies.c.instance_count),
    sets.NUMBER_OF_SERIES_RELATED_INSTANCES: (_E, series.c.instance_count),
}


# --- one condition -------------------------------------------------------------------------


def answers(condition: Condition, level: QueryLevel) -> bool:
    """Whether the condition can be said in SQL."""
    if condition.is_universal:
        return True
    if len(condition.path) != 1:
        return False
    tag = condition.tag
    if (
        tag == sets.INSTANCE_AVAILABILITY
        or tag in _COUNTS
        or tag in _OF_CHILDREN
        or tag == sets.AVAILABLE_TRANSFER_SYNTAX_UID
    ):
        return True
    searchable = BY_TAG.get(tag)
    return searchable is not None and _can(searchable, condition.predicate)


def _can(searchable: Searchable, predicate: Predicate) -> bool:
    if isinstance(predicate, AnyOf):
        return all(_can(searchable, each) for each in predicate.alternatives)
    if searchable.kind == "name":
        # A name with several groups is matched as a whole: only the header has it in that form.
        texts = predicate.values if isinstance(predicate, OneOf) else (_text(predicate),)
        return not any("=" in each for each in texts)
    if isinstance(predicate, EqualsNumber):
        return searchable.kind == "number"
    if isinstance(predicate, Range):
        return searchable.kind in ("date", "time") and not predicate.utc
    return True


def _text(predicate: Predicate) -> str:
    if isinstance(predicate, Equals):
        return predicate.value
    return predicate.pattern if isinstance(predicate, Wildcard) else ""


@dataclass(frozen=True, slots=True)
class _Term:
    """A condition without its values: what decides about the text of a statement."""

    tag: str
    folded: bool
    shape: Shape


def _term(condition: Condition) -> tuple[_Term, tuple[Any, ...]]:
    searchable = BY_TAG.get(condition.tag)
    clean = _without_delimiters if searchable and searchable.kind == "name" else None
    planned = plan(condition.predicate, clean)
    return _Term(condition.tag, _folded(condition.predicate), planned.shape), planned.values


def _without_delimiters(text: str) -> str:
    return text.rstrip("^")


def _folded(predicate: Predicate) -> bool:
    if isinstance(predicate, AnyOf):
        return any(_folded(each) for each in predicate.alternatives)
    return bool(getattr(predicate, "folded", False))


def _on_attribute(searchable: Searchable, term: _Term, take: Parameters) -> ColumnElement[bool]:
    columns = _TABLES[searchable.level].c
    if searchable.kind == "name":
        start, groups = take.count, []
        for group in GROUPS:
            take.count = start  # each group is compared with the same parameters
            groups.append(clause(columns[f"{searchable.column}_{group}"], term.shape, take))
        return or_(*groups)
    if searchable.kind == "text" and term.folded:
        return clause(columns[f"{searchable.column}_folded"], term.shape, take)
    return clause(columns[searchable.column], term.shape, take)


def _modalities(term: _Term, take: Parameters) -> ColumnElement[bool]:
    other = series.alias("any_series")
    column = other.c.modality_folded if term.folded else other.c.modality
    return exists().where(other.c.study_row == studies.c.id, clause(column, term.shape, take))


def _sop_classes(term: _Term, take: Parameters) -> ColumnElement[bool]:
    other = instances.alias("any_instance")
    return exists().where(
        other.c.study_row == studies.c.id, clause(other.c.sop_class_uid, term.shape, take)
    )


# Attributes of a study that are computed from all of its children.
_OF_CHILDREN = {
    sets.MODALITIES_IN_STUDY: _modalities,
    sets.SOP_CLASSES_IN_STUDY: _sop_classes,
}


def _clause(term: _Term, take: Parameters) -> tuple[QueryLevel, ColumnElement[bool]]:
    """The level whose row a condition is about, and the condition."""
    if term.tag in _COUNTS:
        level, column = _COUNTS[term.tag]
        return level, clause(column, term.shape, take)
    if term.tag in _OF_CHILDREN:
        return _S, _OF_CHILDREN[term.tag](term, take)
    if term.tag == sets.AVAILABLE_TRANSFER_SYNTAX_UID:
        return _I, clause(instances.c.transfer_syntax, term.shape, take)
    searchable = BY_TAG[term.tag]
    return searchable.level, _on_attribute(searchable, term, take)


# --- a query -------------------------------------------------------------------------------


def _below(level: QueryLevel, child: QueryLevel, clauses: Sequence[ColumnElement[bool]]) -> Any:
    """Whether any child fulfils the conditions, all of them on the same child."""
    if level is _S:
        link = _TABLES[child].c.study_row == studies.c.id
    else:
        link = instances.c.series_row == series.c.id
    return exists().where(link, *clauses).correlate(_TABLES[level])


@lru_cache(maxsize=512)
def _statement(
    level: QueryLevel, terms: tuple[_Term, ...], attributes: bool, paged: bool
) -> Prepared:
    """The statement for all searches that differ in nothing but values."""
    columns = _ATTRIBUTES[level] if attributes else _ANSWER[level]
    clauses: dict[QueryLevel, list[ColumnElement[bool]]] = {_S: [], _E: [], _I: []}
    take = Parameters()
    for term in terms:
        of_level, condition = _clause(term, take)
        clauses[of_level].append(condition)
    needed = {column.table for column in columns}
    statement: Select[Any] = select(*columns).select_from(_joined(level, clauses, needed))
    for of_level, conditions in clauses.items():
        if conditions and _DEPTH[of_level] > _DEPTH[level]:
            statement = statement.where(_below(level, of_level, conditions))
        elif conditions:
            statement = statement.where(*conditions)
    statement = statement.order_by(*_ORDER[level])
    if paged:
        statement = statement.limit(bindparam("limit", type_=BigInteger)).offset(
            bindparam("offset", type_=BigInteger)
        )
    return Prepared(statement)


def _joined(level: QueryLevel, clauses: dict[QueryLevel, Any], needed: set[Any]) -> Any:
    table = _TABLES[level]
    if level is _I and (clauses[_E] or series in needed):
        table = table.join(series, instances.c.series_row == series.c.id)
    if level is not _S and (clauses[_S] or studies in needed):
        # By way of the series, when it is there anyway: that leads to fewer instances.
        child = series if level is _E or clauses[_E] else instances
        table = table.join(studies, child.c.study_row == studies.c.id)
    return table


_ORDER: dict[QueryLevel, tuple[Any, ...]] = {
    _S: (studies.c.id,),
    _E: (series.c.study_row, series.c.id),
    _I: (instances.c.series_row, instances.c.sort_number, instances.c.id),
}
_ANSWER: dict[QueryLevel, tuple[Any, ...]] = {
    level: (table.c.id, table.c.answer) for level, table in _TABLES.items()
}
_ATTRIBUTES: dict[QueryLevel, tuple[Any, ...]] = {
    level: (*columns, studies.c.sop_classes, studies.c.attributes, *more)
    for (level, columns), more in zip(
        _ANSWER.items(), ((), (series.c.attributes,), (series.c.attributes,)), strict=True
    )
}


def run(database: Database, query: Query, *, attributes: bool) -> list[Found]:
    """Matches in a stable order."""
    terms: list[_Term] = []
    values: dict[str, Any] = {}
    for condition in query.conditions:
        if condition.tag == sets.INSTANCE_AVAILABILITY:
            if not condition.matches_values(["ONLINE"]):
                return []
        elif not condition.is_universal:
            term, given = _term(condition)
            terms.append(term)
            for value in given:
                values[name(len(values))] = value
    paged = query.limit is not None or query.offset > 0
    if paged:
        # SQLite has no OFFSET without LIMIT.
        values["limit"] = _EVERYTHING if query.limit is None else query.limit
        values["offset"] = query.offset
    statement = _statement(query.level, tuple(terms), attributes, paged)
    with database.cursor() as cursor:
        rows = statement.rows(cursor, values)
    if not attributes:
        return [Found(row, answer) for row, answer in rows]
    return [Found(row[0], row[1], _ready(row)) for row in rows]


def _ready(row: Row) -> tuple[bytes, ...]:
    """Main attributes of the levels above, and what is computed; see `_ATTRIBUTES`."""
    classes = {sets.SOP_CLASSES_IN_STUDY: texts.codes(row[2], "UI")}
    return (*row[3:], orjson.dumps(classes))


def scan(database: Database, query: Query) -> Iterator[tuple[Found, bytes]]:
    """Every match with the header of each instance below it."""
    offset = 0
    while True:
        page = run(database, replace(query, limit=_SCAN_PAGE, offset=offset), attributes=True)
        yield from _with_headers(database, query.level, page)
        if len(page) < _SCAN_PAGE:
            return
        offset += _SCAN_PAGE


def _owner(level: QueryLevel) -> Any:
    return {_S: instances.c.study_row, _E: instances.c.series_row, _I: instances.c.id}[level]


def _with_headers(
    database: Database, level: QueryLevel, page: Sequence[Found]
) -> Iterator[tuple[Found, bytes]]:
    owner = _owner(level)
    for found in page:
        last = 0
        while True:
            statement = (
                select(instances.c.id, details.c.header)
                .join_from(instances, details, details.c.instance_row == instances.c.id)
                .where(owner == found.row, instances.c.id > last)
                .order_by(instances.c.id)
                .limit(_SCAN_PAGE)
            )
            with database.read() as connection:
                rows = connection.execute(statement).all()
            for row in rows:
                yield found, zlib.decompress(row.header)
            if len(rows) < _SCAN_PAGE:
                break
            last = rows[-1].id


def representative(database: Database, level: QueryLevel, row: int) -> bytes:
    """The header of the instance below a row that came first."""
    statement = (
        select(details.c.header)
        .join_from(instances, details, details.c.instance_row == instances.c.id)
        .where(_owner(level) == row)
        .order_by(instances.c.id)
        .limit(1)
    )
    with database.read() as connection:
        found = connection.execute(statement).first()
    return zlib.decompress(found.header) if found else b"{}"
