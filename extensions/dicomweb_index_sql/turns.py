"""Whose turn it is to write to a SQLite file.

SQLite itself waits for a lock by sleeping and trying again, 1 to 100 ms at a time; the kernel wakes
the next one up at once. SQLite's own lock still decides: this one only keeps ours from sleeping.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turn:
    """A lock between the threads of all processes that name the same file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: int | None = None
        self._pid = 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the lock; it is released when the process ends, however that happens."""
        with self._lock:
            file = self._open()
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the file back, unless one of our threads holds the lock just now."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._file is not None:
                os.close(self._file)
                self._file = None
        finally:
            self._lock.release()

    def _open(self) -> int:
        if self._file is None or self._pid != os.getpid():
            # The file of the parent process is its lock, not ours.
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            self._pid = os.getpid()
        return self._file
