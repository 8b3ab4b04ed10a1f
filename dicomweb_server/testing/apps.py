"""An application on temporary folders, without a server around it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

from flask import Flask

from dicomweb_server.context import ServerContext
from dicomweb_server.http.access import CONTEXT_KEY
from dicomweb_server.web.app import create_app


def context_of(app: Flask) -> ServerContext:
    """The context of an application."""
    return cast(ServerContext, app.extensions[CONTEXT_KEY])


def _has_default_index(raw: Mapping[str, Any]) -> bool:
    """Whether the configuration certainly names no other index than that of no configuration."""
    return raw.get("Index", {}) in ({}, {"Url": ""}) and "DisabledExtensions" not in raw


@cache
def _empty_archive() -> tempfile.TemporaryDirectory[str]:
    """The data folder of an archive that was set up and closed; gone when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="dicomweb-empty-")
    context_of(create_app({"StorageDirectory": folder.name, "CodecProcesses": 0})).close()
    return folder


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
    `config` has CodecProcesses. The tables of the default index are copied, not made again, where
    there are none yet.
    """
    raw = {"StorageDirectory": str(folder / "data"), "CodecProcesses": 0} | dict(config or {})
    if _has_default_index(raw) and not (folder / "data").exists():
        shutil.copytree(_empty_archive().name, folder / "data")
    app = create_app(raw, extra=extensions)
    try:
        yield app
    finally:
        context_of(app).close()
