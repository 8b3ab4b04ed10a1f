"""Connections below HTTP: limits on silence, refusals of what is not HTTP, and how they end."""

from __future__ import annotations

import contextlib
import html
import re
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import orjson

from dicomweb_server.http.errors import describe

_FAREWELL_SECONDS = 5.0
_FAREWELL_BYTES = 64 << 20
_MOST_FAREWELLS = 500
_PIECE = 1 << 18
_MESSAGE = re.compile(r"</h1>(.*?)</body>", re.DOTALL)


class JsonErrors:
    """Stands in for a socket to which gunicorn writes an error as HTML: JSON goes out instead."""

    def __init__(self, connection: Any, request: Any) -> None:
        self._connection = connection
        self._method = getattr(request, "method", None) or ""
        self._path = getattr(request, "path", None) or ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def sendall(self, data: bytes) -> None:
        """Send gunicorn's answer in our form."""
        head, _, page = data.decode("latin-1").partition("\r\n\r\n")
        status_line, *_ = head.split("\r\n")
        status = int(status_line.split()[1])
        found = _MESSAGE.search(page)
        details = html.unescape(found[1].strip()) if found else ""
        document = describe(status, details or status_line, self._method, self._path)
        body = orjson.dumps(document, option=orjson.OPT_INDENT_2)
        lines = (
            status_line,
            "Connection: close",
            "Content-Type: application/json",
            "Cache-Control: no-store",
            f"Content-Length: {len(body)}",
        )
        self._connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


class Farewells:
    """Connections that end, of which the client may still be sending.

    Closing a connection with unread bytes resets it, and the client sees that instead of the
    answer (RFC 9112, 9.6). So our side is closed first, and what still comes is read and
    forgotten, up to a limit of bytes and time. The main loop does it: no thread waits.
    """

    def __init__(self, poller: Callable[[], selectors.BaseSelector]) -> None:
        self._poller = poller
        self._open: dict[int, tuple[Any, float, int]] = {}

    def add(self, connection: socket.socket) -> None:
        """Part from a connection; its last answer was handed to the kernel."""
        try:
            connection.setblocking(False)
            if isinstance(connection, ssl.SSLSocket):
                # Says that the answer was whole: some clients take an end without it for an attack.
                with contextlib.suppress(OSError, ValueError):
                    connection.unwrap()
            connection.shutdown(socket.SHUT_WR)
            if len(self._open) >= _MOST_FAREWELLS:
                raise OSError("too many")
            self._poller().register(connection, selectors.EVENT_READ, self._read)
        except (OSError, ValueError, KeyError):
            connection.close()
            return
        end = time.monotonic() + _FAREWELL_SECONDS
        self._open[connection.fileno()] = (connection, end, _FAREWELL_BYTES)

    def end_late_ones(self) -> None:
        """Close those whose time is over."""
        now = time.monotonic()
        for connection, end, _ in list(self._open.values()):
            if end <= now:
                self._close(connection)

    def _read(self, connection: socket.socket) -> None:
        _, end, left = self._open[connection.fileno()]
        try:
            # Below TLS, if there is any: nobody looks at these bytes.
            size = len(socket.socket.recv(connection, _PIECE))
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if size == 0 or size >= left:
            self._close(connection)
        else:
            self._open[connection.fileno()] = (connection, end, left - size)

    def _close(self, connection: socket.socket) -> None:
        self._open.pop(connection.fileno(), None)
        with contextlib.suppress(OSError, KeyError, ValueError):
            self._poller().unregister(connection)
        with contextlib.suppress(OSError):
            connection.close()
