"""The connection to the database: the one place that knows what is special about each kind."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    bindparam,
    create_engine,
    event,
    select,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from dicomweb_index_sql.prepared import Cursor, Prepared
from dicomweb_index_sql.schema import counters
from dicomweb_index_sql.turns import Turn
from dicomweb_server.config import ConfigError
from dicomweb_server.interfaces.index import IndexFull, IndexUnavailable

SEQUENCE = "sequence"
_NEXT = Prepared(
    update(counters)
    .where(counters.c.name == SEQUENCE)
    .values(value=counters.c.value + bindparam("count", type_=BigInteger))
    .returning(counters.c.value)
)


class Database:
    """One database, with one pool of connections for each process that uses it.

    The engine is created on first use in each process: connections must not cross a fork.
    """

    def __init__(
        self,
        url: str,
        *,
        busy_seconds: float = 30.0,
        unavailable: type[Exception] = IndexUnavailable,
        full: type[Exception] = IndexFull,
    ) -> None:
        """`unavailable` and `full` are what errors of the driver become."""
        try:
            self.url = make_url(url)
        except ArgumentError as error:
            raise ConfigError(
                "Url is no database URL; expected for example sqlite:////var/lib/index.sqlite"
            ) from error
        try:
            self.url.get_dialect()
        except NoSuchModuleError as error:
            raise ConfigError(
                f"Url names the kind of database {self.url.drivername!r}, which SQLAlchemy does "
                f"not know here; expected for example sqlite:////var/lib/index.sqlite"
            ) from error
        self._unavailable = unavailable
        self._full = full
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and (self.url.database or ":memory:").startswith((":memory:", "file:")):
            raise ConfigError(
                "Url names no file; processes share a SQLite database only as a file: expected "
                "for example sqlite:////var/lib/index.sqlite"
            )
        self._busy = busy_seconds
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        # Taking a connection out of SQLAlchemy's pool and giving it back costs as much as a small
        # statement, so those that serve short reads, and the one that writes, stay out of it.
        self._readers: list[_Reader] = []
        self._writer: Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._pid = 0
        self._turn = Turn(f"{self.url.database}.turn")

    @property
    def engine(self) -> Engine:
        """The engine of this process; of the file that is there now, if it is one of SQLite."""
        if self.is_sqlite:
            self._look_for_the_file()
        if self._engine is None or self._pid != os.getpid():
            with self._lock:
                if self._engine is None or self._pid != os.getpid():
                    self._readers, self._writer = [], None
                    self._engine = self._create()
                    self._pid = os.getpid()
        return self._engine

    def _look_for_the_file(self) -> None:
        """A file that was deleted while it was open takes writes, and loses them."""
        try:
            status = os.stat(self.url.database or "")  # noqa: PTH116  # twice in each request
        except OSError:
            if self._identity is not None:
                raise self._unavailable(f"the index {self.url.database} is gone") from None
            raise self._unavailable(
                f"there is no database {self.url.database}: see StorageDirectory, IndexDirectory "
                f"and Index.Url, or make one with `dicomweb-server migrate`"
            ) from None
        identity = (status.st_dev, status.st_ino)
        if self._identity not in (None, identity):
            self.close()  # another file took its place, for example a restored one
        self._identity = identity

    def create_file(self) -> None:
        """Make the empty file of a new SQLite database; nothing else makes it."""
        if not self.is_sqlite or self._identity is not None:
            return
        path = Path(str(self.url.database))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(0o640)
        except OSError as error:
            raise self._unavailable(
                f"the database {path} cannot be made or written: {error.strerror}; see "
                f"IndexDirectory, StorageDirectory and Index.Url"
            ) from error

    def _create(self) -> Engine:
        if not self.is_sqlite:
            try:
                return create_engine(self.url, pool_size=10, max_overflow=50, pool_pre_ping=True)
            except ModuleNotFoundError as error:
                raise self._unavailable(
                    f"the driver {error.name} of this kind of database is not installed"
                ) from error
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
        event.listen(engine, "connect", _prepare_sqlite)
        return engine

    def close(self) -> None:
        """Give all connections of this process back."""
        if self._engine is not None and self._pid == os.getpid():
            while self._readers:
                self._readers.pop().close()
            if self._writer is not None:
                self._writer.close()
            self._engine.dispose()
        self._readers, self._writer, self._engine = [], None, None

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Connection]:
        """A connection for reading; with `snapshot` all statements see the same data."""
        with self._translated(), self.engine.connect() as connection:
            if not self.is_sqlite:
                level = "REPEATABLE READ" if snapshot else "AUTOCOMMIT"
                yield connection.execution_options(isolation_level=level)
                return
            # pysqlite is in autocommit mode (see _prepare_sqlite): transactions are explicit.
            if snapshot:
                connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                if snapshot:
                    connection.exec_driver_sql("ROLLBACK")

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """A cursor for reading with prepared statements, each of which sees committed data."""
        engine = self.engine
        with self._translated():
            reader = self._take_reader(engine)
            try:
                yield reader.cursor
            except BaseException:
                reader.close()
                raise
            self._readers.append(reader)

    def _take_reader(self, engine: Engine) -> _Reader:
        try:
            return self._readers.pop()
        except IndexError:
            return _Reader(engine)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end, or leaves nothing when an exception passes.

        BEGIN IMMEDIATE: a deferred transaction that turns to writing late fails when another
        process wrote meanwhile, however long the busy time-out is.
        """
        if not self.is_sqlite:
            with self._translated(), self.engine.begin() as connection:
                yield connection
            return
        with self._translated(), self._turn.taken():
            engine = self.engine
            connection = self._writer = self._writer or engine.connect()
            raw = cursor_of(connection).raw
            raw.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                raw.execute("COMMIT")
                connection.rollback()  # SQLAlchemy's own idea of a transaction, now empty
            except BaseException:
                self._writer = None
                connection.invalidate()  # which also rolls back
                connection.close()
                raise

    def allocate(self, cursor: Cursor, count: int) -> int:
        """The first of `count` numbers that were never given out before.

        Row keys, revisions and the log of changes take theirs from this one sequence.
        """
        last = _NEXT.rows(cursor, {"count": count})[0][0]
        return int(last) - count + 1

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turns what drivers raise into the exceptions of the interface."""
        try:
            yield
        except DBAPIError as error:
            raise self._translate(str(error.orig)) from error
        except self._driver_errors() as error:  # of a prepared statement
            raise self._translate(str(error)) from error
        except SQLAlchemyError as error:
            raise self._unavailable(f"the database cannot be used: {error}") from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise self._unavailable(
                f"the database cannot be used: {where}{error.strerror}"
            ) from error

    def _driver_errors(self) -> type[Exception]:
        engine = self._engine
        return engine.dialect.loaded_dbapi.Error if engine is not None else sqlite3.Error

    def _translate(self, message: str) -> Exception:
        lower = message.lower()
        if any(text in lower for text in _FULL):
            return self._full("there is no room for the index to grow")
        for text, sentence in _GONE:
            if text in lower:
                return self._unavailable(sentence)
        return self._unavailable(f"the database failed: {message}")

    def ping(self) -> None:
        """Raise `IndexUnavailable` unless the database answers."""
        with self.read() as connection:
            connection.execute(select(counters.c.value)).first()


class _Reader:
    """A connection in which every statement sees what is committed, and its one cursor."""

    def __init__(self, engine: Engine) -> None:
        self._raw = engine.raw_connection()
        self.cursor = Cursor(self._raw.cursor(), engine.dialect)

    def close(self) -> None:
        """Give the connection up: what it was doing may have failed."""
        with contextlib.suppress(Exception):
            self._raw.invalidate()


def cursor_of(connection: Connection) -> Cursor:
    """A cursor for prepared statements inside of the connection's transaction."""
    return Cursor(connection.connection.cursor(), connection.dialect)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "case_sensitive_like=ON",
        "temp_store=MEMORY",
        "cache_size=-4096",
    ):
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


_FULL = ("database or disk is full", "no space left", "disk full")
_GONE = (
    ("locked", "the database is locked by another program"),
    ("readonly", "the database cannot be written: its file or folder is read-only"),
    ("unable to open", "the database file cannot be opened"),
    ("no such table", "the database has no tables yet: run `dicomweb-server migrate`"),
    ("no such column", "the database has an older schema: run `dicomweb-server migrate`"),
)
