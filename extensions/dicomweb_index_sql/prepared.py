"""Core statements compiled once per dialect, run on the driver's own cursor.

SQLAlchemy needs 50 to 100 microseconds of Python for each execution of a statement, beside the few
that the database takes. A request has one to ten of them, so here the text and the order of the
parameters are kept, and only the driver works. Statements stay portable: they are Core
expressions, and values pass through the processors of their column types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from sqlalchemy import Executable
from sqlalchemy.engine.interfaces import Dialect

Row = tuple[Any, ...]
Run = tuple[str, Any]
"""A text, and its parameters in the form that the driver wants."""
Process = Callable[[Any], Any]


class _Compiled:
    """The text for one dialect, with the processors of its parameters and results."""

    def __init__(self, statement: Any, dialect: Dialect, keys: Sequence[str] | None) -> None:
        # Names are given for INSERT: without them every column of the table would be set.
        compiled = statement.compile(dialect=dialect, column_keys=list(keys) if keys else None)
        self.text = str(compiled)
        self.positional = bool(compiled.positional)
        names = compiled.positiontup if self.positional else list(compiled.binds)
        self.constants = {
            name: bind.effective_value
            for name, bind in compiled.binds.items()
            if bind.value is not None
        }
        self.names: tuple[str, ...] = tuple(names or ())
        self.processors: dict[str, Process] = {}
        for name, bind in compiled.binds.items():
            process = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if process is not None:
                self.processors[name] = process
        self.results = self._result_processors(statement, dialect)

    @staticmethod
    def _result_processors(statement: Any, dialect: Dialect) -> list[tuple[int, Process]]:
        found = []
        columns = getattr(statement, "exported_columns", None)
        for position, column in enumerate(columns if columns is not None else ()):
            process = column.type.dialect_impl(dialect).result_processor(dialect, None)
            if process is not None:
                found.append((position, process))
        return found

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """The values in the form that the driver wants."""
        if self.processors:
            changed = {
                name: process(values[name])
                for name, process in self.processors.items()
                if name in values
            }
            values = {**values, **changed}
        if self.constants:
            values = {**self.constants, **values}
        if self.positional:
            return tuple([values[name] for name in self.names])
        return {name: values[name] for name in self.names}

    def processed(self, rows: list[Row]) -> list[Row]:
        """Rows as the column types want them."""
        if not self.results:
            return rows
        processed = []
        for row in rows:
            values = list(row)
            for position, process in self.results:
                values[position] = process(values[position])
            processed.append(tuple(values))
        return processed


class Prepared:
    """A statement that is run often. `keys` are the columns that an INSERT sets."""

    def __init__(self, statement: Executable, keys: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._keys = keys
        self._compiled: dict[str, _Compiled] = {}

    def _for(self, dialect: Dialect) -> _Compiled:
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _Compiled(
                self._statement, dialect, self._keys
            )
        return compiled

    def rows(self, cursor: Cursor, values: Mapping[str, Any] = {}) -> list[Row]:
        """All rows of one execution."""
        compiled = self._for(cursor.dialect)
        return compiled.processed(cursor.query(compiled.text, compiled.parameters(values)))

    def run(self, cursor: Cursor, values: Mapping[str, Any]) -> int:
        """Execute once; the number of rows that were changed."""
        compiled = self._for(cursor.dialect)
        return cursor.run(compiled.text, compiled.parameters(values))

    def run_many(self, cursor: Cursor, rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute for each row."""
        compiled = self._for(cursor.dialect)
        cursor.run_many(compiled.text, [compiled.parameters(row) for row in rows])

    @staticmethod
    def gather(
        cursor: Cursor, asked: Sequence[tuple[Prepared, Mapping[str, Any]]]
    ) -> list[list[Row]]:
        """The rows of several statements, none of which needs another's."""
        compiled = [(statement._for(cursor.dialect), values) for statement, values in asked]
        found = cursor.gather([(each.text, each.parameters(values)) for each, values in compiled])
        return [each.processed(rows) for (each, _), rows in zip(compiled, found, strict=True)]


class Cursor:
    """The driver's cursor, and the dialect that statements are compiled for."""

    far: ClassVar[bool] = False
    """Whether each question is a way to another process, so that one more in the same is cheap."""
    __slots__ = ("dialect", "raw")

    def __init__(self, raw: Any, dialect: Dialect) -> None:
        self.raw = raw
        self.dialect = dialect

    @property
    def closed(self) -> bool:
        """Whether the connection broke."""
        return False

    @property
    def writer(self) -> str:
        """What tells this connection from all others, ever."""
        return ""

    def next_ticket(self) -> int:
        """What tells a transaction from the others of the connection."""
        return 0

    def command(self, text: str) -> str:
        """Run a text without parameters; what it did, if the database says so."""
        self.raw.execute(text)
        return ""

    def query(self, text: str, parameters: Any) -> list[Row]:
        """The rows that a text returns."""
        self.raw.execute(text, parameters)
        rows: list[Row] = self.raw.fetchall()
        return rows

    def run(self, text: str, parameters: Any) -> int:
        """How many rows a text changed."""
        self.raw.execute(text, parameters)
        return int(self.raw.rowcount)

    def run_many(self, text: str, rows: Sequence[Any]) -> None:
        """Run a text for each row of parameters."""
        self.raw.executemany(text, rows)

    def gather(self, runs: Sequence[Run]) -> list[list[Row]]:
        """The rows of several texts."""
        return [self.query(text, parameters) for text, parameters in runs]

    def together(self) -> AbstractContextManager[None]:
        """Within, changes may be sent without waiting for each."""
        return nullcontext()
