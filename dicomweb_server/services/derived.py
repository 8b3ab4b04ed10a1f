"""What was made from frames, kept on disk: shared by all workers, gone with its instance.

Each instance has a folder, named after its blob: bytes under a key never change, so nothing here
is ever stale. Who makes a file holds a lock, so that nobody makes it at the same time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from dicomweb_server.config import Option, whole
from dicomweb_server.interfaces.index import BlobRef
from dicomweb_server.services.folders import trim

log = logging.getLogger(__name__)

CACHE_SIZE = Option(
    "FrameCacheSizeMB",
    1024,
    "Size of the files with decoded, encoded and rendered frames, in MiB; 0: none are kept.",
    whole(0),
)
_LOCKS = 256
_PATIENCE = 60.0
_POLL = 0.002


class DerivedCache:
    """Small files below one folder, up to a number of bytes."""

    def __init__(self, folder: Path, maximum: int) -> None:
        self._folder = folder
        self._maximum = maximum
        self._locks = folder.with_name(f"{folder.name}.locks")
        self._written = maximum  # so that the first write looks at what is there

    def get(self, ref: BlobRef, name: str, make: Callable[[], bytes]) -> bytes:
        """What is kept of an instance under a name; made, by one at a time, if it is not there.

        The name must tell everything that the bytes depend on beside the instance.
        """
        if not self._maximum:
            return make()
        path = self._of(ref) / hashlib.sha256(name.encode()).hexdigest()[:32]
        with contextlib.suppress(OSError):
            return path.read_bytes()
        with self._alone(path):
            with contextlib.suppress(OSError):
                return path.read_bytes()
            made = make()
            try:
                self._write(path, made)
            except OSError as error:
                log.warning("the frame cache %s cannot be written: %s", self._folder, error)
            return made

    def forget(self, ref: BlobRef) -> None:
        """Delete everything of an instance."""
        shutil.rmtree(self._of(ref), ignore_errors=True)

    def _of(self, ref: BlobRef) -> Path:
        digest = hashlib.sha256(f"{ref.storage}\0{ref.key}".encode()).hexdigest()
        return self._folder / digest[:2] / digest[2:34]

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        unique = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        try:
            unique.write_bytes(data)
            unique.rename(path)
        finally:
            unique.unlink(missing_ok=True)
        self._written += len(data)
        if self._written > self._maximum // 16:
            self._written = 0
            trim(self._folder, self._maximum)

    @contextlib.contextmanager
    def _alone(self, path: Path) -> Iterator[None]:
        """While nobody else, in whatever process, makes the same; or after having waited long."""
        number = int(path.name[:4], 16) % _LOCKS
        try:
            self._locks.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._locks / f"{number:02x}", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:  # not writable: then nothing will be kept either
            yield
            return
        try:
            until = time.monotonic() + _PATIENCE
            while not _locked(descriptor) and time.monotonic() < until:
                time.sleep(_POLL)
            yield
        finally:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
