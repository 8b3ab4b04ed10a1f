"""Fuzzy searches: no index of a database knows what is like a name, so every name is looked at.

That is a third of a second for 100 000 studies. What was found goes into the statement as the row
keys of studies, so that all other conditions, limits and counts work as they always do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from sqlalchemy import BigInteger, String, bindparam, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.types import Boolean

from dicomweb_index_sql.columns import BY_TAG, GROUPS
from dicomweb_index_sql.database import Database
from dicomweb_index_sql.prepared import Prepared
from dicomweb_index_sql.schema import studies
from dicomweb_server.ps318.matching import AnyOf, FuzzyName, Predicate
from dicomweb_server.ps318.query_model import Condition

_PAGE = 5000


@dataclass(frozen=True, slots=True)
class Rows:
    """Stands for a predicate: the studies with these row keys, as a JSON list."""

    keys: str

    def matches(self, values: object) -> bool:
        """Values are not compared any more."""
        raise NotImplementedError


class MemberOf(ColumnElement[bool]):
    """Whether a column is one of the numbers of a JSON list, however long that is."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: Any, numbers: Any) -> None:
        self.column = column
        self.numbers = numbers


@compiles(MemberOf)
def _json_each(element: MemberOf, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.column, **options)
    numbers = compiler.process(element.numbers, **options)
    return f"{column} IN (SELECT value FROM json_each({numbers}))"  # noqa: S608 # of SQLAlchemy


@compiles(MemberOf, "postgresql")
def _json_array_elements(element: MemberOf, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.column, **options)
    numbers = compiler.process(element.numbers, **options)
    elements = f"json_array_elements_text(CAST({numbers} AS json))"
    return f"{column} IN (SELECT CAST(value AS bigint) FROM {elements} AS t(value))"  # noqa: S608


def is_fuzzy(predicate: Predicate) -> bool:
    """Whether a predicate is, or holds, a fuzzy name."""
    if isinstance(predicate, AnyOf):
        return any(is_fuzzy(each) for each in predicate.alternatives)
    return isinstance(predicate, FuzzyName)


def resolved(database: Database, condition: Condition) -> Condition:
    """The same condition, by the row keys of the studies that fulfil it."""
    keys = [
        key for key, name in _names(database, condition.tag) if condition.matches_values([name])
    ]
    return replace(condition, predicate=cast(Predicate, Rows(json.dumps(keys))))


def _names(database: Database, tag: str) -> Iterator[tuple[int, str]]:
    """Row key and name, in raw form, of every study that has one."""
    column = BY_TAG[tag].column
    groups = [studies.c[f"{column}_{group}"] for group in GROUPS]
    page = (
        select(studies.c.id, *groups)
        .where(studies.c.id > bindparam("after", type_=BigInteger))
        .order_by(studies.c.id)
        .limit(_PAGE)
    )
    statement, after = Prepared(page), 0
    while True:
        rows = database.fetch(statement, {"after": after})
        for key, *texts in rows:
            name = "=".join(text or "" for text in texts).rstrip("=")
            if name:
                yield key, name
        if len(rows) < _PAGE:
            return
        after = rows[-1][0]


def clause(parameter_name: str) -> ColumnElement[bool]:
    """The condition on the row key of a study."""
    return MemberOf(studies.c.id, bindparam(parameter_name, type_=String))
