"""The headers of instances below the rows of a search, each of which lies inside of the scope.

They fulfil what the search asks of lower levels: the levels form one path (PS3.4, C.2.2.1.2), so an
instance that shows why a study was found fulfils all of it itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Select, bindparam, select

from dicomweb_index_sql import search
from dicomweb_index_sql.conditions import DEPTH, TABLES, Term, clause_of, level_of, terms_of
from dicomweb_index_sql.database import Database
from dicomweb_index_sql.extras import Kept
from dicomweb_index_sql.plans import Parameters
from dicomweb_index_sql.prepared import Prepared
from dicomweb_index_sql.schema import details, instances, series, studies
from dicomweb_index_sql.scopes import ScopeShape, plan_of, scope_clauses, visible_of
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import Found
from dicomweb_server.ps318.query_model import Condition, Query, QueryLevel

_P = QueryLevel.PATIENT
_S, _E, _I = QueryLevel.STUDY, QueryLevel.SERIES, QueryLevel.INSTANCE
_PAGE = 100
_SIZES = (1, 10, _PAGE)
"""How many rows a statement asks for: lists are filled up, so that there are few statements."""
_OWNERS = {
    _P: studies.c.patient_row,
    _S: instances.c.study_row,
    _E: instances.c.series_row,
    _I: instances.c.id,
}
"""What an instance has of the row of a level above it."""


@dataclass(frozen=True, slots=True)
class _Form:
    """What decides about the text of a statement: the level, its conditions below, the scope."""

    level: QueryLevel
    terms: tuple[Term, ...]
    scope: ScopeShape | None


def _asked(
    level: QueryLevel, conditions: Sequence[Condition], scope: Scope
) -> tuple[_Form, dict[str, Any]]:
    """The form for those conditions that are about lower levels, and the values of parameters."""
    terms, values = terms_of([c for c in conditions if _is_below(c, level)])
    if scope.everything:
        return _Form(level, terms, None), values
    plan = plan_of(scope)
    return _Form(level, terms, plan.shape), {**values, **plan.values}


def _narrowed(form: _Form, statement: Select[Any]) -> Select[Any]:
    """A statement about instances, of those that fulfil the conditions inside of the scope."""
    take, visible = Parameters(), visible_of(form.scope)
    joined = instances.join(series, series.c.id == instances.c.series_row)
    joined = joined.join(studies, studies.c.id == instances.c.study_row)
    found = statement.select_from(joined)
    found = found.where(*(clause_of(term, take, visible) for term in form.terms))
    return found if form.scope is None else found.where(*scope_clauses(form.scope, _I))


def scan(database: Database, query: Query, scope: Scope) -> Iterator[tuple[Found, bytes]]:
    """Every match inside of a scope with the header of each instance that makes it one."""
    if scope.nothing:
        return
    form, values = _asked(query.level, query.conditions, scope)
    offset = 0
    while True:
        part = replace(query, limit=_PAGE, offset=offset)
        page = search.run(database, part, scope, attributes=True)
        for found in page:
            for header in _headers(database, form, {**values, "row": found.row}):
                yield found, header
        if len(page) < _PAGE:
            return
        offset += _PAGE


@lru_cache(maxsize=256)
def _page(form: _Form) -> Prepared:
    owner, after = (bindparam(name, type_=BigInteger) for name in ("row", "after"))
    statement = _narrowed(form, select(instances.c.id))
    statement = statement.where(_OWNERS[form.level] == owner, instances.c.id > after)
    first = statement.order_by(instances.c.id).limit(_PAGE).subquery()
    return Prepared(
        select(details.c.instance_row, details.c.header)
        .join_from(first, details, details.c.instance_row == first.c.id)
        .order_by(details.c.instance_row)
    )


def _headers(database: Database, form: _Form, values: dict[str, Any]) -> Iterator[bytes]:
    after = 0
    while True:
        rows = database.fetch(_page(form), {**values, "after": after})
        for _, header in rows:
            yield zlib.decompress(header)
        if len(rows) < _PAGE:
            return
        after = rows[-1][0]


def _list(size: int) -> list[Any]:
    return [bindparam(f"row{number}", type_=BigInteger) for number in range(size)]


@lru_cache(maxsize=256)
def _first(form: _Form, size: int) -> Prepared:
    """The first instance of each of some rows; a subquery, which ends with the first it meets."""
    owner = TABLES[form.level].alias("owner")
    found = _narrowed(form, select(instances.c.id)).where(_OWNERS[form.level] == owner.c.id)
    first = found.order_by(instances.c.id).limit(1).correlate(owner).scalar_subquery()
    return Prepared(select(owner.c.id, first.label("first")).where(owner.c.id.in_(_list(size))))


@lru_cache(maxsize=len(_SIZES))
def _header(size: int) -> Prepared:
    columns = details.c
    listed = columns.instance_row.in_(_list(size))
    return Prepared(select(columns.instance_row, columns.header).where(listed))


def _filled(keys: Sequence[int]) -> tuple[int, dict[str, Any]]:
    """The size of a statement for some keys, and its parameters: the last key comes again."""
    size = next(size for size in _SIZES if size >= len(keys))
    return size, {f"row{n}": keys[min(n, len(keys) - 1)] for n in range(size)}


def representatives(
    database: Database,
    level: QueryLevel,
    rows: Sequence[int],
    conditions: Sequence[Condition],
    scope: Scope,
) -> dict[int, bytes]:
    """The header of the first visible instance of each row that fulfils what is asked of children.

    Rows without one are left out.
    """
    if scope.nothing:
        return {}
    form, values = _asked(level, conditions, scope)
    headers: dict[int, bytes] = {}
    for start in range(0, len(rows), _PAGE):
        size, listed = _filled(rows[start : start + _PAGE])
        firsts = database.fetch(_first(form, size), {**values, **listed})
        owners = {first: owner for owner, first in firsts if first is not None}
        if owners:
            size, listed = _filled(list(owners))
            for key, header in database.fetch(_header(size), listed):
                headers[owners[key]] = zlib.decompress(header)
    return headers


def _is_below(condition: Condition, level: QueryLevel) -> bool:
    """Whether a condition is about the rows of a lower level."""
    if condition.is_universal:
        return False
    kept = condition.predicate
    of_level = kept.key.level if isinstance(kept, Kept) else level_of(condition.tag)
    return of_level is not None and DEPTH[of_level] > DEPTH[level]
