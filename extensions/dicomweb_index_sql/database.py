"""The database of this process: connections that are kept, reads, transactions, numbers."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Connection, Engine, bindparam, select, text, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from dicomweb_index_sql.kinds import Full, Kind, Trouble
from dicomweb_index_sql.postgresql import PostgreSQL
from dicomweb_index_sql.prepared import Cursor, Prepared, Row
from dicomweb_index_sql.schema import counters
from dicomweb_index_sql.sqlite import Sqlite
from dicomweb_server.config import ConfigError
from dicomweb_server.interfaces.index import IndexFailure, IndexFull, IndexUnavailable

R = TypeVar("R")

SEQUENCE = "sequence"
MOVED = "moved"
"""What the sequence is called in a database that was copied to another one: nobody writes to it."""
CONNECTIONS_DEFAULT = 8
_TRIES = 5
_POSSIBLE = (
    "possible are sqlite:////var/lib/index.sqlite and postgresql://user:${PASSWORD}@host/database, "
    "with special characters of the password percent-encoded"
)
_NOTHING: Mapping[str, Any] = {}
_PING = Prepared(select(counters.c.value))
_MOVED = Prepared(select(counters.c.value).where(counters.c.name == MOVED))
_NEXT = Prepared(
    update(counters)
    .where(counters.c.name == SEQUENCE)
    .values(value=counters.c.value + bindparam("count", type_=BigInteger))
    .returning(counters.c.value)
)


def parse_url(url: str) -> URL:
    """The URL of a database; raises `ConfigError` without showing what may be a password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: of a port that is no number
        raise ConfigError(f"Url is no database URL; {_POSSIBLE}") from None
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", *_POSTGRESQL):
        raise ConfigError(f"Url names the database {parsed.drivername!r}; {_POSSIBLE}")
    in_memory = (parsed.database or ":memory:").startswith((":memory:", "file:"))
    if parsed.get_backend_name() == "sqlite" and in_memory:
        raise ConfigError(
            "Url names no file; processes share a SQLite database only as a file: expected for "
            "example sqlite:////var/lib/index.sqlite"
        )
    return parsed


_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")


class Database:
    """One database, with the connections of each process that uses it.

    The engine is created on first use in each process: connections must not cross a fork. Taking
    a connection out of SQLAlchemy's pool and giving it back costs as much as a small statement, so
    idle ones are kept here.
    """

    def __init__(
        self,
        url: str,
        *,
        busy_seconds: float = 30.0,
        connections: int = CONNECTIONS_DEFAULT,
        unavailable: type[Exception] = IndexUnavailable,
        full: type[Exception] = IndexFull,
    ) -> None:
        """`unavailable` and `full` are what errors of the driver become."""
        self.url = parse_url(url)
        self.kind: Kind = (
            PostgreSQL(self.url, busy_seconds, connections)
            if self.url.drivername in _POSTGRESQL
            else Sqlite(self.url, busy_seconds)
        )
        self._unavailable = unavailable
        self._full = full
        self._busy = busy_seconds
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._readers: list[_Session] = []
        self._writers: list[_Session] = self._readers if self.kind.one_list else []
        self._free = _places(self.kind)
        self._pid = 0
        self._watch: _Session | None = None
        self._watching = threading.Lock()
        self._generation = 0
        self._state = Prepared(text(self.kind.state))

    @property
    def engine(self) -> Engine:
        """The engine of this process; of the file that is there now, if it is one of SQLite."""
        if self.kind.replaced():
            self.close()
        if self._engine is None or self._pid != os.getpid():
            with self._lock:
                if self._engine is None or self._pid != os.getpid():
                    # Those of the parent process are not ours to use or to close.
                    self._forget_sessions()
                    self._free = _places(self.kind)
                    self._engine = self.kind.create_engine()
                    self._pid = os.getpid()
        return self._engine

    def _forget_sessions(self) -> list[_Session]:
        """Every idle connection; none of them is given out any more."""
        self._generation += 1
        sessions = [*self._readers, *([] if self.kind.one_list else self._writers)]
        if self._watch is not None:
            sessions.append(self._watch)
            self._watch = None
        self._readers = []
        self._writers = self._readers if self.kind.one_list else []
        return sessions

    def close(self) -> None:
        """Give all connections of this process back."""
        sessions = self._forget_sessions()
        if self._engine is not None and self._pid == os.getpid():
            for session in sessions:
                session.close()
            self._engine.dispose()
        self._engine = None
        self.kind.close()

    # --- connections -----------------------------------------------------------------------

    def _take(self, *, writing: bool = False) -> _Session:
        """A connection for this thread alone; `_give` or `_drop` must follow."""
        engine = self.engine
        if self._free is not None and not self._free.acquire(timeout=self._busy):
            raise Trouble(
                f"all {self.kind.limit} connections to the database are in use; more are possible "
                f"with Index.Connections"
            )
        idle = self._writers if writing else self._readers
        try:
            return idle.pop()
        except IndexError:
            pass
        try:
            return _Session(engine, self.kind, self._free)
        except BaseException:
            if self._free is not None:
                self._free.release()
            raise

    def _give(self, session: _Session, *, writing: bool = False) -> None:
        """Keep a connection for whoever comes next."""
        (self._writers if writing else self._readers).append(session)
        if session.place is not None:
            session.place.release()

    def _failed(self, session: _Session, error: BaseException, *, writing: bool = False) -> None:
        """Undo what was begun; raises `_Lost` when the connection broke."""
        if self._is_of_caller(error) and session.undo():
            self._give(session, writing=writing)
            return
        lost = self.kind.is_lost(session.cursor)
        if lost:
            # Those that were idle meanwhile are of the same server.
            for other in self._forget_sessions():
                other.close()
        self._discard(session)
        if lost and isinstance(error, Exception) and not isinstance(error, Trouble):
            raise _Lost from error

    def _discard(self, session: _Session) -> None:
        """Close a connection instead of keeping it."""
        session.close()
        if session.place is not None:
            session.place.release()

    def _is_of_caller(self, error: BaseException) -> bool:
        """Whether the database had no part in it, as with a conflict of versions."""
        ours = (Trouble, SQLAlchemyError, self.kind.driver_error())
        return isinstance(error, Exception) and not isinstance(error, ours)

    # --- reading ---------------------------------------------------------------------------

    def fetch(self, statement: Prepared, values: Mapping[str, Any] = _NOTHING) -> list[Row]:
        """The rows of a prepared statement, which sees what is committed.

        A connection that turns out to be dead, for example since the server was restarted, is
        replaced without anybody noticing.
        """
        with self.translated():
            try:
                return self._fetch(statement, values)
            except _Lost:
                return self._fetch(statement, values)

    def _fetch(self, statement: Prepared, values: Mapping[str, Any]) -> list[Row]:
        session = self._take()
        try:
            rows = statement.rows(session.cursor, values)
        except BaseException as error:
            self._failed(session, error)
            raise
        self._give(session)
        return rows

    def read(self, work: Callable[[Connection], R], *, snapshot: bool = False) -> R:
        """What `work` returns; with `snapshot` all its statements see the same data.

        It is run again when the connection turns out to be dead.
        """
        with self.translated():
            try:
                return self._read(work, snapshot)
            except _Lost:
                return self._read(work, snapshot)

    def _read(self, work: Callable[[Connection], R], snapshot: bool) -> R:
        session = self._take()
        try:
            if snapshot:
                session.cursor.command(self.kind.snapshot)
            result = work(session.connection)
            if snapshot:
                session.cursor.command("COMMIT")
        except BaseException as error:
            self._failed(session, error)
            raise
        if session.settle():
            self._give(session)
        else:
            self._discard(session)
        return result

    def state(self) -> Hashable:
        """A value that is another one after every commit, and never one of before again."""
        if not self.kind.state_of_connection:
            return self.fetch(self._state)[0][0], self._generation
        try:  # and no context manager: this is asked before an answer is sent again
            engine = self.engine
            with self._watching:
                return self._watched(engine)
        except Exception as error:
            told = self._told(error)
            if told is None:
                raise
            raise told from error

    def _watched(self, engine: Engine) -> Hashable:
        """What the one connection tells that is kept open for it."""
        if self._watch is None:
            self._watch = _Session(engine, self.kind, None)
            self._generation += 1
        try:
            return self._generation, self._watch.cursor.query(self.kind.state, ())[0][0]
        except self.kind.driver_error():
            self._watch.close()
            self._watch = None
            raise

    # --- writing ---------------------------------------------------------------------------

    def transact(self, work: Callable[[Connection], R], *, alone: bool = True) -> R:
        """What `work` returns, once all that it wrote is durable; nothing of it if it raises.

        `alone`: nobody else takes numbers of the sequence meanwhile, so what it reads of the index
        stays true. `work` is run again when the database gave it up for another transaction, or
        when the connection broke before the commit.
        """
        doubt = _Doubt()
        try:
            with self.translated():
                return self._repeated(work, alone, doubt)
        except IndexFailure as failure:
            failure.undone = not doubt.exists
            raise

    def _repeated(self, work: Callable[[Connection], R], alone: bool, doubt: _Doubt) -> R:
        for attempt in range(_TRIES - 1):
            try:
                return self._transact(work, alone, doubt)
            except _Lost:
                if attempt:
                    raise
            except Exception as error:
                if not self.kind.may_repeat(error):
                    raise
                time.sleep(random.uniform(0, 0.02) * 2**attempt)  # noqa: S311
        return self._transact(work, alone, doubt)

    def _transact(self, work: Callable[[Connection], R], alone: bool, doubt: _Doubt) -> R:
        with self.kind.turn():
            session = self._take(writing=True)
            try:
                ticket = self.kind.begin(session.cursor, alone=alone)
                if not alone:  # else whoever takes a number finds out
                    self.require_here(session.cursor)
                result = work(session.connection)
                doubt.exists = True
                intact = self._commit(session, ticket, doubt)
            except BaseException as error:
                self._failed(session, error, writing=True)
                raise
            if intact:
                self._give(session, writing=True)
            else:
                self._discard(session)
            return result

    def _commit(self, session: _Session, ticket: int, doubt: _Doubt) -> bool:
        """Commit; whether the connection can be used again."""
        try:
            self.kind.commit(session.cursor)
        except self.kind.driver_error():
            # The answer is lost, not necessarily the commit: to do it again could do it twice.
            cursor = session.cursor
            if not self.kind.is_lost(cursor):
                raise
            if not self.kind.was_committed(cursor, ticket):
                doubt.exists = False
                raise
            return False
        return session.settle()

    def wait_for_writers(self) -> None:
        """Until nobody who began to write before may still commit.

        A server can be at work on a commit whose client has lost the connection, and looks.
        """
        statement = self.kind.wait_for_writers
        if statement:
            self.read(lambda connection: connection.exec_driver_sql(statement).all())

    def allocate(self, cursor: Cursor, count: int) -> int:
        """The first of `count` numbers that were never given out before.

        Row keys, revisions and the log of changes take theirs from this one sequence.
        """
        return self.allocated(cursor, _NEXT.rows(cursor, self.allocation(count)[1]), count)

    @staticmethod
    def allocation(count: int) -> tuple[Prepared, Mapping[str, Any]]:
        """What `allocate` asks, for who asks it together with something else."""
        return _NEXT, {"count": count}

    def allocated(self, cursor: Cursor, rows: Sequence[Row], count: int) -> int:
        """What `allocate` returns, of the rows that were found."""
        if not rows:
            self.require_here(cursor)
        return int(rows[0][0]) - count + 1

    def require_here(self, cursor: Cursor) -> None:
        """Raise `Trouble` if everything was moved to another database."""
        if _MOVED.rows(cursor):
            raise Trouble(
                "the index was moved to another database: set Index.Url to that one and restart; "
                "`dicomweb-server move-index --reopen` goes back to this one"
            )

    # --- errors ----------------------------------------------------------------------------

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turns what drivers raise into the exceptions of the interface."""
        try:
            yield
        except Exception as error:
            told = self._told(error)
            if told is None:
                raise
            raise told from error

    def _told(self, error: BaseException) -> Exception | None:
        """The exception of the interface for one of the driver; None for all others."""
        if isinstance(error, _Lost) and error.__cause__ is not None:
            error = error.__cause__
        if isinstance(error, DBAPIError | self.kind.driver_error()):
            error = self.kind.trouble(error)
        if isinstance(error, Full):
            return self._full(str(error))
        if isinstance(error, Trouble):
            return self._unavailable(str(error))
        if isinstance(error, SQLAlchemyError):
            return self._unavailable(f"the database cannot be used: {error}")
        if isinstance(error, OSError):
            where = f"{error.filename}: " if error.filename else ""
            return self._unavailable(f"the database cannot be used: {where}{error.strerror}")
        return None

    def create(self) -> None:
        """Make an empty database, if that is this program's to do."""
        with self.translated():
            self.kind.create()

    def ping(self) -> None:
        """Raise `IndexUnavailable` unless the database answers."""
        self.fetch(_PING)


class _Doubt:
    """Whether a commit was begun of which nobody knows how it ended."""

    exists = False


class _Lost(Exception):
    """A connection broke while nothing had been done for good."""


class _Session:
    """A connection in autocommit mode, and its cursor for prepared statements."""

    def __init__(
        self, engine: Engine, kind: Kind, place: threading.BoundedSemaphore | None
    ) -> None:
        self.connection = engine.connect()
        self.cursor = self.connection.info["cursor"] = kind.cursor(self.connection)
        self.place = place

    def settle(self) -> bool:
        """End what SQLAlchemy believes to be a transaction; ours ended before, if any.

        Returns whether the connection can be used again.
        """
        try:
            if self.connection.in_transaction():
                self.connection.rollback()
        except Exception:
            return False
        return True

    def undo(self) -> bool:
        """Undo a transaction; whether the connection can be used again."""
        try:
            self.cursor.command("ROLLBACK")
        except Exception:
            return False
        return self.settle()

    def close(self) -> None:
        """Close it: it is not used again."""
        with contextlib.suppress(Exception):
            self.connection.invalidate()
        with contextlib.suppress(Exception):
            self.connection.close()


def cursor_of(connection: Connection) -> Cursor:
    """A cursor for prepared statements inside of the connection's transaction."""
    cursor: Cursor = connection.info["cursor"]
    return cursor


def _places(kind: Kind) -> threading.BoundedSemaphore | None:
    return None if kind.limit is None else threading.BoundedSemaphore(kind.limit)
