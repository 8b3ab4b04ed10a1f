"""Prepared statements on PostgreSQL by libpq's own calls.

psycopg's cursors cost more than the server does for a small statement. What is run here is
prepared once on each connection, with the types that the server infers, and several statements
that do not need each other's results travel together.
"""

from __future__ import annotations

import json
import select
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.types.json import Json
from sqlalchemy.engine.interfaces import Dialect

from dicomweb_index_sql.prepared import Cursor, Row, Run

_TEXT, _BINARY = pq.Format.TEXT, pq.Format.BINARY
_FINE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
_STATEMENTS = 300
_TOGETHER = 500
"""Statements that are sent before answers are read: these must find room until then."""


def _parameter(value: Any) -> tuple[bytes | None, int]:
    """A value as libpq takes it; texts with their length, since NUL would end them."""
    if value is None:
        return None, _TEXT
    if isinstance(value, str):
        return value.encode(), _BINARY
    if isinstance(value, psycopg.Binary):
        return value.obj, _BINARY
    if isinstance(value, bool):
        return b"t" if value else b"f", _TEXT
    if isinstance(value, int):
        return b"%d" % value, _TEXT
    if isinstance(value, datetime):
        return value.isoformat(" ").encode(), _TEXT
    if isinstance(value, Json):
        return json.dumps(value.obj).encode(), _TEXT
    return str(value).encode(), _TEXT


class WireCursor(Cursor):
    """Runs statements on a connection that is in autocommit mode and ours alone."""

    far = True
    __slots__ = ("_names", "_prepared", "_queued", "_results", "_ticket", "_writer", "connection")

    def __init__(self, connection: psycopg.Connection[Any], dialect: Dialect) -> None:
        super().__init__(None, dialect)
        self.connection = connection
        self._prepared: dict[str, bytes] = {}
        self._names = 0
        self._writer = f"writer:{uuid.uuid4().hex[:25]}"
        self._ticket = 0
        self._results = Transformer(connection)
        self._queued: int | None = None

    @property
    def closed(self) -> bool:
        return self.connection.closed

    @property
    def writer(self) -> str:
        return self._writer

    def next_ticket(self) -> int:
        self._ticket = max(self._ticket + 1, round(time.time() * 1e6))
        return self._ticket

    # --- one at a time ---------------------------------------------------------------------

    def command(self, text: str) -> str:
        """Run a text that may hold several statements; what the last one says it did."""
        result = self._checked(self.connection.pgconn.exec_(text.encode()))
        return (result.command_status or b"").decode()

    def query(self, text: str, parameters: Sequence[Any]) -> list[Row]:
        return self._rows(self._execute(text, parameters))

    def run(self, text: str, parameters: Sequence[Any]) -> int:
        if self._queued is not None:
            self._queue(text, parameters)
            return 0
        return self._execute(text, parameters).command_tuples or 0

    def _execute(self, text: str, parameters: Sequence[Any]) -> pq.abc.PGresult:
        name = self._prepared.get(text) or self._prepare(text)
        values, formats = _split(parameters)
        return self._checked(self.connection.pgconn.exec_prepared(name, values, formats, _BINARY))

    def _prepare(self, text: str) -> bytes:
        if len(self._prepared) >= _STATEMENTS:
            oldest = next(iter(self._prepared))
            self.command(f"DEALLOCATE {self._prepared.pop(oldest).decode()}")
        name = self._new_name()
        self._checked(self.connection.pgconn.prepare(name, text.encode()))
        self._prepared[text] = name
        return name

    def _new_name(self) -> bytes:
        self._names += 1
        return b"s%d" % self._names

    def _rows(self, result: pq.abc.PGresult) -> list[Row]:
        self._results.set_pgresult(result)
        return self._results.load_rows(0, result.ntuples, tuple)

    def _checked(self, result: pq.abc.PGresult) -> pq.abc.PGresult:
        if result.status not in _FINE:
            raise error_from_result(result, encoding="utf-8")
        return result

    # --- several together ------------------------------------------------------------------

    def gather(self, runs: Sequence[Run]) -> list[list[Row]]:
        with self._pipeline():
            for text, parameters in runs:
                self._send(text, parameters)
            return [self._rows(result) for result in self._answers()]

    def run_many(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        with self.together():
            for row in rows:
                self._queue(text, row)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Statements within are only sent; they are known to be done at its end."""
        if self._queued is not None:
            yield
            return
        with self._pipeline():
            self._queued = 0
            try:
                yield
                self._answers()
            finally:
                self._queued = None

    def _queue(self, text: str, parameters: Sequence[Any]) -> None:
        self._send(text, parameters)
        self._queued = (self._queued or 0) + 1
        if self._queued >= _TOGETHER:
            self._answers()
            self._queued = 0

    @contextmanager
    def _pipeline(self) -> Iterator[None]:
        # What fails within leaves the connection in this mode: nobody uses it again.
        self.connection.pgconn.enter_pipeline_mode()
        yield
        self.connection.pgconn.exit_pipeline_mode()

    def _send(self, text: str, parameters: Sequence[Any]) -> None:
        server = self.connection.pgconn
        name = self._prepared.get(text)
        if name is None:
            name = self._prepared[text] = self._new_name()
            server.send_prepare(name, text.encode())
        values, formats = _split(parameters)
        server.send_query_prepared(name, values, formats, _BINARY)

    def _answers(self) -> list[pq.abc.PGresult]:
        """The results of what was sent, without preparations; raises the first error."""
        server = self.connection.pgconn
        server.pipeline_sync()
        found: list[pq.abc.PGresult] = []
        failed: pq.abc.PGresult | None = None
        while True:
            self._wait()
            result = server.get_result()
            if result is None:
                if server.status == pq.ConnStatus.BAD:
                    raise psycopg.OperationalError("the connection broke")
                continue  # between two statements
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                break
            if result.status in _FINE:
                found.append(result)
            elif failed is None:
                failed = result
        if failed is not None:
            raise error_from_result(failed, encoding="utf-8")
        return [result for result in found if result.command_status]

    def _wait(self) -> None:
        """Until a result is there; `get_result` would wait without letting other threads run."""
        server = self.connection.pgconn
        while server.is_busy():
            unsent = server.flush()
            poll = select.poll()
            poll.register(server.socket, select.POLLIN | (select.POLLOUT if unsent else 0))
            if any(event & ~select.POLLOUT for _, event in poll.poll()):
                server.consume_input()


def _split(parameters: Sequence[Any]) -> tuple[list[Any], list[int]]:
    values: list[Any] = []
    formats: list[int] = []
    for parameter in parameters:
        value, how = _parameter(parameter)
        values.append(value)
        formats.append(how)
    return values, formats
