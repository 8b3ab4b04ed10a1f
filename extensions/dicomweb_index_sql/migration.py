"""Schema versions: Alembic, run by one process at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from dicomweb_index_sql.database import Database
from dicomweb_server.interfaces.index import IndexUnavailable

_POSTGRES_LOCK = 0x64696377  # "dicw": an arbitrary key of an advisory lock


def alembic_config() -> Config:
    """Alembic's configuration, without any file of its own."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def newest() -> str:
    """The schema version that this program needs."""
    return str(ScriptDirectory.from_config(alembic_config()).get_current_head())


def known() -> list[str]:
    """Every schema version that this program can start from, oldest first."""
    scripts = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    return [script.revision for script in scripts][::-1]


def current(connection: Connection) -> str | None:
    """The schema version of the database; None when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def require_current(database: Database) -> None:
    """Raise `IndexUnavailable` unless the database has the schema of this program."""
    with database.read() as connection:
        found = current(connection)
    if found != newest():
        raise IndexUnavailable(
            f"the database has schema {found or '(none)'}, this program needs {newest()}: "
            f"run `dicomweb-server migrate`"
        )


def migrate(database: Database) -> str:
    """Bring the schema up to date; a sentence about what was done."""
    with _alone(database):
        with database.read() as connection:
            before = current(connection)
        if before == newest():
            return f"the schema is up to date ({before})"
        if before is not None and before not in known():
            raise IndexUnavailable(
                f"the database has schema {before}, which this program does not know (it knows "
                f"{', '.join(known())}): a newer release made it; install that release again"
            )
        with database.engine.connect() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise IndexUnavailable(
                    f"the database has schema {before}, which this program does not know: it needs "
                    f"{newest()}; use the version of the program that made the database"
                ) from error
        return f"the schema went from {before or '(none)'} to {newest()}"


def _lock_file(database: Database) -> IO[str]:
    path = Path(str(database.url.database) + ".migrate-lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w")
    except OSError as error:
        raise IndexUnavailable(
            f"{path.parent} cannot hold the index: {error.strerror}; see IndexDirectory, "
            f"StorageDirectory and Index.Url"
        ) from error


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Only one process of all nodes is in here: three at once failed in two of three tries."""
    if database.is_sqlite:
        with _lock_file(database) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            database.create_file()
            yield
        return
    with database.engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _POSTGRES_LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _POSTGRES_LOCK})
