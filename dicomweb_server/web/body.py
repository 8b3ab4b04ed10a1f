"""Request bodies as they come from the socket: large reads, limits, and cuts that are noticed."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

from flask import Response, g, request

from dicomweb_server.http.access import current_context
from dicomweb_server.ps318.errors import PayloadTooLarge
from dicomweb_server.settings import MAXIMUM_BODY, REQUEST_TIMEOUT

READ_SIZE = 1 << 20
"""Bytes of one read: 64 KiB reads reach a quarter of the speed."""
_DRAIN_BYTES = 64 << 20
_DRAIN_SECONDS = 5.0
_DRAIN_SILENCE = 1


class BodyCut(Exception):
    """The body ended before its end."""


def _content_length() -> int | None:
    text = request.environ.get("CONTENT_LENGTH") or ""
    return int(text) if text.isascii() and text.isdigit() else None


def maximum_body() -> int:
    """The largest body in bytes, 0 for no limit."""
    return current_context().config[MAXIMUM_BODY] << 20


def check_length() -> None:
    """Refuse a body that says it is too large, before it is read."""
    maximum, length = maximum_body(), _content_length()
    if maximum and length is not None and length > maximum:
        raise PayloadTooLarge(_too_large(length, maximum))


def _too_large(size: int, maximum: int) -> str:
    return f"the body has {size} bytes or more, MaximumRequestBodySizeMB allows {maximum}"


def set_timeout() -> None:
    """A client that says nothing for too long loses its connection instead of keeping a thread.

    The kernel watches: a time-out of Python's own would cost a system call before each read, and
    would take `sendfile` to pieces.
    """
    connection: Any = request.environ.get("gunicorn.socket")
    if connection is not None:
        seconds = current_context().config[REQUEST_TIMEOUT]
        with contextlib.suppress(OSError, AttributeError):
            limit_silence(connection, seconds)


def limit_silence(connection: socket.socket, seconds: int) -> None:
    """Reads fail after so many seconds without a byte, writes after so many without progress."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", seconds, 0))
    if connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)


def chunks() -> Iterator[bytes]:
    """The body in large pieces.

    Raises `BodyCut` when the connection broke or was silent for too long, `PayloadTooLarge` when
    a chunked body grows beyond the limit.
    """
    stream = request.environ["wsgi.input"]
    length, maximum, done = _content_length(), maximum_body(), 0
    if length is None and not request.environ.get("wsgi.input_terminated"):
        return
    while length is None or done < length:
        wanted = READ_SIZE if length is None else min(READ_SIZE, length - done)
        try:
            chunk = stream.read(wanted)
        except (OSError, ValueError) as error:
            end_connection()
            raise BodyCut(f"the connection broke after {done} bytes: {error}") from error
        if not chunk:
            break
        done += len(chunk)
        if maximum and done > maximum:
            raise PayloadTooLarge(_too_large(done, maximum))
        yield chunk
    g.body_was_read = True
    if length is not None and done < length:
        end_connection()
        raise BodyCut(f"the body ended after {done} of {length} bytes")


def end_connection() -> None:
    """Let the connection end with the answer. gunicorn drops `Connection: close`: it is told so."""
    close = getattr(request.environ["wsgi.input"], "close_connection", None)
    if close is not None:
        close()


def finish_early(answer: Response) -> Response:
    """An answer that is sent before the body was read.

    A bounded amount of the body is read after the answer went out: a client that still sends
    would otherwise see a broken connection instead of the answer.
    """
    environ = request.environ
    answer.headers["Connection"] = "close"
    end_connection()
    answer.call_on_close(lambda: drain(environ))
    return answer


def drain(environ: dict[str, Any]) -> None:
    """Read and forget what the client still sends, up to a limit of bytes and time."""
    stream, done, end = environ["wsgi.input"], 0, time.monotonic() + _DRAIN_SECONDS
    connection: Any = environ.get("gunicorn.socket")
    with contextlib.suppress(Exception):
        if connection is not None:
            limit_silence(connection, _DRAIN_SILENCE)
        while done < _DRAIN_BYTES and time.monotonic() < end:
            chunk = stream.read(1 << 18)
            if not chunk:
                return
            done += len(chunk)
