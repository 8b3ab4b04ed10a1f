"""Audit log: who did what with whose studies, when and from where, as lines of JSON in a file.

Off unless `Audit` names a file. The file may be renamed by whatever rotates logs: the next line
goes into a new one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask

from dicomweb_audit.lines import AuditLog
from dicomweb_server import hookimpl
from dicomweb_server.config import EMPTY, Config, ConfigError, Option, mapping
from dicomweb_server.context import ServerContext


def _section(value: Any) -> Mapping[str, Any]:
    section = mapping(value)
    if section and (section.keys() != {"Path"} or not _is_text(section["Path"])):
        raise ValueError('must be an object such as {"Path": "/var/log/dicomweb/audit.log"}')
    return section


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


AUDIT = Option(
    "Audit",
    EMPTY,
    'File to which who did what is written, a line of JSON for each request: {"Path": "..."}.',
    _section,
)


@hookimpl
def register_options() -> list[Option[Any]]:
    return [AUDIT]


@hookimpl
def prepare_app(app: Flask, context: ServerContext) -> None:
    path = _path(context.config)
    if path is not None:
        # Only now is there somebody to be told: without a file no request is summed up.
        context.extensions.manager.register(AuditLog(path), name="audit (log)")


def _path(config: Config) -> Path | None:
    """The file, into which the server can write; None if there is to be none."""
    if not config[AUDIT]:
        return None
    path = config.path(config[AUDIT]["Path"])
    writable = path if path.exists() else path.parent
    if path.is_dir() or not os.access(writable, os.W_OK):
        raise ConfigError(
            f"Audit.Path: {path} cannot be written; possible is a file in a folder that is there "
            f"and that the server may write to"
        )
    return path
