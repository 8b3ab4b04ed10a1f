"""An application on temporary folders, without a server around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from flask import Flask

from dicomweb_server.context import ServerContext
from dicomweb_server.http.access import CONTEXT_KEY
from dicomweb_server.web.app import create_app


def context_of(app: Flask) -> ServerContext:
    """The context of an application."""
    return cast(ServerContext, app.extensions[CONTEXT_KEY])


@contextmanager
def temporary_app(
    folder: Path,
    config: Mapping[str, Any] | None = None,
    *,
    extensions: Sequence[tuple[str, object]] = (),
) -> Iterator[Flask]:
    """An application with its data below `folder`.

    `config` is what a configuration file would hold; `extensions` are (name, module or object)
    pairs that need not be installed. Frames are decoded in this process, which starts none, unless
    `config` has CodecProcesses.
    """
    raw = {"StorageDirectory": str(folder / "data"), "CodecProcesses": 0} | dict(config or {})
    app = create_app(raw, extra=extensions)
    try:
        yield app
    finally:
        context_of(app).close()
