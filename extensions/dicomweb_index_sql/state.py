"""Documents, leases and logs in the same database as the index."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from dicomweb_index_sql.database import Database, cursor_of
from dicomweb_index_sql.options import BUSY_TIMEOUT, OPTIONS, database_url
from dicomweb_index_sql.schema import documents, leases, logs
from dicomweb_server.interfaces.provider import Settings
from dicomweb_server.interfaces.state import Conflict, Document, Entry, StateError, StateStore


class SqlStateStore(StateStore):
    """The state store that comes with the index."""

    name = "sql"
    options = OPTIONS

    def __init__(self, settings: Settings) -> None:
        self._database = Database(
            database_url(settings),
            busy_seconds=settings[BUSY_TIMEOUT],
            unavailable=StateError,
            full=StateError,
        )

    def check(self) -> None:
        self._database.ping()

    def close(self) -> None:
        self._database.close()

    def get(self, namespace: str, key: str) -> Document | None:
        with self._database.read() as connection:
            return _document(connection, namespace, key)

    def put(self, namespace: str, key: str, value: Any, *, expected: int | None = None) -> Document:
        with self._database.write() as connection:
            known = _document(connection, namespace, key)
            version = known.version if known else 0
            if expected is not None and expected != version:
                raise Conflict(f"{namespace}/{key} has version {version}, expected {expected}")
            _write(connection, namespace, key, value, version)
        return Document(key, value, version + 1)

    def delete(self, namespace: str, key: str) -> bool:
        statement = delete(documents).where(
            documents.c.namespace == namespace, documents.c.key == key
        )
        with self._database.write() as connection:
            return connection.execute(statement).rowcount > 0

    def documents(self, namespace: str, prefix: str = "") -> list[Document]:
        statement = (
            select(documents)
            .where(documents.c.namespace == namespace, documents.c.key >= prefix)
            .order_by(documents.c.key)
        )
        found = []
        with self._database.read() as connection:
            for row in connection.execute(statement):
                if not row.key.startswith(prefix):
                    break
                found.append(Document(row.key, row.value, row.version))
        return found

    def acquire(self, lease: str, holder: str, seconds: float) -> bool:
        now = time.time()
        taken = (
            update(leases)
            .where(leases.c.name == lease, (leases.c.holder == holder) | (leases.c.expires < now))
            .values(holder=holder, expires=now + seconds)
        )
        with self._database.write() as connection:
            if connection.execute(taken).rowcount:
                return True
            if connection.execute(select(leases).where(leases.c.name == lease)).first():
                return False
            try:
                connection.execute(
                    insert(leases).values(name=lease, holder=holder, expires=now + seconds)
                )
            except IntegrityError:  # another node was faster
                return False
            return True

    def release(self, lease: str, holder: str) -> None:
        statement = delete(leases).where(leases.c.name == lease, leases.c.holder == holder)
        with self._database.write() as connection:
            connection.execute(statement)

    def append(self, log: str, value: Any) -> int:
        with self._database.write() as connection:
            seq = self._database.allocate(cursor_of(connection), 1)
            connection.execute(insert(logs).values(log=log, seq=seq, value=value))
        return seq

    def read(self, log: str, *, after: int = 0, limit: int = 100) -> list[Entry]:
        statement = (
            select(logs.c.seq, logs.c.value)
            .where(logs.c.log == log, logs.c.seq > after)
            .order_by(logs.c.seq)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [Entry(row.seq, row.value) for row in connection.execute(statement)]


def _document(connection: Connection, namespace: str, key: str) -> Document | None:
    row = connection.execute(
        select(documents).where(documents.c.namespace == namespace, documents.c.key == key)
    ).first()
    return None if row is None else Document(row.key, row.value, row.version)


def _write(connection: Connection, namespace: str, key: str, value: Any, version: int) -> None:
    if version:
        changed = connection.execute(
            update(documents)
            .where(
                documents.c.namespace == namespace,
                documents.c.key == key,
                documents.c.version == version,
            )
            .values(value=value, version=version + 1)
        )
        if not changed.rowcount:
            raise Conflict(f"{namespace}/{key} was changed by somebody else meanwhile")
        return
    try:
        connection.execute(
            insert(documents).values(namespace=namespace, key=key, value=value, version=1)
        )
    except IntegrityError as error:
        raise Conflict(f"{namespace}/{key} was made by somebody else meanwhile") from error
