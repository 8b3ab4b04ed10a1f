"""What several commands need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicomweb_server.context import ServerContext
from dicomweb_server.web.app import create_context


@contextmanager
def opened(config: Path | None) -> Iterator[ServerContext]:
    """The context of a configuration, closed at the end whatever happens."""
    context = create_context(config)
    try:
        yield context
    finally:
        context.close()
