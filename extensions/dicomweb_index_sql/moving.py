"""Copies everything from one database to another, whatever kinds they are.

It happens in one transaction at the target: until all is there, nothing is, so that an interrupted
copy leaves an empty target and is begun again. Nobody writes to the source meanwhile, or later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, func, insert, select, tuple_, update

from dicomweb_index_sql import migration
from dicomweb_index_sql.columns import clean
from dicomweb_index_sql.database import MOVED, SEQUENCE, Database, cursor_of
from dicomweb_index_sql.prepared import Prepared
from dicomweb_index_sql.schema import counters, leases, metadata
from dicomweb_server.interfaces.index import IndexUnavailable

Progress = Callable[[int], object]

_PAGE = 100
_JUMP = 1_000_000_000
# Leases expire; who holds one takes it again.
TABLES = tuple(table for table in metadata.sorted_tables if table is not leases)


class NotEmpty(Exception):
    """The target holds something already."""


def move(source: Database, target: Database, progress: Callable[[int], Progress]) -> dict[str, int]:
    """Copy all tables; how many rows each has. `progress` takes the number of all rows first."""
    if _place(source) == _place(target):
        raise IndexUnavailable("the target is the database that the index is in already")
    migration.require_current(source)
    migration.migrate(target)

    def read(taken: Connection) -> dict[str, int]:
        for statement in source.kind.freeze:
            cursor_of(taken).command(statement)
        counts = target.transact(lambda filled: _copy(target, taken, filled, progress))
        # Who still writes here would write for nobody.
        _rename(taken, SEQUENCE, MOVED, 0)
        return counts

    return source.transact(read)


def reopen(database: Database) -> bool:
    """Let a database be written to again that was moved; whether it was.

    What the other one was given meanwhile is not here, and its numbers are not given out again.
    """
    with database.translated(), database.kind.turn(), database.engine.connect() as connection:
        return bool(_rename(connection, MOVED, SEQUENCE, _JUMP))


def _rename(connection: Connection, name: str, other: str, more: int) -> int:
    renamed = (
        update(counters)
        .where(counters.c.name == name)
        .values(name=other, value=counters.c.value + more)
    )
    return connection.execute(renamed).rowcount


def _place(database: Database) -> tuple[Any, ...]:
    url = database.kind.url
    return (url.get_backend_name(), url.host, url.port, url.database)


def _copy(
    target: Database, taken: Connection, filled: Connection, progress: Callable[[int], Progress]
) -> dict[str, int]:
    counts = _counts(taken)
    _require_empty(filled)
    filled.execute(delete(counters).where(counters.c.name == SEQUENCE))
    with_progress = progress(sum(counts.values()))
    for table in TABLES:
        _copy_table(table, taken, filled, with_progress)
    found = _counts(filled)
    if found != counts:
        raise IndexUnavailable(f"the copy has {_told(found)}, the source {_told(counts)}")
    for statement in target.kind.filled:
        cursor_of(filled).command(statement)
    return counts


def _counts(connection: Connection) -> dict[str, int]:
    return {
        table.name: connection.execute(
            select(func.count()).select_from(_rows(table).subquery())
        ).scalar_one()
        for table in TABLES
    }


def _rows(table: Table) -> Select[Any]:
    """The rows that are copied: of the counters only the one that all databases have."""
    rows = select(table)
    return rows.where(counters.c.name == SEQUENCE) if table is counters else rows


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _require_empty(connection: Connection) -> None:
    rows = {name: count for name, count in _counts(connection).items() if count}
    rows.pop(counters.name, None)
    if rows:
        raise NotEmpty(_told(rows))


def _copy_table(table: Table, taken: Connection, filled: Connection, progress: Progress) -> None:
    statement = Prepared(insert(table), table.columns.keys())
    cursor = cursor_of(filled)
    for page in _pages(table, taken):
        statement.run_many(cursor, page)
        progress(len(page))


def _pages(table: Table, connection: Connection) -> Iterator[list[dict[str, Any]]]:
    """All rows in the order of the primary key, some at a time."""
    key = tuple(table.primary_key)
    everything = _rows(table).order_by(*key).limit(_PAGE)
    page = connection.execute(everything).mappings().all()
    while page:
        yield [{name: _kept(value) for name, value in row.items()} for row in page]
        last = tuple_(*(page[-1][column.name] for column in key))
        after = everything.where(tuple_(*key) > last)
        page = connection.execute(after).mappings().all()


def _kept(value: Any) -> Any:
    """A value that every database can keep."""
    return clean(value) if isinstance(value, str) else value
