"""Routes about the server itself: is it alive, is it ready, what is it made of."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Blueprint, Response

from dicomweb_server import API_VERSION, __version__
from dicomweb_server.context import ServerContext
from dicomweb_server.http.access import current_context, requires
from dicomweb_server.interfaces.auth import Action

server = Blueprint("server", __name__)


def _document(value: Any, status: int = 200) -> Response:
    body = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    answer = Response(body, status, mimetype="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer


@server.get("/health/live")
@requires(Action.PUBLIC)
def live() -> Response:
    """The process answers."""
    return _document({"status": "ok"})


@server.get("/health/ready")
@requires(Action.PUBLIC)
def ready() -> Response:
    """Everything that a request needs works right now; 503 with the names of what does not."""
    problems = find_problems(current_context())
    status = "ok" if not problems else "unavailable"
    return _document({"status": status, "problems": problems}, 503 if problems else 200)


def find_problems(context: ServerContext) -> dict[str, str]:
    """provider -> why it cannot work right now."""
    providers = context.providers
    named = {f"storage {alias}": store for alias, store in providers.storages.items()}
    checks = {**named, "index": providers.index, "state store": providers.state}
    problems = {}
    for name, provider in checks.items():
        try:
            provider.check()
        except Exception as error:
            problems[name] = str(error) or repr(error)
    return problems


@server.get("/extensions")
@requires(Action.ADMIN)
def extensions() -> Response:
    """What is installed, what it does, and what is in use."""
    return _document(describe(current_context()))


def describe(context: ServerContext) -> dict[str, Any]:
    """Versions, extensions and the providers in use."""
    providers = context.providers
    return {
        "version": __version__,
        "api": API_VERSION,
        "extensions": [
            {
                "name": info.name,
                "version": info.version,
                "origin": info.origin,
                "status": info.status,
                "hooks": list(info.hooks),
            }
            for info in context.extensions.infos
        ],
        "in use": {
            "storages": {alias: store.name for alias, store in providers.storages.items()},
            "index": providers.index.name,
            "state store": providers.state.name,
            "metadata modes": sorted(providers.metadata_modes),
            "ingest filters": [each.name for each in providers.ingest_filters.values()],
            "authenticators": [each.name for each in providers.authenticators],
            "authorizer": providers.authorizer.name,
            "codecs": [each.name for each in providers.codecs],
            "renderers": [each.name for each in providers.renderers],
        },
        "pixels": {
            "decoded": sorted(set().union(*(each.decodes for each in providers.codecs))),
            "encoded": sorted(set().union(*(each.encodes for each in providers.codecs))),
            "rendered": [t for each in providers.renderers for t in each.media_types],
        },
    }
