"""Counts requests from their head to the end of their answer, and instances as they come in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Flask

from dicomweb_server.context import ServerContext
from dicomweb_server.http.current import ROUTE

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def watch_requests(app: Flask) -> None:
    """Count every request of the application."""
    from dicomweb_metrics_prometheus import instruments

    inner = app.wsgi_app

    def watched(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return _Request(instruments, environ, start_response).answer(inner)

    app.wsgi_app = watched  # type: ignore[method-assign]


class _Request:
    """One request while it is answered."""

    __slots__ = ("_began", "_count", "_ended", "_environ", "_length", "_start_response", "_status")

    def __init__(self, count: Any, environ: dict[str, Any], start_response: Any) -> None:
        self._count = count
        self._environ = environ
        self._start_response = start_response
        self._began = time.perf_counter()
        self._status = "500"
        self._length: int | None = None
        self._ended = False

    def answer(self, inner: Callable[..., Iterable[bytes]]) -> Iterable[bytes]:
        """The answer of the application; it is counted when it was sent, or could not be."""
        self._count.IN_FLIGHT.inc()
        try:
            body = inner(self._environ, self._start)
        except BaseException:
            self._end(0)
            raise
        wrapper = self._environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper):
            return self._file(body)
        return _Body(body, self._end)

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self._status = status[:3]
        for name, value in headers:
            if name.lower() == "content-length" and value.isdigit():
                self._length = int(value)
        return self._start_response(status, headers, exc_info)

    def _file(self, body: Any) -> Iterable[bytes]:
        """A file stays what it is: the server sends it by way of the kernel."""
        close = getattr(body, "close", None)

        def closed() -> None:
            self._end(self._length or 0)
            if close is not None:
                close()

        body.close = closed
        return body  # type: ignore[no-any-return]

    def _end(self, sent: int, *, complete: bool = False) -> None:
        if self._ended:
            return
        self._ended = True
        method = self._environ["REQUEST_METHOD"]
        # The rule and not the path: that holds UIDs, of which there are endlessly many.
        route = self._environ.get(ROUTE) or "(none)"
        count = self._count
        requests, duration = count.of_requests(
            route, method if method in _METHODS else "(other)", self._status
        )
        count.IN_FLIGHT.dec()
        requests.inc()
        duration.observe(time.perf_counter() - self._began)
        # Files inside of an answer may go out past us; the length of a complete one counts them.
        if complete and self._length is not None and method != "HEAD":
            sent = self._length
        if sent:
            count.SENT.inc(sent)


class _Body:
    """The pieces of an answer, counted as they go out."""

    def __init__(self, body: Iterable[bytes], end: Callable[..., None]) -> None:
        self._body = body
        self._end = end
        self._sent = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._body:
            self._sent += len(piece)
            yield piece
        self._end(self._sent, complete=True)

    def close(self) -> None:
        """Called by the server when it has sent the answer, or could not."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._end(self._sent)


def count_instances(context: ServerContext) -> None:
    """Count what becomes of the instances that come in."""

    def count(result: Any) -> None:
        from dicomweb_metrics_prometheus import instruments

        outcome = result.outcome.value if result.outcome is not None else "refused"
        instruments.INSTANCES.labels(outcome).inc()
        if outcome in ("stored", "replaced"):
            instruments.STORED.inc(result.size)

    context.services.ingest.watchers.append(count)
