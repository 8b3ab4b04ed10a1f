"""The statements that writing needs, prepared once, and the log of changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from dicomweb_index_sql.database import Database
from dicomweb_index_sql.prepared import Cursor, Prepared
from dicomweb_index_sql.schema import (
    changes,
    details,
    extra_values,
    instances,
    metadata,
    patients,
    series,
    studies,
)

Log = Sequence[tuple[str, str, str]]
"""Changes: kind, level and Orthanc identifier of each."""

_CHUNK = 500
_LOOKUP_SIZES = (1, 8, 64, _CHUNK)
ARRIVAL = ("received", "origin", "remote_address", "username")
"""What is known of how a file came, and not from the file."""
_INSTANCE_COLUMNS = (
    *("id", "orthanc_id", "sha256", "size", "storage", "blob", "sop_class_uid"),
    *ARRIVAL,
)


def chunks(items: Sequence[Any], size: int = _CHUNK) -> Iterable[Sequence[Any]]:
    """`items` in pieces that every database takes as parameters of one statement."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def utc_now() -> datetime:
    """Now in UTC, without a zone: what SQLite can keep."""
    return datetime.now(UTC).replace(tzinfo=None)


@lru_cache(maxsize=64)
def lookup(table_name: str, count: int) -> tuple[tuple[str, ...], Prepared, int]:
    """Names of the columns, and a statement that finds rows by up to `size` identifiers.

    There are few sizes, so that there are few statements; callers repeat an identifier.
    """
    table = metadata.tables[table_name]
    size = next(size for size in _LOOKUP_SIZES if size >= count)
    columns = [table.c[name] for name in _INSTANCE_COLUMNS] if table is instances else list(table.c)
    wanted = [bindparam(f"id{i}", type_=String) for i in range(size)]
    statement = select(*columns).where(table.c.orthanc_id.in_(wanted))
    return tuple(column.name for column in columns), Prepared(statement), size


def _update(table: Table) -> Prepared:
    """UPDATE of a whole row by its primary key."""
    key = next(iter(table.primary_key.columns))
    values = {c.name: bindparam(c.name, type_=c.type) for c in table.c if c is not key}
    # A parameter that is named like a column must not stand in WHERE: the names would clash.
    return Prepared(
        update(table).where(key == bindparam(f"{key.name}", type_=key.type)).values(values)
    )


_STORED = (patients, studies, series, instances, details, extra_values, changes)
INSERT = {table.name: Prepared(insert(table), table.columns.keys()) for table in _STORED}
UPDATE = {table.name: _update(table) for table in (studies, series, instances)}

DELETE_DETAILS = Prepared(
    delete(details).where(details.c.instance_row == bindparam("row", type_=BigInteger))
)
DELETE_EXTRAS = Prepared(
    delete(extra_values).where(
        extra_values.c.level == bindparam("l", type_=Integer),
        extra_values.c.owner == bindparam("o", type_=BigInteger),
    )
)

FIRST = {
    column.name: Prepared(
        select(func.min(instances.c.id)).where(column == bindparam("row", type_=BigInteger))
    )
    for column in (instances.c.study_row, instances.c.series_row)
}
"""By the column that names a study or series: the first instance that was stored of it."""


def insert_new(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless its key is there already; whether it was not."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(values).on_conflict_do_nothing()
    return connection.execute(statement.returning(*table.primary_key)).first() is not None


def write_changes(database: Database, cursor: Cursor, log: Log) -> None:
    """Append (kind, level, Orthanc identifier) to the log of changes."""
    if not log:
        return
    write_log(cursor, database.allocate(cursor, len(log)), log)


def write_log(cursor: Cursor, first: int, log: Log) -> None:
    """As `write_changes`, with sequence numbers that were allocated before."""
    now = utc_now()
    INSERT["changes"].run_many(
        cursor,
        [
            {"seq": first + i, "kind": kind, "level": level, "orthanc_id": key, "date": now}
            for i, (kind, level, key) in enumerate(log)
        ],
    )
