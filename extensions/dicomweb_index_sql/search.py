"""Searches: conditions of the public search language as SQL (PS3.4 C.2.2.2)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Row, Select, and_, exists, false, or_, select, true

from dicomweb_index_sql import answers as texts
from dicomweb_index_sql.columns import BY_TAG, GROUPS, Searchable
from dicomweb_index_sql.database import Database
from dicomweb_index_sql.schema import details, instances, series, studies
from dicomweb_server.interfaces.index import Found
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.matching import (
    AnyOf,
    AnyValue,
    Equals,
    EqualsNumber,
    OneOf,
    Predicate,
    Range,
    Wildcard,
    to_prefix,
)
from dicomweb_server.ps318.query_model import Condition, Query, QueryLevel

_S, _E, _I = QueryLevel.STUDY, QueryLevel.SERIES, QueryLevel.INSTANCE
_TABLES: dict[QueryLevel, Any] = {_S: studies, _E: series, _I: instances}
_DEPTH = {_S: 0, _E: 1, _I: 2}
_SCAN_PAGE = 100
_LAST_CHARACTER = "\U0010ffff"

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
    if tag in _COUNTS or tag in _OF_CHILDREN or tag == sets.AVAILABLE_TRANSFER_SYNTAX_UID:
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


def _like(pattern: str) -> str:
    """A LIKE pattern with `\\` as escape character."""
    for special in ("\\", "%", "_"):
        pattern = pattern.replace(special, f"\\{special}")
    return pattern.replace("*", "%").replace("?", "_")


def _compare(column: Any, predicate: Predicate, clean: Callable[[str], str]) -> ColumnElement[bool]:
    """One predicate on one column whose values are in the predicate's form."""
    match predicate:
        case AnyValue():
            return true()
        case Equals(value):
            return column == clean(value)  # type: ignore[no-any-return]
        case OneOf(values):
            return column.in_([clean(value) for value in values])  # type: ignore[no-any-return]
        case Wildcard(pattern):
            return _fits(column, pattern)
        case Range(_, low, high):
            bounds = [column >= low] if low is not None else []
            bounds += [column <= high] if high is not None else []
            return and_(true(), *bounds)
        case EqualsNumber(number):
            whole = number == number.to_integral_value() and abs(number) < 2**63
            return column == int(number) if whole else false()
        case AnyOf(alternatives):
            return or_(false(), *(_compare(column, each, clean) for each in alternatives))


def _fits(column: Any, pattern: str) -> ColumnElement[bool]:
    prefix = to_prefix(pattern)
    if prefix is None:
        return column.like(_like(pattern), escape="\\")  # type: ignore[no-any-return]
    # A range uses the index on the column; LIKE would look at every row.
    return and_(column >= prefix, column < prefix + _LAST_CHARACTER)


def _same(text: str) -> str:
    return text


def _without_delimiters(text: str) -> str:
    return text.rstrip("^")


def _folded(predicate: Predicate) -> bool:
    if isinstance(predicate, AnyOf):
        return any(_folded(each) for each in predicate.alternatives)
    return bool(getattr(predicate, "folded", False))


def _on_attribute(searchable: Searchable, predicate: Predicate) -> ColumnElement[bool]:
    columns = _TABLES[searchable.level].c
    if searchable.kind == "name":
        return or_(
            *(
                _compare(columns[f"{searchable.column}_{g}"], predicate, _without_delimiters)
                for g in GROUPS
            )
        )
    if searchable.kind == "text" and _folded(predicate):
        return _compare(columns[f"{searchable.column}_folded"], predicate, _same)
    return _compare(columns[searchable.column], predicate, _same)


def _modalities(predicate: Predicate) -> ColumnElement[bool]:
    other = series.alias("any_series")
    column = other.c.modality_folded if _folded(predicate) else other.c.modality
    return exists().where(other.c.study_row == studies.c.id, _compare(column, predicate, _same))


def _sop_classes(predicate: Predicate) -> ColumnElement[bool]:
    other = instances.alias("any_instance")
    return exists().where(
        other.c.study_row == studies.c.id, _compare(other.c.sop_class_uid, predicate, _same)
    )


# Attributes of a study that are computed from all of its children.
_OF_CHILDREN = {
    sets.MODALITIES_IN_STUDY: _modalities,
    sets.SOP_CLASSES_IN_STUDY: _sop_classes,
}


def _clause(condition: Condition) -> tuple[QueryLevel, ColumnElement[bool]]:
    """The level whose row the condition is about, and the condition."""
    tag, predicate = condition.tag, condition.predicate
    if tag in _COUNTS:
        level, column = _COUNTS[tag]
        return level, _compare(column, predicate, _same)
    if tag in _OF_CHILDREN:
        return _S, _OF_CHILDREN[tag](predicate)
    if tag == sets.AVAILABLE_TRANSFER_SYNTAX_UID:
        return _I, _compare(instances.c.transfer_syntax, predicate, _same)
    searchable = BY_TAG[tag]
    return searchable.level, _on_attribute(searchable, predicate)


# --- a query -------------------------------------------------------------------------------


def _below(level: QueryLevel, child: QueryLevel, clauses: Sequence[ColumnElement[bool]]) -> Any:
    """Whether any child fulfils the conditions, all of them on the same child."""
    if level is _S:
        link = _TABLES[child].c.study_row == studies.c.id
    else:
        link = instances.c.series_row == series.c.id
    return exists().where(link, *clauses).correlate(_TABLES[level])


def _statement(query: Query, columns: Sequence[Any]) -> Select[Any]:
    level = query.level
    clauses: dict[QueryLevel, list[ColumnElement[bool]]] = {_S: [], _E: [], _I: []}
    for condition in query.conditions:
        if not condition.is_universal:
            of_level, clause = _clause(condition)
            clauses[of_level].append(clause)
    needed = {column.table for column in columns}
    statement = select(*columns).select_from(_joined(level, clauses, needed))
    for of_level, conditions in clauses.items():
        if conditions and _DEPTH[of_level] > _DEPTH[level]:
            statement = statement.where(_below(level, of_level, conditions))
        elif conditions:
            statement = statement.where(*conditions)
    return statement.order_by(*_ORDER[level])


def _joined(level: QueryLevel, clauses: dict[QueryLevel, Any], needed: set[Any]) -> Any:
    table = _TABLES[level]
    if level is _I and (clauses[_E] or series in needed):
        table = table.join(series, instances.c.series_row == series.c.id)
    if level is not _S and (clauses[_S] or studies in needed):
        child = series if level is _E else instances
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
    _S: (*_ANSWER[_S], studies.c.attributes.label("study"), studies.c.sop_classes),
    _E: (
        *_ANSWER[_E],
        studies.c.attributes.label("study"),
        studies.c.sop_classes,
        series.c.attributes.label("series"),
    ),
    _I: (
        *_ANSWER[_I],
        studies.c.attributes.label("study"),
        studies.c.sop_classes,
        series.c.attributes.label("series"),
    ),
}


def run(database: Database, query: Query, *, attributes: bool) -> list[Found]:
    """Matches in a stable order."""
    columns = _ATTRIBUTES[query.level] if attributes else _ANSWER[query.level]
    statement = _statement(query, columns)
    if query.limit is not None or query.offset:
        # SQLite has no OFFSET without LIMIT.
        statement = statement.limit(query.limit if query.limit is not None else 2**62)
    if query.offset:
        statement = statement.offset(query.offset)
    with database.read() as connection:
        rows = connection.execute(statement).all()
    if not attributes:
        return [Found(row, answer) for row, answer in rows]
    return [Found(row.id, row.answer, _ready(row)) for row in rows]


def _ready(row: Row[Any]) -> tuple[bytes, ...]:
    named = row._mapping
    classes = {sets.SOP_CLASSES_IN_STUDY: texts.codes(named["sop_classes"], "UI")}
    parents = [named[name] for name in ("study", "series") if name in named]
    return (*parents, orjson.dumps(classes))


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
