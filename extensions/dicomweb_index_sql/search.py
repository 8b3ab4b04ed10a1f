"""Searches of studies, series and instances (PS3.4 C.2.2.2)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
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
from dicomweb_index_sql import fuzzy, ordering
from dicomweb_index_sql.conditions import DEPTH, TABLES, Term, clause_of, level_of, term_of
from dicomweb_index_sql.database import Database
from dicomweb_index_sql.extras import Kept
from dicomweb_index_sql.plans import Parameters, name
from dicomweb_index_sql.prepared import Prepared, Row
from dicomweb_index_sql.schema import details, instances, patients, series, studies
from dicomweb_index_sql.scopes import ScopeShape, plan_of, scope_clauses
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import Found
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.query_model import Condition, Order, Query, QueryLevel

_P = QueryLevel.PATIENT
_S, _E, _I = QueryLevel.STUDY, QueryLevel.SERIES, QueryLevel.INSTANCE
_SCAN_PAGE = 100
_EVERYTHING = 2**62


def _below(level: QueryLevel, child: QueryLevel, clauses: Sequence[ColumnElement[bool]]) -> Any:
    """Whether any child fulfils the conditions, all of them on the same child."""
    if level is _P:
        found = exists().where(studies.c.patient_row == patients.c.id, *clauses)
        if child is not _S:
            found = found.where(TABLES[child].c.study_row == studies.c.id)
        return found.correlate(patients)
    if level is _S:
        link = TABLES[child].c.study_row == studies.c.id
    else:
        link = instances.c.series_row == series.c.id
    return exists().where(link, *clauses).correlate(TABLES[level])


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
            return _of_patients(scope_clauses(self.scope, _S) if self.scope else ())
        return (_ATTRIBUTES if self.attributes else _ANSWER)[self.level]


@lru_cache(maxsize=512)
def _statement(form: _Form) -> Prepared:
    """The statement for all searches that differ in nothing but values."""
    level, columns = form.level, form.columns
    clauses: dict[QueryLevel, list[ColumnElement[bool]]] = {_S: [], _E: [], _I: []}
    take = Parameters()
    for term in form.terms:
        clauses[term.level or level].append(clause_of(term, take))
    needed = {c.table for c in columns if isinstance(c, Column)}
    needed |= {ordering.table_of(order, level) for order in form.order}
    if form.scope is not None and level is not _P:
        needed |= {studies, series} if form.scope.series else {studies}
    statement: Select[Any] = select(*columns).select_from(_joined(level, clauses, needed))
    for of_level, conditions in clauses.items():
        if conditions and DEPTH[of_level] > DEPTH[level]:
            statement = statement.where(_below(level, of_level, conditions))
        elif conditions:
            statement = statement.where(*conditions)
    if form.scope is not None:
        statement = statement.where(*scope_clauses(form.scope, level))
    if form.counted:
        return Prepared(statement)
    visible = scope_clauses(form.scope, _S) if form.scope and level is _P else ()
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


def _of_patients(visible: Sequence[ColumnElement[bool]]) -> tuple[Any, ...]:
    """The columns of patients: with the numbers of their studies that are visible."""
    of_patient = studies.c.patient_row == patients.c.id
    numbers = (func.count(), *map(func.sum, (studies.c.series_count, studies.c.instance_count)))
    counted = (select(each).where(of_patient, *visible).scalar_subquery() for each in numbers)
    return (patients.c.id, patients.c.attributes, *counted)


_ANSWER: dict[QueryLevel, tuple[Any, ...]] = {
    level: (TABLES[level].c.id, TABLES[level].c.answer) for level in (_S, _E, _I)
}
_ATTRIBUTES: dict[QueryLevel, tuple[Any, ...]] = {
    level: (
        # Text: the same lists come with every match of a study, and are not read for each.
        *(*columns, cast(studies.c.modalities, Text), cast(studies.c.sop_classes, Text)),
        *(studies.c.series_count, studies.c.instance_count, studies.c.attributes, *more),
    )
    for (level, columns), more in zip(
        _ANSWER.items(),
        ((), (series.c.attributes,), (series.c.attributes, series.c.instance_count)),
        strict=True,
    )
}


def _terms(conditions: Sequence[Condition]) -> tuple[tuple[Term, ...], dict[str, Any]]:
    """The terms of conditions, and the values of all parameters by their names."""
    terms: list[Term] = []
    values: dict[str, Any] = {}
    for condition in conditions:
        term, given = term_of(condition)
        terms.append(term)
        for value in given:
            values[name(len(values))] = value
    return tuple(terms), values


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
    terms, values = _terms(
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
        return [Found(row[0], texts.patient_answer(row[1], row[2:]), (row[1],)) for row in rows]
    if not attributes:
        return [Found(row, answer) for row, answer in rows]
    return [Found(row[0], row[1], _ready(row)) for row in rows]


def _ready(row: Row) -> tuple[bytes, ...]:
    """Main attributes of the levels above, and what is computed; see `_ATTRIBUTES`."""
    return (*row[6:8], _computed(*row[2:6], *row[8:]))


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


def scan(database: Database, query: Query, scope: Scope) -> Iterator[tuple[Found, bytes]]:
    """Every match inside of a scope with the header of each visible instance below it."""
    offset = 0
    while True:
        part = replace(query, limit=_SCAN_PAGE, offset=offset)
        page = run(database, part, scope, attributes=True)
        yield from _with_headers(database, query.level, page, scope.series)
        if len(page) < _SCAN_PAGE:
            return
        offset += _SCAN_PAGE


def _under(level: QueryLevel, row: Any) -> ColumnElement[bool]:
    """Whether an instance lies below a row of a level."""
    if level is _P:
        of_patient = select(studies.c.id).where(studies.c.patient_row == row)
        return instances.c.study_row.in_(of_patient)
    owners = {_S: instances.c.study_row, _E: instances.c.series_row, _I: instances.c.id}
    found: ColumnElement[bool] = owners[level] == row
    return found


def _rows(database: Database, statement: Select[Any]) -> Sequence[Any]:
    return database.read(lambda connection: connection.execute(statement).all())


def _with_headers(
    database: Database, level: QueryLevel, page: Sequence[Found], visible: Sequence[str]
) -> Iterator[tuple[Found, bytes]]:
    for found in page:
        last = 0
        while True:
            statement = (
                select(instances.c.id, details.c.header)
                .join_from(instances, details, details.c.instance_row == instances.c.id)
                .where(_under(level, found.row), instances.c.id > last)
                .order_by(instances.c.id)
                .limit(_SCAN_PAGE)
            )
            if visible:
                of_series = select(series.c.id).where(series.c.series_uid.in_(visible))
                statement = statement.where(instances.c.series_row.in_(of_series))
            rows = _rows(database, statement)
            for row in rows:
                yield found, zlib.decompress(row.header)
            if len(rows) < _SCAN_PAGE:
                break
            last = rows[-1].id


@lru_cache(maxsize=128)
def _representing(level: QueryLevel, terms: tuple[Term, ...]) -> Prepared:
    take = Parameters()
    conditions = [clause_of(term, take) for term in terms]
    joined = (
        instances.join(details, details.c.instance_row == instances.c.id)
        .join(series, series.c.id == instances.c.series_row)
        .join(studies, studies.c.id == instances.c.study_row)
    )
    return Prepared(
        select(details.c.header)
        .select_from(joined)
        .where(_under(level, bindparam("row", type_=BigInteger)), *conditions)
        .order_by(instances.c.id)
        .limit(1)
    )


def representative(
    database: Database, level: QueryLevel, row: int, conditions: Sequence[Condition]
) -> bytes:
    """The header of the first instance below a row that fulfils what is asked of children."""
    terms, values = _terms([c for c in conditions if _is_below(c, level)])
    found = database.fetch(_representing(level, terms), {**values, "row": row})
    return zlib.decompress(found[0][0]) if found else b"{}"


def _is_below(condition: Condition, level: QueryLevel) -> bool:
    """Whether a condition is about the rows of a lower level."""
    if condition.is_universal:
        return False
    kept = condition.predicate
    of_level = kept.key.level if isinstance(kept, Kept) else level_of(condition.tag)
    return of_level is not None and DEPTH[of_level] > DEPTH[level]
