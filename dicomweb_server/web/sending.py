"""How answers leave the process: the head of an answer goes out with the beginning of its body."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from gunicorn.http.wsgi import Response
from gunicorn.util import http_date

_OF_ONE_ANSWER = frozenset({"content-length", "upgrade", "x-request-id"})
_MOST_PLAIN = 2048
_plain: set[tuple[str, str]] = set()
"""Headers that are sent as they are."""
_JOINED = 1 << 14
"""Bytes of a body that are copied to stand behind their head; more go by themselves."""


@lru_cache(maxsize=2)
def _date(_second: int) -> str:
    return str(http_date())


class JoinedResponse(Response):  # type: ignore[misc]
    """An answer whose head waits for the first bytes of the body.

    gunicorn sends the head alone: the client wakes up for it, and again for the body, which costs
    more than all of the head's making.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._head = b""
        self.headers_sent = False

    def send_headers(self) -> None:
        """Make the head; `write`, `sendfile` or `close` send it."""
        if self.headers_sent:
            return
        lines = self.default_headers()
        lines.extend([f"{name}: {value}\r\n" for name, value in self.headers])
        lines.append("\r\n")
        self._head = "".join(lines).encode("latin-1")
        self.headers_sent = True

    def process_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        """Take headers over; those that were found plain before are not examined again."""
        for header in headers:
            if header in _plain:
                self.headers.append(header)
                continue
            count = len(self.headers)
            super().process_headers([header])
            # Its length, and what is of the connection alone, mean more than their text.
            kept = self.headers[count:]
            if kept == [header] and header[0].lower() not in _OF_ONE_ANSWER:
                if len(_plain) >= _MOST_PLAIN:
                    _plain.clear()
                _plain.add(header)

    def default_headers(self) -> list[str]:
        """The lines that every answer begins with; the date is the same for a second."""
        if self.upgrade:
            lines: list[str] = super().default_headers()
            return lines
        major, minor = self.req.version
        connection = "close" if self.should_close() else "keep-alive"
        lines = [
            f"HTTP/{major}.{minor} {self.status}\r\nServer: {self.version}\r\n"
            f"Date: {_date(int(time.time()))}\r\nConnection: {connection}\r\n"
        ]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked\r\n")
        return lines

    def write(self, arg: bytes) -> None:
        """Send a piece of the body, and what waits before it."""
        super().write(arg)
        self._flush()

    def sendfile(self, respiter: Any) -> bool:
        """Let the kernel send a file behind the head; False: it cannot."""
        if self.cfg.is_ssl or not self.response_length or self._omits_body:
            sent = bool(super().sendfile(respiter))
            self._flush()
            return sent
        self.send_headers()
        self._flush(more=True)
        return bool(super().sendfile(respiter))

    def close(self) -> None:
        """Send what is left of the answer."""
        if not self.headers_sent:
            self.send_headers()
        self._flush()
        super().close()

    def _emit_body(self, data: bytes) -> None:
        if self._head and not self.chunked and len(data) <= _JOINED:
            head, self._head = self._head, b""
            self.sock.sendall(head + data)
            return
        self._flush(more=True)
        super()._emit_body(data)

    def _flush(self, *, more: bool = False) -> None:
        """Send the head if it waits; `more` follows at once."""
        if not self._head:
            return
        head, self._head = self._head, b""
        if more and type(self.sock) is socket.socket:
            self.sock.sendall(head, socket.MSG_MORE)
        else:
            self.sock.sendall(head)
