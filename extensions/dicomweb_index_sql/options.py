"""Where the database is: the options of the sections `Index` and `StateStore`."""

from __future__ import annotations

from dicomweb_index_sql.database import Database
from dicomweb_server.config import Option, number, text, whole
from dicomweb_server.interfaces.index import IndexFull, IndexUnavailable
from dicomweb_server.interfaces.provider import Settings
from dicomweb_server.settings import INDEX_DIRECTORY, STORAGE_DIRECTORY

URL = Option(
    "Url",
    "",
    "Database, for example postgresql://user:${PASSWORD}@host/archive; empty: the file "
    "index.sqlite in IndexDirectory.",
    text,
)
BUSY_TIMEOUT = Option(
    "BusyTimeout", 30.0, "Seconds to wait for a database that another process writes to.", number
)
CONNECTIONS = Option(
    "Connections",
    8,
    "Connections to PostgreSQL that each server process has at most; requests wait for one.",
    whole(1),
)
OPTIONS = (URL, BUSY_TIMEOUT, CONNECTIONS)


def open_database(
    settings: Settings,
    *,
    unavailable: type[Exception] = IndexUnavailable,
    full: type[Exception] = IndexFull,
) -> Database:
    """The configured database; `unavailable` and `full` are what its errors become."""
    return Database(
        database_url(settings),
        busy_seconds=settings[BUSY_TIMEOUT],
        connections=settings[CONNECTIONS],
        unavailable=unavailable,
        full=full,
    )


def database_url(settings: Settings) -> str:
    """The configured URL, or that of a file in the index directory."""
    if settings[URL]:
        return settings[URL]
    config = settings.config
    folder = config.path(config[INDEX_DIRECTORY] or config[STORAGE_DIRECTORY])
    return f"sqlite:///{folder / 'index.sqlite'}"
