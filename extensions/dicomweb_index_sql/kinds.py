"""What one kind of database must tell the rest, which does not ask which kind it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from sqlalchemy import URL, ColumnElement, Connection, Engine

from dicomweb_index_sql.prepared import Cursor


class Trouble(Exception):
    """The database cannot be used; the message is a sentence for an operator."""


class Full(Trouble):
    """The database cannot grow."""


class Kind(ABC):
    """One kind of database, and where it is."""

    limit: int | None = None
    """Connections that one process has at most; None: as many as it has threads."""
    one_list: bool = True
    """Whether connections that read and those that write are the same to the database."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.file: Path | None = None
        """The one file that holds the database, if there is one."""

    @abstractmethod
    def create_engine(self) -> Engine:
        """An engine whose connections are in autocommit mode: transactions are explicit."""

    @abstractmethod
    def cursor(self, connection: Connection) -> Cursor:
        """A cursor for prepared statements on a connection."""

    def create(self) -> None:
        """Make an empty database, if that is this program's to do."""
        return

    def replaced(self) -> bool:
        """Whether another database took the place of the one that connections lead to.

        Raises `Trouble` when there is none.
        """
        return False

    def require_writable(self) -> None:
        """Raise `Trouble` if this process may not write, where that shows without writing."""
        return

    def turn(self) -> AbstractContextManager[None]:
        """Wait until this process may write, where the database itself does not queue."""
        return nullcontext()

    def close(self) -> None:
        """Give back what this process holds open beside its connections."""
        return

    @abstractmethod
    def alone(self) -> AbstractContextManager[None]:
        """Only one process of all nodes is in here: three migrations at once fail."""

    def migrating(self, engine: Engine) -> AbstractContextManager[Connection]:
        """A connection in which the schema is changed."""
        return engine.connect()

    # --- transactions ----------------------------------------------------------------------

    wait_for_writers = ""
    """A statement that ends when nobody who began to write before may still commit."""
    freeze: tuple[str, ...] = ()
    """Statements that keep others from writing anything until the transaction ends."""
    filled: tuple[str, ...] = ()
    """Statements for when many rows were added at once."""
    snapshot = "BEGIN"
    """Begins a transaction whose statements all see the same data."""

    state: str
    """A query for a value that changes with each commit."""
    state_of_connection = False
    """Whether it tells so of one connection alone: what others committed while that was open."""

    @abstractmethod
    def begin(self, cursor: Cursor, *, alone: bool) -> int:
        """Begin to write; with `alone`, as the only one who takes numbers of the sequence.

        Returns what `was_committed` needs.
        """

    def commit(self, cursor: Cursor) -> None:
        """End the transaction; raises when it was not kept."""
        cursor.command("COMMIT")

    def is_lost(self, cursor: Cursor) -> bool:
        """Whether the connection broke, so that another one may work."""
        return False

    def may_repeat(self, error: BaseException) -> bool:
        """Whether a transaction failed only because of another one at the same moment."""
        return False

    def was_committed(self, cursor: Cursor, ticket: int) -> bool:
        """What became of a transaction whose connection broke while it was committed."""
        raise NotImplementedError

    def tidy(self, connection: Connection) -> None:
        """Remove what was only needed for a while."""
        return

    def clock(self) -> ColumnElement[float] | None:
        """The time that all nodes share, in seconds; None: every process of it has the same."""
        return None

    # --- errors ----------------------------------------------------------------------------

    @abstractmethod
    def driver_error(self) -> type[Exception]:
        """The base of what the driver raises."""

    @abstractmethod
    def trouble(self, error: BaseException) -> Trouble:
        """An error of the driver in a sentence."""
