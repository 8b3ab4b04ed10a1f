"""How long each extension works for the request of a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class _Spent(threading.local):
    """`seconds` by extension; `inside` are those of calls within each call that is not over.

    `seconds` is None while the thread answers no request.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] | None = None
        self.inside: list[float] = []


class Account:
    """Seconds of the request that the current thread answers.

    What one extension asks of another is counted for the other.
    """

    def __init__(self) -> None:
        self._spent = _Spent()

    @property
    def is_open(self) -> bool:
        """Whether the thread answers a request."""
        return self._spent.seconds is not None

    def begin(self) -> None:
        """A request begins."""
        self._spent.seconds = {}
        self._spent.inside.clear()

    def end(self) -> dict[str, float]:
        """The request is over: the seconds of each extension that worked for it."""
        seconds, self._spent.seconds = self._spent.seconds, None
        return seconds or {}

    @contextmanager
    def spending(self, extension: str) -> Iterator[None]:
        """Count the block for an extension; outside of a request nothing is counted."""
        spent = self._spent
        if spent.seconds is None:
            yield
            return
        spent.inside.append(0.0)
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            self._count(extension, seconds)

    def _count(self, extension: str, seconds: float) -> None:
        spent = self._spent
        # The request may have ended meanwhile: a generator is closed when nobody needs it.
        inside = spent.inside.pop() if spent.inside else 0.0
        if spent.seconds is not None:
            known = spent.seconds.get(extension, 0.0)
            spent.seconds[extension] = known + seconds - inside
        if spent.inside:
            spent.inside[-1] += seconds
