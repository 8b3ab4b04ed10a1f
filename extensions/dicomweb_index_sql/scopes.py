"""What an identity may see, as SQL that is ANDed into statements about studies.

A scope that is everything adds nothing: the statement is the one that there would be without
scopes. Any other is a shape, for which a statement is built once, and the values of its parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, bindparam, exists, or_

from dicomweb_index_sql.columns import compared
from dicomweb_index_sql.conditions import TABLES, Term, answers, clause_of, term_of
from dicomweb_index_sql.plans import Parameters
from dicomweb_index_sql.prepared import Prepared
from dicomweb_index_sql.schema import patients, studies
from dicomweb_index_sql.visible import ALL, Visible
from dicomweb_server.interfaces.auth import Conditions, Scope
from dicomweb_server.ps318.query_model import QueryLevel

_S, _E, _I = QueryLevel.STUDY, QueryLevel.SERIES, QueryLevel.INSTANCE
Clauses = list[ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class ScopeShape:
    """A scope without its values: what decides about the text of a statement.

    Of each set of conditions its terms, and how many series are visible; 0 for all of them.
    """

    sets: tuple[tuple[Term, ...], ...]
    series: int


@dataclass(frozen=True, slots=True)
class ScopePlan:
    """The shape of a scope, and the values of its parameters by their names."""

    shape: ScopeShape
    values: Mapping[str, Any]


class _ScopeParameters(Parameters):
    """Parameters of scopes have names of their own beside those of the search."""

    def next(self, kind: Any = String) -> Any:
        self.count += 1
        return bindparam(_name(self.count - 1), type_=kind)


def _name(position: int) -> str:
    return f"s{position}"


def _series_name(position: int) -> str:
    return f"e{position}"


@lru_cache(maxsize=512)
def plan_of(scope: Scope) -> ScopePlan:
    """The plan of a scope that has conditions; raises ValueError for one that has no columns."""
    values: list[Any] = []
    shape = ScopeShape(
        tuple(_terms(conditions, values) for conditions in scope.any_of), len(scope.series)
    )
    named = {_name(i): value for i, value in enumerate(values)}
    series_named = {_series_name(i): compared(uid) for i, uid in enumerate(scope.series)}
    return ScopePlan(shape, named | series_named)


def _terms(conditions: Conditions, values: list[Any]) -> tuple[Term, ...]:
    terms = []
    for condition in conditions:
        if not answers(condition, _S):
            raise ValueError(f"no column tells whether a study fulfils a condition on {condition}")
        if not condition.is_universal:
            term, given = term_of(condition)
            terms.append(term)
            values += given
    return tuple(terms)


def scope_clauses(shape: ScopeShape, level: QueryLevel) -> Clauses:
    """What rows must fulfil to be inside: of a statement that joins studies, and series if it is
    about a level below them."""
    if level is QueryLevel.PATIENT:
        of_patient = studies.c.patient_row == patients.c.id
        return [exists().where(of_patient, *scope_clauses(shape, _S)).correlate(patients)]
    take = _ScopeParameters()
    inside = or_(*(_all_of(terms, take) for terms in shape.sets))
    return [inside, *_of_series(shape, level)]


def _all_of(terms: tuple[Term, ...], take: Parameters) -> ColumnElement[bool]:
    """Whether a study fulfils a set: conditions on one lower level hold for the same child."""
    own: Clauses = []
    below: dict[QueryLevel, Clauses] = {_E: [], _I: []}
    for term in terms:
        level = term.level
        found = clause_of(term, take)
        (below[level] if level in (_E, _I) else own).append(found)
    for level, clauses in below.items():
        if clauses:
            own.append(_has(level, clauses))
    return and_(studies.c.id.isnot(None), *own)


def _has(level: QueryLevel, clauses: Clauses) -> ColumnElement[bool]:
    link = TABLES[level].c.study_row == studies.c.id
    return exists().where(link, *clauses).correlate(studies)


def _of_series(shape: ScopeShape, level: QueryLevel) -> Clauses:
    if not shape.series:
        return []
    visible = Visible(uids=_series_parameters(shape)).of_series()
    return [_has(_E, visible)] if level is _S else visible


def _series_parameters(shape: ScopeShape) -> tuple[Any, ...]:
    return tuple(
        bindparam(_series_name(position), type_=String) for position in range(shape.series)
    )


@lru_cache(maxsize=512)
def visible_of(shape: ScopeShape | None) -> Visible:
    """What lies inside, for whatever a statement says of more than the rows that it finds."""
    if shape is None:
        return ALL
    return Visible(tuple(scope_clauses(shape, _S)), _series_parameters(shape))


class Scoped:
    """A statement of a level that joins studies (and series), for every scope."""

    def __init__(self, statement: Select[Any], level: QueryLevel) -> None:
        self._statement = statement
        self._level = level
        self._plain = Prepared(statement)
        self._narrowed = lru_cache(maxsize=128)(self._narrow)

    def _narrow(self, shape: ScopeShape) -> Prepared:
        return Prepared(self._statement.where(*scope_clauses(shape, self._level)))

    def at(self, values: Mapping[str, Any], scope: Scope) -> tuple[Prepared, Mapping[str, Any]]:
        """The statement and its values for a scope that is not nothing."""
        if scope.everything:
            return self._plain, values
        plan = plan_of(scope)
        return self._narrowed(plan.shape), {**values, **plan.values}
