"""Schema versions: Alembic, run by one process at a time."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from dicomweb_index_sql.database import Database, cursor_of
from dicomweb_server.interfaces.index import IndexUnavailable


def alembic_config() -> Config:
    """Alembic's configuration, without any file of its own."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


@cache
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
    database.read(lambda connection: database.require_here(cursor_of(connection)))
    found = database.read(current)
    if found != newest():
        raise IndexUnavailable(
            f"the database has schema {found or '(none)'}, this program needs {newest()}: "
            f"run `dicomweb-server migrate`"
        )


def migrate(database: Database) -> str:
    """Bring the schema up to date; a sentence about what was done."""
    database.create()
    with database.translated(), database.kind.alone():
        before = database.read(current)
        if before == newest():
            database.transact(database.kind.tidy, alone=False)
            return f"the schema is up to date ({before})"
        if before is not None and before not in known():
            raise IndexUnavailable(
                f"the database has schema {before}, which this program does not know (it knows "
                f"{', '.join(known())}): a newer release made it; install that release again"
            )
        with database.kind.migrating(database.engine) as connection:
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
