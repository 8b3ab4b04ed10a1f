"""What is done now and then, by one process of each node: caches forget what is gone.

A deletion empties the caches of the node that did it. Another node has caches of its own, and
what was in the making just then comes after it: a sweep finds both.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dicomweb_server.config import Option, whole
from dicomweb_server.interfaces.index import IndexFailure

log = logging.getLogger(__name__)

SWEEP_SECONDS = Option(
    "CacheSweepSeconds",
    300,
    "Seconds between two looks for what the caches of this node keep of instances that were "
    "deleted or replaced elsewhere; 0: only what this node deletes is forgotten.",
    whole(0),
)


class Housekeeper:
    """Sweeps the caches below one folder in the background."""

    def __init__(self, folder: Path, sweeps: Sequence[Callable[[], None]], seconds: int) -> None:
        self._lock = folder / "sweep.lock"
        self._sweeps = sweeps
        self._seconds = seconds
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin, in a thread of this process that ends with it."""
        self._ended.clear()
        if self._seconds:
            threading.Thread(target=self._run, name="housekeeping", daemon=True).start()

    def stop(self) -> None:
        """Begin nothing more."""
        self._ended.set()

    def sweep(self) -> None:
        """Forget what is gone or was replaced; raises `IndexFailure`."""
        for each in self._sweeps:
            each()

    def _run(self) -> None:
        # Sooner than the time between two: one of several processes is always the first.
        while not self._ended.wait(self._seconds / 4):
            try:
                with self._turn() as mine:
                    if mine:
                        self.sweep()
            except IndexFailure as error:
                log.info("the caches are swept later: %s", error)
            except Exception:
                log.exception("the caches could not be swept")

    @contextlib.contextmanager
    def _turn(self) -> Iterator[bool]:
        """Whether this process is the one to sweep now."""
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.fstat(file).st_mtime < time.time() - self._seconds * 3 / 4
            yield mine
            if mine:
                os.utime(file)
        except BlockingIOError:
            yield False
        finally:
            os.close(file)
