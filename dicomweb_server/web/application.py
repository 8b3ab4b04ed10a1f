"""Flask without what nothing here uses: each of these was a few percent of a small request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import NullSession, SecureCookieSessionInterface, SessionMixin
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter
from werkzeug.wsgi import get_host

_LOCATIONS = frozenset({"Location", "Content-Location"})


class LeanResponse(Response):
    """An answer whose headers are sent as they were set, where they are complete."""

    def get_wsgi_headers(self, environ: dict[str, Any]) -> Headers:
        """The headers to send; Werkzeug goes over them only where something is to be amended."""
        status = self.status_code
        headers = self.headers
        if status < 200 or status in (204, 304):
            return super().get_wsgi_headers(environ)
        has_length = False
        for name, value in headers:
            if name == "Content-Length":
                has_length = True
            elif name in _LOCATIONS and not (value.isascii() and value.isprintable()):
                return super().get_wsgi_headers(environ)
        if not has_length and self.is_sequence:
            return super().get_wsgi_headers(environ)
        return headers


class _NoSessions(SecureCookieSessionInterface):
    """The usual sessions if an extension gives the application a secret key, else none at all."""

    _none = NullSession()

    def open_session(self, app: Flask, request: Any) -> SessionMixin | None:  # type: ignore[override]
        """The session of a request."""
        if app.config["SECRET_KEY"] is None:
            return self._none
        return super().open_session(app, request)


class Application(Flask):
    """The Flask application of the server."""

    response_class = LeanResponse
    session_interface = _NoSessions()

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """What matches the URL of a request: Flask's, without finding out again what it knows.

        Hosts and websockets only matter to who sets them up.
        """
        config = self.config
        plain = config["SERVER_NAME"] is None and config["TRUSTED_HOSTS"] is None
        if not plain or self.subdomain_matching or self.url_map.host_matching:
            return super().create_url_adapter(request)
        if request is None:
            return None
        environ = request.environ
        host = request.host = get_host(environ, None)
        return MapAdapter(
            self.url_map,
            host,
            request.root_path or "/",
            self.url_map.default_subdomain,
            request.scheme,
            request.path,
            request.method,
            environ.get("QUERY_STRING", ""),
        )

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Views are plain functions: not to look at each of them again saves 5 % of a request."""
        return func
