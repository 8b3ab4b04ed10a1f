"""Moves instances from one storage to another while the archive is in use.

Copies are made durable, the index points to them, and then the old files go: whatever stops it in
between, every instance is whole in one of the two, and the next run goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from dicomweb_server.interfaces.index import BlobEntry, BlobRef, Index, IndexFailure
from dicomweb_server.interfaces.storage import BlobNotFound, BlobWriter, StorageError
from dicomweb_server.services.storages import Storages

_BATCH = 32
_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved, and sentences about what could not be."""

    files: int
    size: int
    problems: tuple[str, ...]


class Mover:
    """Moves blobs into the storage `target`.

    `grace`: seconds for which old files stay, for downloads that are about to open them.
    """

    def __init__(self, index: Index, storages: Storages, target: str, *, grace: float) -> None:
        self._index = index
        self._storages = storages
        self._target = target
        self._grace = grace
        self._old: deque[tuple[float, BlobRef]] = deque()
        self._files = self._size = 0
        self._problems: list[str] = []

    def move(self, entries: Iterable[BlobEntry], stopped: Callable[[], bool]) -> Moved:
        """Move everything, unless `stopped` says that it is enough."""
        try:
            self._move_all(entries, stopped)
        except Exception:
            self._delete_old(wait=True)  # what was moved before the failure is moved
            raise
        self._delete_old(wait=True)
        return Moved(self._files, self._size, tuple(self._problems))

    def _move_all(self, entries: Iterable[BlobEntry], stopped: Callable[[], bool]) -> None:
        iterator = iter(entries)
        while not stopped() and (batch := list(islice(iterator, _BATCH))):
            self._move(batch)
            self._delete_old(wait=False)

    def _move(self, batch: Sequence[BlobEntry]) -> None:
        copies: list[tuple[BlobEntry, BlobWriter]] = []
        try:
            for entry in batch:
                writer = self._copy(entry)
                if writer is not None:
                    copies.append((entry, writer))
                    writer.flush_soon()
            self._storages.by_alias[self._target].commit([writer for _, writer in copies])
        except BaseException:
            for _, writer in copies:
                writer.abort()
            raise
        self._switch([(entry, BlobRef(self._target, writer.key)) for entry, writer in copies])

    def _copy(self, entry: BlobEntry) -> BlobWriter | None:
        """A finished copy; None, with a sentence, if there is nothing to copy."""
        writer = self._storages.by_alias[self._target].create()
        digest = hashlib.sha256()
        try:
            for data in self._read(entry):
                digest.update(data)
                writer.write(data)
            writer.finish()
        except BlobNotFound as error:
            writer.abort()
            self._skip(entry, str(error))
            return None
        except BaseException:
            writer.abort()
            raise
        if digest.hexdigest() == entry.sha256:
            return writer
        writer.abort()
        self._skip(entry, "its bytes are not those that were stored")
        return None

    def _skip(self, entry: BlobEntry, why: str) -> None:
        if self._index.knows([entry.ref]):  # else it was deleted meanwhile
            self._problems.append(f"{entry.ref.storage}: {entry.ref.key} stays: {why}")

    def _read(self, entry: BlobEntry) -> Iterator[bytes]:
        with self._storages.of(entry.ref).open(entry.ref.key) as file:
            while data := file.read(_READ):
                yield data

    def _switch(self, copies: Sequence[tuple[BlobEntry, BlobRef]]) -> None:
        try:
            moved = self._index.relocate([(entry.ref, new) for entry, new in copies])
        except IndexFailure:
            self._forget([new for _, new in copies])
            raise
        for entry, new in copies:
            if entry.ref in moved:
                self._files += 1
                self._size += entry.size
                self._old.append((time.monotonic(), entry.ref))
            else:  # deleted or replaced meanwhile
                self._storages.delete(new)

    def _forget(self, copies: Sequence[BlobRef]) -> None:
        """Delete copies that the index does not point to; it may have got so far."""
        with contextlib.suppress(IndexFailure, StorageError):
            for ref in set(copies) - self._index.knows(copies):
                self._storages.delete(ref)

    def _delete_old(self, *, wait: bool) -> None:
        while self._old:
            left = self._old[0][0] + self._grace - time.monotonic()
            if left > 0:
                if not wait:
                    return
                time.sleep(left)
            _, ref = self._old.popleft()
            try:
                self._storages.delete(ref)
            except StorageError as error:
                self._problems.append(
                    f"{ref.storage}: {ref.key} was moved, the old file is left: {error}"
                )
