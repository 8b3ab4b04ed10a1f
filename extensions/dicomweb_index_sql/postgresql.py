"""PostgreSQL, by way of psycopg 3.

Who writes to the index first locks the row of the sequence, and holds it until the commit. So
numbers become visible in their order, and a reader of the log of changes misses none; what a
writer reads of parents is true until it commits; and no two writers wait for each other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    Float,
    cast,
    create_engine,
    event,
    func,
)
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from dicomweb_index_sql.kinds import Full, Kind, Trouble
from dicomweb_index_sql.prepared import Cursor
from dicomweb_index_sql.schema import metadata

if TYPE_CHECKING:
    import psycopg

INSTALL = (
    "Url names a PostgreSQL database, and the driver for it is not installed: "
    "pip install 'dicomweb-server[postgresql]'"
)
_UNDECIDED = (
    "the connection to {} broke while a change was written, and it cannot be learnt yet whether it "
    "was"
)
_MIGRATING = 0x64696377  # "dicw": an arbitrary key of an advisory lock
_IDLE_SECONDS = 60
"""A node that vanished within a transaction holds up the others for so long at most."""
_FORGET_SECONDS = 86_400
_BEGIN = "BEGIN; "
_BEGIN_ALONE = "BEGIN; SELECT value FROM counters WHERE name = 'sequence' FOR UPDATE; "
_MARK = (
    "INSERT INTO counters (name, value) VALUES ('{}', {}) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_LAST = (
    "INSERT INTO counters (name, value) VALUES ('{}', 0) "
    "ON CONFLICT (name) DO UPDATE SET value = counters.value RETURNING value"
)
_TIDY = "DELETE FROM counters WHERE name <> 'sequence' AND value < {}"
_REPEAT = {"40001", "40P01"}  # serialization failure, deadlock
_CONNECT = {
    "application_name": "dicomweb-server",
    "client_encoding": "utf8",
    "connect_timeout": "10",
    # A server that vanished is noticed in less than a minute instead of two hours.
    "keepalives_idle": "20",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "40000",
}
_SENTENCES = {
    "42P01": "the database has no tables yet: run `dicomweb-server migrate`",
    "42703": "the database has an older schema: run `dicomweb-server migrate`",
    "55P03": "the database is locked by another program",
    "25006": "the database takes no writes: it is a standby, or read-only",
    "53300": "the database has no connection left: raise its max_connections, or lower "
    "HttpWorkers or Index.Connections",
    "57P03": "the database is starting or stopping",
    "57P01": "the database is stopping",
}


class PostgreSQL(Kind):
    """A database on a server, that several nodes may share."""

    wait_for_writers = "SELECT 1 FROM counters WHERE name = 'sequence' FOR SHARE"
    freeze = (
        "SET LOCAL idle_in_transaction_session_timeout = 0",
        f"LOCK TABLE {', '.join(metadata.tables)} IN SHARE MODE",
    )
    filled = ("ANALYZE",)  # else the first searches are planned for empty tables
    # Which transactions are visible: no two states of the database have the same ones.
    state = "SELECT pg_current_snapshot()::text"
    snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ"

    def __init__(self, url: URL, busy_seconds: float, connections: int) -> None:
        super().__init__(url.set(drivername="postgresql+psycopg"))
        self.limit = connections
        self._busy = busy_seconds
        self._dialect: Dialect | None = None
        self._engine: Engine | None = None

    @property
    def where(self) -> str:
        """The server and the database, without any secret."""
        port = f":{self.url.port}" if self.url.port else ""
        return f"postgresql://{self.url.host or ''}{port}/{self.url.database or ''}"

    # --- connections -----------------------------------------------------------------------

    def create_engine(self) -> Engine:
        try:
            import psycopg  # an extra: not everybody has it
        except ImportError as error:  # also psycopg without libpq
            raise Trouble(INSTALL) from error
        # Connections are kept by `Database`, which needs no pool.
        engine = create_engine(
            self.url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            use_native_hstore=False,
            connect_args={k: v for k, v in _CONNECT.items() if k not in self.url.query},
        )
        # Prepared statements are written for the server ($1): see wire.py.
        kind: Any = type(engine.dialect)
        self._dialect = kind(paramstyle="numeric_dollar", dbapi=psycopg)
        event.listen(engine, "connect", self._prepare)
        self._engine = engine
        return engine

    def _prepare(self, connection: psycopg.Connection[Any], _record: object) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise Trouble(
                f"the database {self.where} has the encoding {encoding}; it must be UTF8: make it "
                f"with `createdb --encoding=UTF8 --template=template0`"
            )
        connection.autocommit = True
        connection.execute(
            f"SET lock_timeout = {round(self._busy * 1000)}; "
            f"SET idle_in_transaction_session_timeout = {_IDLE_SECONDS * 1000}"
        )

    def cursor(self, connection: Connection) -> Cursor:
        from dicomweb_index_sql.wire import WireCursor  # which imports the driver

        driver: Any = connection.connection.dbapi_connection
        return WireCursor(driver, self._dialect or connection.dialect)

    @contextmanager
    def alone(self) -> Iterator[None]:
        engine = self._engine or self.create_engine()
        # The lock is one of the session: it ends with this connection, however that happens.
        with engine.connect() as connection:
            connection.exec_driver_sql("SET lock_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({_MIGRATING})")
            yield

    @contextmanager
    def migrating(self, engine: Engine) -> Iterator[Connection]:
        # All or nothing: in one transaction, and not in autocommit mode.
        with engine.connect() as connection:
            yield connection.execution_options(isolation_level="READ COMMITTED")

    # --- transactions ----------------------------------------------------------------------

    def begin(self, cursor: Cursor, *, alone: bool) -> int:
        # The row of this connection tells later whether the transaction was committed.
        # `txid_status` cannot: a server that crashed gives numbers of transactions out again.
        ticket = cursor.next_ticket()
        begin = _BEGIN_ALONE if alone else _BEGIN
        cursor.command(begin + _MARK.format(cursor.writer, ticket))
        return ticket

    def commit(self, cursor: Cursor) -> None:
        if cursor.command("COMMIT") != "COMMIT":
            raise Trouble("the database undid a change instead of keeping it")

    def is_lost(self, cursor: Cursor) -> bool:
        return cursor.closed

    def may_repeat(self, error: BaseException) -> bool:
        return _state(_original(error)) in _REPEAT

    def was_committed(self, cursor: Cursor, ticket: int) -> bool:
        end = time.monotonic() + self._busy
        while (found := self._ticket(cursor.writer)) is None:
            if time.monotonic() > end:
                raise Trouble(_UNDECIDED.format(self.where))
            time.sleep(0.1)
        return found == ticket

    def _ticket(self, writer: str) -> int | None:
        """The ticket that a connection committed last; None when the server does not answer.

        Waits for a transaction that the server is still at work on.
        """
        try:
            with (self._engine or self.create_engine()).connect() as connection:
                return int(connection.exec_driver_sql(_LAST.format(writer)).scalar_one())
        except DBAPIError:
            return None

    def tidy(self, connection: Connection) -> None:
        connection.exec_driver_sql(_TIDY.format(round((time.time() - _FORGET_SECONDS) * 1e6)))

    def clock(self) -> ColumnElement[float] | None:
        return cast(func.extract("epoch", func.clock_timestamp()), Float)

    # --- errors ----------------------------------------------------------------------------

    def driver_error(self) -> type[Exception]:
        try:
            import psycopg
        except ImportError:
            return Trouble
        return psycopg.Error

    def trouble(self, error: BaseException) -> Trouble:
        original = _original(error)
        state = _state(original)
        if state == "53100":
            return Full("there is no room for the index to grow")
        if state in _SENTENCES:
            return Trouble(_SENTENCES[state])
        # What follows the first line may hold values, which are patient data.
        message = getattr(getattr(original, "diag", None), "message_primary", None)
        first = (message or str(original)).strip().partition("\n")[0]
        # libpq gives no code when it does not get as far as the server.
        unreachable = state is None and type(original).__name__ == "OperationalError"
        if unreachable or (state or "").startswith(("08", "28", "3D")):
            return Trouble(f"the database {self.where} cannot be reached: {first}")
        return Trouble(f"the database failed: {first}")


def _original(error: BaseException) -> BaseException:
    """The driver's error inside of SQLAlchemy's."""
    return (error.orig or error) if isinstance(error, DBAPIError) else error


def _state(error: BaseException) -> str | None:
    """The code of an error (SQLSTATE); None if the server did not give one."""
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else None
