"""SQLite: a file, one writer at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from dicomweb_index_sql.kinds import Full, Kind, Trouble
from dicomweb_index_sql.prepared import Cursor
from dicomweb_index_sql.turns import Turn

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "case_sensitive_like=ON",
    "temp_store=MEMORY",
    "cache_size=-4096",
)
_FULL = ("database or disk is full", "no space left", "disk full")
_GONE = (
    ("locked", "the database is locked by another program"),
    ("readonly", "the database cannot be written: its file or folder is read-only"),
    ("unable to open", "the database file cannot be opened"),
    ("no such table", "the database has no tables yet: run `dicomweb-server migrate`"),
    ("no such column", "the database has an older schema: run `dicomweb-server migrate`"),
)


class Sqlite(Kind):
    """A database in one file."""

    one_list = False
    state = "PRAGMA data_version"
    state_of_connection = True

    def __init__(self, url: URL, busy_seconds: float) -> None:
        super().__init__(url)
        self.file = Path(str(url.database))
        self._busy = busy_seconds
        self._turn = Turn(f"{url.database}.turn")
        self._identity: tuple[int, int] | None = None

    def create_engine(self) -> Engine:
        engine = create_engine(
            self.url,
            poolclass=QueuePool,
            pool_size=16,
            max_overflow=1024,
            # The connection that was used last has its pages and statements ready.
            pool_use_lifo=True,
            connect_args={
                "check_same_thread": False,
                "timeout": self._busy,
                "cached_statements": 256,
            },
        )
        event.listen(engine, "connect", _prepare)
        return engine

    def cursor(self, connection: Connection) -> Cursor:
        return Cursor(connection.connection.cursor(), connection.dialect)

    def create(self) -> None:
        """Make the empty file of a new database; nothing else makes it."""
        if self._identity is not None:
            return
        path = Path(str(self.url.database))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(0o640)
        except OSError as error:
            raise Trouble(
                f"the database {path} cannot be made or written: {error.strerror}; see "
                f"IndexDirectory, StorageDirectory and Index.Url"
            ) from error

    def replaced(self) -> bool:
        """A file that was deleted while it was open takes writes, and loses them."""
        try:
            status = os.stat(self.url.database or "")  # noqa: PTH116  # twice in each request
        except OSError:
            if self._identity is not None:
                raise Trouble(f"the index {self.url.database} is gone") from None
            raise Trouble(
                f"there is no database {self.url.database}: see StorageDirectory, IndexDirectory "
                f"and Index.Url, or make one with `dicomweb-server migrate`"
            ) from None
        before, self._identity = self._identity, (status.st_dev, status.st_ino)
        return before not in (None, self._identity)

    def require_writable(self) -> None:
        file = Path(str(self.url.database))
        beside = (file.with_name(file.name + end) for end in ("-wal", "-shm"))
        for path in (file, *beside, file.parent):
            if path.exists() and not os.access(path, os.W_OK):
                raise Trouble(f"{path} cannot be written by the user of this process")

    def turn(self) -> AbstractContextManager[None]:
        return self._turn.taken()

    def close(self) -> None:
        self._turn.close()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with Path(f"{self.url.database}.migrate-lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def migrating(self, engine: Engine) -> Iterator[Connection]:
        # Alembic believes that SQLite cannot change a schema within a transaction: without this
        # one an interrupted migration would leave a schema that no release knows.
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection  # which Alembic's environment commits
            except BaseException:
                with contextlib.suppress(Exception):
                    connection.exec_driver_sql("ROLLBACK")
                raise

    def begin(self, cursor: Cursor, *, alone: bool) -> int:
        # IMMEDIATE: a deferred transaction that turns to writing late fails when another process
        # wrote meanwhile, however long the busy time-out is.
        cursor.command("BEGIN IMMEDIATE")
        return 0

    def driver_error(self) -> type[Exception]:
        return sqlite3.Error

    def trouble(self, error: BaseException) -> Trouble:
        message = str(error)
        lower = message.lower()
        if any(text in lower for text in _FULL):
            return Full("there is no room for the index to grow")
        for text, sentence in _GONE:
            if text in lower:
                return Trouble(sentence)
        return Trouble(f"the database failed: {message}")


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        _pragma(cursor, pragma)
    cursor.close()


def _pragma(cursor: sqlite3.Cursor, pragma: str) -> None:
    # Several processes that create the database at once meet "database is locked" here: the
    # change to WAL does not wait for the busy time-out.
    for attempt in range(100):
        try:
            cursor.execute(f"PRAGMA {pragma}")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or attempt == 99:
                raise
            time.sleep(0.05)
