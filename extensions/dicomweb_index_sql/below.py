"""The headers of instances below the rows of a search, each of which lies inside of the scope."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, select

from dicomweb_index_sql import search
from dicomweb_index_sql.conditions import DEPTH, Term, clause_of, level_of, terms_of
from dicomweb_index_sql.database import Database
from dicomweb_index_sql.extras import Kept
from dicomweb_index_sql.plans import Parameters
from dicomweb_index_sql.schema import details, instances, series, studies
from dicomweb_index_sql.scopes import Scoped
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import Found
from dicomweb_server.ps318.query_model import Condition, Query, QueryLevel

_P = QueryLevel.PATIENT
_S, _E, _I = QueryLevel.STUDY, QueryLevel.SERIES, QueryLevel.INSTANCE
_PAGE = 100
_ROW = bindparam("row", type_=BigInteger)


def scan(database: Database, query: Query, scope: Scope) -> Iterator[tuple[Found, bytes]]:
    """Every match inside of a scope with the header of each visible instance below it."""
    offset = 0
    while True:
        part = replace(query, limit=_PAGE, offset=offset)
        page = search.run(database, part, scope, attributes=True)
        for found in page:
            for header in _headers(database, query.level, found.row, scope):
                yield found, header
        if len(page) < _PAGE:
            return
        offset += _PAGE


def _under(level: QueryLevel) -> ColumnElement[bool]:
    """Whether an instance lies below a row of a level."""
    if level is _P:
        return studies.c.patient_row == _ROW
    owners = {_S: instances.c.study_row, _E: instances.c.series_row, _I: instances.c.id}
    found: ColumnElement[bool] = owners[level] == _ROW
    return found


def _below(level: QueryLevel, *columns: Any) -> Select[Any]:
    joined = (
        instances.join(details, details.c.instance_row == instances.c.id)
        .join(series, series.c.id == instances.c.series_row)
        .join(studies, studies.c.id == instances.c.study_row)
    )
    found = select(*columns, details.c.header).select_from(joined)
    return found.where(_under(level)).order_by(instances.c.id)


def _page(level: QueryLevel) -> Scoped:
    after = instances.c.id > bindparam("after", type_=BigInteger)
    return Scoped(_below(level, instances.c.id).where(after).limit(_PAGE), _I)


_PAGES = {level: _page(level) for level in (_P, _S, _E, _I)}


def _headers(database: Database, level: QueryLevel, row: int, scope: Scope) -> Iterator[bytes]:
    after = 0
    while True:
        rows = database.fetch(*_PAGES[level].at({"row": row, "after": after}, scope))
        for _, header in rows:
            yield zlib.decompress(header)
        if len(rows) < _PAGE:
            return
        after = rows[-1][0]


@lru_cache(maxsize=128)
def _representing(level: QueryLevel, terms: tuple[Term, ...]) -> Scoped:
    take = Parameters()
    conditions = [clause_of(term, take) for term in terms]
    return Scoped(_below(level).where(*conditions).limit(1), _I)


def representative(
    database: Database, level: QueryLevel, row: int, conditions: Sequence[Condition], scope: Scope
) -> bytes:
    """The header of the first visible instance that fulfils what is asked of children."""
    if scope.nothing:
        return b"{}"
    terms, values = terms_of([c for c in conditions if _is_below(c, level)])
    statement = _representing(level, terms)
    found = database.fetch(*statement.at({**values, "row": row}, scope))
    return zlib.decompress(found[0][0]) if found else b"{}"


def _is_below(condition: Condition, level: QueryLevel) -> bool:
    """Whether a condition is about the rows of a lower level."""
    if condition.is_universal:
        return False
    kept = condition.predicate
    of_level = kept.key.level if isinstance(kept, Kept) else level_of(condition.tag)
    return of_level is not None and DEPTH[of_level] > DEPTH[level]
