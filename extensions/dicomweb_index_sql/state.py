"""Documents, leases and logs in the same database as the index."""

from __future__ import annotations

import time
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, Delete, delete, insert, literal, select, update

from dicomweb_index_sql.database import cursor_of
from dicomweb_index_sql.options import OPTIONS, open_database
from dicomweb_index_sql.schema import documents, leases, logs
from dicomweb_index_sql.statements import insert_new
from dicomweb_server.interfaces.provider import Settings
from dicomweb_server.interfaces.state import Conflict, Document, Entry, StateError, StateStore

_TRIES = 100
"""Times that a document is written over whatever is there, while others do the same."""


class SqlStateStore(StateStore):
    """The state store that comes with the index."""

    name = "sql"
    options = OPTIONS

    def __init__(self, settings: Settings) -> None:
        self.database = open_database(settings, unavailable=StateError, full=StateError)

    def check(self) -> None:
        self.database.ping()

    def close(self) -> None:
        self.database.close()

    def get(self, namespace: str, key: str) -> Document | None:
        return self.database.read(lambda connection: _document(connection, namespace, key))

    def put(self, namespace: str, key: str, value: Any, *, expected: int | None = None) -> Document:
        def work(connection: Connection) -> int | None:
            known = _document(connection, namespace, key)
            version = known.version if known else 0
            if expected is not None and expected != version:
                raise Conflict(f"{namespace}/{key} has version {version}, expected {expected}")
            written = _write(connection, namespace, key, value, version)
            return version + 1 if written else None

        for _ in range(1 if expected is not None else _TRIES):
            version = self.database.transact(work, alone=False)
            if version is not None:
                return Document(key, value, version)
        raise Conflict(f"{namespace}/{key} was changed by somebody else meanwhile")

    def delete(self, namespace: str, key: str) -> bool:
        statement = delete(documents).where(
            documents.c.namespace == namespace, documents.c.key == key
        )
        return self._change(statement) > 0

    def documents(self, namespace: str, prefix: str = "") -> list[Document]:
        statement = (
            select(documents)
            .where(documents.c.namespace == namespace, documents.c.key >= prefix)
            .order_by(documents.c.key)
        )

        def work(connection: Connection) -> list[Document]:
            rows = takewhile(lambda r: r.key.startswith(prefix), connection.execute(statement))
            return [Document(row.key, row.value, row.version) for row in rows]

        return self.database.read(work)

    def acquire(self, lease: str, holder: str, seconds: float) -> bool:
        # The clocks of two nodes differ: where there may be several, the database's counts.
        clock = self.database.kind.clock()
        now = literal(time.time()) if clock is None else clock
        until = {"holder": holder, "expires": now + seconds}
        taken = (
            update(leases)
            .where(leases.c.name == lease, (leases.c.holder == holder) | (leases.c.expires < now))
            .values(until)
        )

        def work(connection: Connection) -> bool:
            if connection.execute(taken).rowcount:
                return True
            return insert_new(connection, leases, {"name": lease, **until})

        return self.database.transact(work, alone=False)

    def release(self, lease: str, holder: str) -> None:
        self._change(delete(leases).where(leases.c.name == lease, leases.c.holder == holder))

    def append(self, log: str, value: Any) -> int:
        def work(connection: Connection) -> int:
            seq = self.database.allocate(cursor_of(connection), 1)
            connection.execute(insert(logs).values(log=log, seq=seq, value=value))
            return seq

        return self.database.transact(work)

    def read(self, log: str, *, after: int = 0, limit: int = 100) -> list[Entry]:
        statement = (
            select(logs.c.seq, logs.c.value)
            .where(logs.c.log == log, logs.c.seq > after)
            .order_by(logs.c.seq)
            .limit(limit)
        )
        rows = self.database.read(lambda connection: connection.execute(statement).all())
        return [Entry(row.seq, row.value) for row in rows]

    def _change(self, statement: Delete) -> int:
        """How many rows a statement changed."""
        return self.database.transact(
            lambda connection: connection.execute(statement).rowcount, alone=False
        )


def _document(connection: Connection, namespace: str, key: str) -> Document | None:
    row = connection.execute(
        select(documents).where(documents.c.namespace == namespace, documents.c.key == key)
    ).first()
    return None if row is None else Document(row.key, row.value, row.version)


def _write(connection: Connection, namespace: str, key: str, value: Any, version: int) -> bool:
    """Write over a version, 0 for none; whether nobody else was faster."""
    if not version:
        row = {"namespace": namespace, "key": key, "value": value, "version": 1}
        return insert_new(connection, documents, row)
    changed = (
        update(documents)
        .where(
            documents.c.namespace == namespace,
            documents.c.key == key,
            documents.c.version == version,
        )
        .values(value=value, version=version + 1)
    )
    return connection.execute(changed).rowcount > 0
