"""The WSGI environment of a request (PEP 3333), of which most is the same for all requests."""

from __future__ import annotations

import os
from typing import Any

from gunicorn.http import wsgi
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.util import unquote_to_wsgi_str

_OWN_NAMES = {"CONTENT-TYPE": "CONTENT_TYPE", "CONTENT-LENGTH": "CONTENT_LENGTH"}


class PlainRequest(Request):  # type: ignore[misc]
    """A request of which gunicorn believes no proxy: `TrustedProxies` says who is believed.

    gunicorn would read the client's address as a network each time, to find that nobody is.
    """

    def _peer_trusted_for_forwarded(self) -> tuple[dict[str, str], list[str]]:
        return {}, []


class Environments:
    """Makes the environments of a worker's requests."""

    def __init__(self, settings: Any) -> None:
        self._settings = settings
        self._common = wsgi.base_environ(settings) | {"wsgi.multithread": True, "SCRIPT_NAME": ""}

        self._at_root = not os.environ.get("SCRIPT_NAME")
        self._believes_nobody = not settings.forwarded_allow_ips

    def prepare(self, connection: Any) -> None:
        """Let the next requests of a connection be read the short way, if that is the same."""
        if self._believes_nobody and type(connection.parser) is RequestParser:
            connection.parser.mesg_class = PlainRequest

    def begin(
        self, request: Any, connection: Any, response_class: type[Any]
    ) -> tuple[Any, dict[str, Any]]:
        """The answer that is to be given, and the environment; as gunicorn's `wsgi.create`."""
        sock, client, server = connection.sock, connection.client, connection.server
        settings = self._settings
        plain = self._at_root and type(client) is tuple and type(server) is tuple
        if not plain or request._expected_100_continue or request.proxy_protocol_info:
            answer, environ = wsgi.create(request, sock, client, server, settings, response_class)
            environ["wsgi.multithread"] = True
            return answer, environ
        major, minor = request.version
        environ = self._common | {
            "wsgi.input": request.body,
            "wsgi.url_scheme": request.scheme,
            "gunicorn.socket": sock,
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.query,
            "RAW_URI": request.uri,
            "PATH_INFO": unquote_to_wsgi_str(request.path),
            "SERVER_PROTOCOL": f"HTTP/{major}.{minor}",
            "SERVER_NAME": server[0],
            "SERVER_PORT": str(server[1]),
            "REMOTE_ADDR": client[0],
            "REMOTE_PORT": str(client[1]),
        }
        for name, value in request.headers:
            key = _OWN_NAMES.get(name) or "HTTP_" + name.replace("-", "_")
            # What may come but once was refused when it came twice.
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return response_class(request, sock, settings), environ
