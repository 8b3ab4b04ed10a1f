"""The routes below `/links`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson
from flask import Blueprint, Response, request

from dicomweb_server.http import (
    HttpError,
    base_url,
    current_context,
    current_identity,
    current_scope,
    note_touched,
    requires,
    scope_of,
)
from dicomweb_server.interfaces.auth import Action
from dicomweb_server.interfaces.requests import Touched
from dicomweb_server.ps318.paths import Resource
from dicomweb_signed_links.authenticator import LinkAuthenticator
from dicomweb_signed_links.links import Link

_LARGEST = 1 << 16
_KEYS = ("Study", "Series", "Expires")
_EXAMPLE = '{"Study": "1.2.3", "Series": "1.2.3.4", "Expires": 3600}, Series if wanted'


def links_blueprint(authenticator: LinkAuthenticator) -> Blueprint:
    """Routes that make, list and revoke links."""
    routes = Blueprint("links", __name__)
    links = authenticator.links

    @routes.post("/links")
    @requires(Action.READ)
    def create() -> Response:
        _refuse_links()
        resource, seconds = _wanted(authenticator.maximum)
        if current_context().index.version(resource, current_scope()) is None:
            raise HttpError(404, f"there is no {resource.path}")
        note_touched(Touched(resource.study, resource.series or ""))
        link, token = links.create(resource.study, resource.series, seconds, current_identity())
        base = base_url(current_context().config, request.environ)
        document = _described(link) | {
            "Token": token,
            "URL": f"{resource.url(base)}?link={quote(token)}",
        }
        return _json(document, 201)

    @routes.get("/links")
    @requires(Action.READ)
    def listed() -> Response:
        _refuse_links()
        return _json([_described(link) for link in links.active() if _may_handle(link)])

    @routes.delete("/links/<key>")
    @requires(Action.READ)
    def revoke(key: str) -> Response:
        _refuse_links()
        link = links.get(key)
        if link is None or not _may_handle(link) or not links.revoke(key):
            raise HttpError(404, f"there is no link {key[:100]}")
        answer = Response(status=204)
        del answer.headers["Content-Type"]
        return answer

    return routes


def _refuse_links() -> None:
    if current_identity().limit is not None:
        raise HttpError(403, "a link may not be used to handle links")


def _may_handle(link: Link) -> bool:
    """One's own, and every one for administrators."""
    if link.user == current_identity().user:
        return True
    try:
        scope_of(Action.ADMIN)
    except HttpError:
        return False
    return True


def _wanted(maximum: int) -> tuple[Resource, int]:
    """What a request wants a link to, and for how many seconds."""
    request.max_content_length = _LARGEST
    try:
        document = orjson.loads(request.get_data())
    except orjson.JSONDecodeError as error:
        raise HttpError(400, f"the body is no JSON; possible is {_EXAMPLE}") from error
    if not isinstance(document, Mapping) or not document.keys() <= set(_KEYS):
        raise HttpError(400, f"the body must be an object such as {_EXAMPLE}")
    study, series = _uid(document, "Study"), _uid(document, "Series", optional=True)
    seconds = document.get("Expires")
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 1 <= seconds <= maximum:
        raise HttpError(400, f"Expires must be whole seconds, at least 1 and at most {maximum}")
    return Resource(study or "", series), seconds


def _uid(document: Mapping[str, Any], key: str, *, optional: bool = False) -> str | None:
    value = document.get(key)
    if value is None and optional:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= 128 or not value.isprintable():
        raise HttpError(400, f"{key} must be a UID; possible is {_EXAMPLE}")
    return value


def _described(link: Link) -> dict[str, Any]:
    return {
        "ID": link.id,
        "Study": link.study,
        "Series": link.series,
        "Expires": datetime.fromtimestamp(link.expires, UTC).isoformat(),
        "User": link.user,
    }


def _json(document: Any, status: int = 200) -> Response:
    answer = Response(orjson.dumps(document), status, mimetype="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer
