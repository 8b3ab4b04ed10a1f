"""Searches of studies, series and instances (PS3.4 C.2.2.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Select,
    Text,
    bindparam,
    cast,
    exists,
    func,
    select,
)

from dicomweb_index_sql import answers as texts
from dicomweb_index_sql import fuzzy, ordering, patient_rows
from dicomweb_index_sql.conditions import DEPTH, TABLES, Term, clause_of, terms_of
from dicomweb_index_sql.database import Database
from dicomweb_index_sql.partly import Partly
from dicomweb_index_sql.plans import Parameters
from dicomweb_index_sql.prepared import Prepared, Row
from dicomweb_index_sql.schema import instances, patients, series, studies
from dicomweb_index_sql.scopes import ScopeShape, plan_of, scope_clauses, visible_of
from dicomweb_index_sql.visible import Visible
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import Found
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.query_model import Order, Query, QueryLevel

_P = QueryLevel.PATIENT
_S, _E, _I = QueryLevel.STUDY, QueryLevel.SERIES, QueryLevel.INSTANCE
_EVERYTHING = 2**62


def _below(
    level: QueryLevel, asked: Mapping[QueryLevel, Sequence[ColumnElement[bool]]], visible: Visible
) -> Any:
    """Whether the conditions on lower levels hold on one visible path (PS3.4, C.2.2.1.2).

    That is a study, one of its series and one of that one's instances, as far as they are asked of.
    """
    found = exists().where(*chain.from_iterable(asked.values()))
    if level is _P:
        found = found.where(patient_rows.OF_PATIENT, *visible.inside)
    if _E in asked:
        found = found.where(series.c.study_row == studies.c.id, *visible.of_series())
    if _I in asked:
        by_series = instances.c.series_row == series.c.id
        by_study = (instances.c.study_row == studies.c.id, *visible.of_instances())
        found = found.where(*((by_series,) if level is _E or _E in asked else by_study))
    return found.correlate(TABLES[level])


@dataclass(frozen=True, slots=True)
class _Form:
    """What decides about the text of a statement: everything of a search but its values."""

    level: QueryLevel
    terms: tuple[Term, ...]
    attributes: bool = False
    paged: bool = False
    counted: bool = False
    order: tuple[Order, ...] = ()
    scope: ScopeShape | None = None

    @property
    def columns(self) -> tuple[Any, ...]:
        if self.counted:
            return (func.count(),)
        if self.level is _P:
            return patient_rows.columns(visible_of(self.scope))
        return (_ATTRIBUTES if self.attributes else _ANSWER)[self.level]


@lru_cache(maxsize=512)
def _statement(form: _Form) -> Prepared:
    """The statement for all searches that differ in nothing but values."""
    level, columns = form.level, form.columns
    clauses: dict[QueryLevel, list[ColumnElement[bool]]] = {_P: [], _S: [], _E: [], _I: []}
    visible = visible_of(form.scope)
    take = Parameters()
    for term in form.terms:
        clauses[term.level or level].append(clause_of(term, take, visible))
    needed = {c.table for c in columns if isinstance(c, Column)}
    needed |= {ordering.table_of(order, level) for order in form.order}
    if form.scope is not None and level is not _P:
        needed |= {studies, series} if form.scope.series else {studies}
    statement: Select[Any] = select(*columns).select_from(_joined(level, clauses, needed))
    below = {each: asked for each, asked in clauses.items() if asked and DEPTH[each] > DEPTH[level]}
    for of_level, conditions in clauses.items():
        if of_level not in below:
            statement = statement.where(*conditions)
    if below:
        statement = statement.where(_below(level, below, visible))
    if form.scope is not None:
        statement = statement.where(*scope_clauses(form.scope, level))
    if form.counted:
        return Prepared(statement)
    sorted_by = ordering.clauses(form.order, level, visible)
    statement = statement.order_by(*sorted_by, *_ORDER[level])
    if form.paged:
        statement = statement.limit(bindparam("limit", type_=BigInteger)).offset(
            bindparam("offset", type_=BigInteger)
        )
    return Prepared(statement)


def _joined(level: QueryLevel, clauses: dict[QueryLevel, Any], needed: set[Any]) -> Any:
    table = TABLES[level]
    if level is _I and (clauses[_E] or series in needed):
        table = table.join(series, instances.c.series_row == series.c.id)
    if level in (_E, _I) and (clauses[_S] or studies in needed):
        # By way of the series, when it is there anyway: that leads to fewer instances.
        child = series if level is _E or clauses[_E] else instances
        table = table.join(studies, child.c.study_row == studies.c.id)
    return table


_ORDER: dict[QueryLevel, tuple[Any, ...]] = {
    _P: (patients.c.id,),
    _S: (studies.c.id,),
    _E: (series.c.study_row, series.c.id),
    _I: (instances.c.series_row, instances.c.sort_number, instances.c.id),
}


_ANSWER: dict[QueryLevel, tuple[Any, ...]] = {
    level: (TABLES[level].c.id, TABLES[level].c.answer) for level in (_S, _E, _I)
}
_ATTRIBUTES: dict[QueryLevel, tuple[Any, ...]] = {
    level: (
        # Text: the same lists come with every match of a study, and are not read for each.
        *(*columns, studies.c.id),
        *(cast(studies.c.modalities, Text), cast(studies.c.sop_classes, Text)),
        *(studies.c.series_count, studies.c.instance_count, studies.c.attributes, *more),
    )
    for (level, columns), more in zip(
        _ANSWER.items(),
        ((), (series.c.attributes,), (series.c.attributes, series.c.instance_count)),
        strict=True,
    )
}


@dataclass(frozen=True, slots=True)
class _Search:
    """The terms of a search, the values of all parameters, and the shape of its scope."""

    terms: tuple[Term, ...]
    values: dict[str, Any]
    scope: ScopeShape | None


def _prepared(database: Database, query: Query, scope: Scope) -> _Search | None:
    """What decides about a statement, and its values; None if nothing can match."""
    if scope.nothing:
        return None
    availability = [c for c in query.conditions if c.tag == sets.INSTANCE_AVAILABILITY]
    if not all(c.is_universal or c.matches_values(["ONLINE"]) for c in availability):
        return None
    wanted = [c for c in query.conditions if not c.is_universal and c not in availability]
    terms, values = terms_of(
        [fuzzy.resolved(database, c) if fuzzy.is_fuzzy(c.predicate) else c for c in wanted]
    )
    if scope.everything:
        return _Search(terms, values, None)
    plan = plan_of(scope)
    return _Search(terms, {**values, **plan.values}, plan.shape)


def count(database: Database, query: Query, scope: Scope) -> int:
    """How many matches there are inside of a scope."""
    found = _prepared(database, query, scope)
    if found is None:
        return 0
    form = _Form(query.level, found.terms, counted=True, scope=found.scope)
    return int(database.fetch(_statement(form), found.values)[0][0])


def run(database: Database, query: Query, scope: Scope, *, attributes: bool) -> list[Found]:
    """Matches inside of a scope in a stable order."""
    found = _prepared(database, query, scope)
    if found is None:
        return []
    values = found.values
    paged = query.limit is not None or query.offset > 0
    if paged:
        # SQLite has no OFFSET without LIMIT.
        values["limit"] = _EVERYTHING if query.limit is None else query.limit
        values["offset"] = query.offset
    form = _Form(query.level, found.terms, attributes, paged, order=query.order, scope=found.scope)
    rows = database.fetch(_statement(form), values)
    if query.level is _P:
        rows = patient_rows.rows(rows)
        return [Found(row[0], texts.patient_answer(row[1], row[2:]), (row[1],)) for row in rows]
    part = Partly(database, scope.series) if scope.series else None
    ready = (_ready(row, part) if attributes else () for row in rows)
    matches = [Found(row[0], row[1], each) for row, each in zip(rows, ready, strict=True)]
    return list(map(part.told, matches)) if part and query.level is _S else matches


def _ready(row: Row, part: Partly | None) -> tuple[bytes, ...]:
    """Main attributes of the levels above, and what is computed; see `_ATTRIBUTES`."""
    summarized = row[3:7]
    if part is not None:
        told = part.of(row[2])
        lists = (orjson.dumps(each).decode() for each in (told.modalities, told.sop_classes))
        summarized = (*lists, told.series, told.instances)
    return (*row[7:9], _computed(*summarized, *row[9:]))


@lru_cache(maxsize=256)
def _computed(
    modalities: str, sop_classes: str, series_count: int, instance_count: int, of_series: int = -1
) -> bytes:
    """What is counted and collected; `modalities` and `sop_classes` are JSON lists."""
    computed = {
        sets.INSTANCE_AVAILABILITY: texts.ONLINE,
        sets.MODALITIES_IN_STUDY: texts.codes(orjson.loads(modalities), "CS"),
        sets.SOP_CLASSES_IN_STUDY: texts.codes(orjson.loads(sop_classes), "UI"),
        sets.NUMBER_OF_STUDY_RELATED_SERIES: texts.count(series_count),
        sets.NUMBER_OF_STUDY_RELATED_INSTANCES: texts.count(instance_count),
    }
    if of_series >= 0:
        computed[sets.NUMBER_OF_SERIES_RELATED_INSTANCES] = texts.count(of_series)
    return texts.dumps(computed)
