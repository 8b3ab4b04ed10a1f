"""Limits on the silence of clients: who says nothing for too long loses the connection."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Mapping
from typing import Any

from flask import request

from dicomweb_server.http.access import current_context
from dicomweb_server.settings import REQUEST_TIMEOUT


def limit_silence(connection: Any, seconds: int) -> None:
    """Reads fail after so many seconds without a byte, writes after so many without progress."""
    # A connection with TLS has its own way: the kernel only sees what it encrypted.
    limit = getattr(connection, "limit", None)
    if limit is not None:
        limit(seconds)
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", seconds, 0))
    if connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)


def set_timeout() -> None:
    """A client that says nothing for too long loses its connection instead of keeping a thread.

    The kernel watches: a time-out of Python's own would cost a system call before each read, and
    would take `sendfile` to pieces.
    """
    keep_in_touch(request.environ, current_context().config[REQUEST_TIMEOUT])


def keep_in_touch(environ: Mapping[str, Any], seconds: int) -> None:
    """The same for the client of any request."""
    connection: Any = environ.get("gunicorn.socket")
    if connection is not None:
        with contextlib.suppress(OSError, AttributeError):
            limit_silence(connection, seconds)
