"""Where the database is: the options of the sections `Index` and `StateStore`."""

from __future__ import annotations

from dicomweb_server.config import Option, number, text
from dicomweb_server.interfaces.provider import Settings
from dicomweb_server.settings import INDEX_DIRECTORY, STORAGE_DIRECTORY

URL = Option(
    "Url",
    "",
    "SQLAlchemy URL of the database; empty: the file index.sqlite in IndexDirectory.",
    text,
)
BUSY_TIMEOUT = Option(
    "BusyTimeout", 30.0, "Seconds to wait for a database that another process writes to.", number
)
OPTIONS = (URL, BUSY_TIMEOUT)


def database_url(settings: Settings) -> str:
    """The configured URL, or that of a file in the index directory."""
    if settings[URL]:
        return settings[URL]
    config = settings.config
    folder = config.path(config[INDEX_DIRECTORY] or config[STORAGE_DIRECTORY])
    return f"sqlite:///{folder / 'index.sqlite'}"
