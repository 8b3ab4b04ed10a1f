"""Cross-origin requests (the CORS protocol of the Fetch standard): off unless origins are named."""

from __future__ import annotations

from flask import Flask, Response, request

from dicomweb_server.config import Config
from dicomweb_server.settings import CORS_ORIGINS

ANY_ORIGIN = "*"
_METHODS = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
_MAX_AGE = 86400
_HEADERS = (
    "X-DICOMweb-Link, "
    "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Range, "
    "Range, X-Request-ID"
)
_EXPOSED = (
    "Accept-Ranges, Content-Disposition, Content-Length, Content-Location, Content-Range, ETag, "
    "Location, Retry-After, Warning, X-Request-ID, X-Total-Count"
)


def is_allowed(config: Config, origin: str) -> bool:
    """Whether pages of an origin may use the server."""
    allowed = config[CORS_ORIGINS]
    return origin in allowed or ANY_ORIGIN in allowed


def install_cors(app: Flask, config: Config) -> None:
    """Answer preflights, which carry no login, and mark answers; nothing if nobody is allowed."""
    if not config[CORS_ORIGINS]:
        return

    def preflight() -> Response | None:
        asked = request.environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
        if request.method != "OPTIONS" or not asked or not _origin(config):
            return None
        answer = Response(status=204)
        answer.headers["Access-Control-Allow-Methods"] = _METHODS
        answer.headers["Access-Control-Allow-Headers"] = _HEADERS
        answer.headers["Access-Control-Max-Age"] = str(_MAX_AGE)
        return answer

    def mark(answer: Response) -> Response:
        answer.headers.add("Vary", "Origin")
        origin = _origin(config)
        if origin:
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Expose-Headers"] = _EXPOSED
            if origin != ANY_ORIGIN:
                answer.headers["Access-Control-Allow-Credentials"] = "true"
        return answer

    app.before_request(preflight)
    app.after_request(mark)


def _origin(config: Config) -> str:
    """What the answer may name: the origin itself, `*` if any will do, "" if it may not."""
    named = request.environ.get("HTTP_ORIGIN", "")
    if not named or not is_allowed(config, named):
        return ""
    # Without a login of the browser's own there is nothing that a foreign page could misuse.
    return named if named in config[CORS_ORIGINS] else ANY_ORIGIN
