"""WADO-URI (PS3.18 chapter 9): one instance by query parameters, as a file or as a picture.

`GET /wado?requestType=WADO&objectUID=1.2.3` is a JPEG image; with `contentType=application/dicom`
it is the file, which `anonymize=yes` strips of what identifies somebody.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask
from werkzeug.exceptions import HTTPException

from dicomweb_server import hookimpl
from dicomweb_server.config import ConfigError, Option, boolean, text
from dicomweb_server.context import ServerContext
from dicomweb_wado_uri.routes import NAME, wado_blueprint

_SHORTEST_KEY = 16


def _root(value: Any) -> str:
    parts = [part for part in text(value).split("/") if part]
    if not parts or any(c in "<>?#%\\" or not c.isprintable() for c in "".join(parts)):
        raise ValueError('must be a path such as "/wado" or "/archive/wado"')
    return f"/{'/'.join(parts)}"


def _key(value: Any) -> str:
    if 0 < len(text(value)) < _SHORTEST_KEY:
        raise ValueError(f"must have at least {_SHORTEST_KEY} characters, or be empty")
    return text(value)


ENABLE_WADO = Option("DicomWeb.EnableWado", True, "Whether the route of WADO-URI exists.", boolean)
WADO_ROOT = Option("DicomWeb.WadoRoot", "/wado", "Path of WADO-URI.", _root)
ANONYMIZATION_KEY = Option(
    "WadoAnonymizationKey",
    "",
    "Secret from which anonymize=yes makes new UIDs; empty: a random one of the state store.",
    _key,
    secret=True,
)


@hookimpl
def register_options() -> list[Option[Any]]:
    return [ENABLE_WADO, WADO_ROOT, ANONYMIZATION_KEY]


@hookimpl
def register_blueprints(context: ServerContext) -> list[Blueprint]:
    config = context.config
    if not config[ENABLE_WADO]:
        return []
    return [wado_blueprint(config[WADO_ROOT], context.state, config[ANONYMIZATION_KEY])]


@hookimpl
def prepare_app(app: Flask, context: ServerContext) -> None:
    """Refuse a path that another route has: nobody would ever be answered there."""
    if not context.config[ENABLE_WADO]:
        return
    root = context.config[WADO_ROOT]
    try:
        endpoint, _ = app.url_map.bind("localhost").match(root, "GET")
    except HTTPException:
        endpoint = ""
    if not str(endpoint).startswith(f"{NAME}."):
        raise ConfigError(f"{WADO_ROOT.name} is {root}, which is the path of another route")
