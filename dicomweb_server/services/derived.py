"""What was made from frames, kept on disk: shared by all workers, gone with its instance.

Each instance has a folder, named after its blob: bytes under a key never change, so nothing here
is ever stale. Who makes a file holds a lock, so that nobody makes it at the same time.

Who deletes an instance deletes its folder too. What is written just then, or lies on another node,
is found by asking the index: after each write, and in a sweep.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path

from dicomweb_server.config import Option, whole
from dicomweb_server.interfaces.index import BlobRef, IndexFailure
from dicomweb_server.services.folders import is_bare, open_for, owned, remove, trim

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
_PAGE = 200

Knows = Callable[[Sequence[BlobRef]], Collection[BlobRef]]
"""`Index.knows`."""


class DerivedCache:
    """Small files below one folder, up to a number of bytes."""

    def __init__(self, folder: Path, maximum: int, knows: Knows) -> None:
        self._folder = folder
        self._knows = knows
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
                self._write(ref, path, made)
            except FileNotFoundError:
                log.debug("an instance was deleted while something was made of it")
            except OSError as error:
                log.warning("the frame cache %s cannot be written: %s", self._folder, error)
            with contextlib.suppress(IndexFailure):  # then a sweep finds it
                if not self._knows([ref]):
                    self.forget(ref)
            return made

    def forget(self, ref: BlobRef) -> None:
        """Delete everything of an instance."""
        remove(self._of(ref))

    def sweep(self) -> None:
        """Delete everything of instances that the index does not know any more.

        Everything, if nothing is to be kept; and folders whose files went to make room.
        """
        if not self._maximum:
            remove(self._folder)
        folders = owned(self._folder)
        while page := list(islice(folders, _PAGE)):
            refs = {folder: BlobRef(*owner.split("\0")) for folder, owner in page if "\0" in owner}
            known = self._knows(list(refs.values()))
            for folder, _ in page:
                if refs.get(folder) not in known or is_bare(folder):
                    remove(folder)

    def _of(self, ref: BlobRef) -> Path:
        digest = hashlib.sha256(f"{ref.storage}\0{ref.key}".encode()).hexdigest()
        return self._folder / digest[:2] / digest[2:34]

    def _write(self, ref: BlobRef, path: Path, data: bytes) -> None:
        open_for(path.parent, f"{ref.storage}\0{ref.key}")
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
