"""SHA-256 and MD5 of one stream, side by side.

MD5 is the slower of the two by far, and hashing lets other threads run: for large pieces it goes
on beside everything else that is done with the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor

_LARGE = 1 << 17
"""Bytes from which handing over to another thread costs less than it saves."""


class _Helpers:
    """Threads for MD5, made on first use in each process: they do not survive a fork."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._pid = 0

    def pool(self) -> ThreadPoolExecutor:
        """The threads of this process."""
        if self._pool is None or self._pid != os.getpid():
            self._pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="md5")
            self._pid = os.getpid()
        return self._pool


_helpers = _Helpers()


class Digests:
    """Takes the bytes of one stream in pieces, which must not change afterwards."""

    def __init__(self, *, md5: bool) -> None:
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self._running: Future[None] | None = None

    def update(self, data: bytes | memoryview) -> None:
        """The next bytes."""
        if self._md5 is not None:
            self._wait()
            if len(data) >= _LARGE:
                self._running = _helpers.pool().submit(self._md5.update, data)
            else:
                self._md5.update(data)
        self._sha256.update(data)

    def _wait(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.result()

    @property
    def sha256(self) -> str:
        """Of the bytes so far, in lower-case hex."""
        return self._sha256.hexdigest()

    @property
    def md5(self) -> str:
        """Of the bytes so far, in lower-case hex; "" when it is not wanted."""
        self._wait()
        return self._md5.hexdigest() if self._md5 is not None else ""
