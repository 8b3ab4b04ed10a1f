"""Keeps instances in memory: for tests and demonstrations, gone when the process ends."""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import BinaryIO

from dicomweb_server import hookimpl
from dicomweb_server.interfaces.provider import Settings
from dicomweb_server.interfaces.storage import (
    BlobInfo,
    BlobNotFound,
    BlobStore,
    BlobWriter,
    StorageError,
)


class _MemoryWriter(BlobWriter):
    def __init__(self) -> None:
        self.key = uuid.uuid4().hex
        self.size = 0
        self.data = bytearray()
        self.open = True
        self.finished = False

    def write(self, data: bytes | memoryview) -> None:
        if not self.open:
            raise StorageError("the blob is finished or was given up")
        self.data += data
        self.size = len(self.data)

    def finish(self) -> None:
        if not self.open:
            raise StorageError("the blob is finished or was given up")
        self.open, self.finished = False, True

    def reader(self) -> BinaryIO:
        return io.BytesIO(bytes(self.data))

    def abort(self) -> None:
        self.open = self.finished = False
        self.data = bytearray()


class MemoryStore(BlobStore):
    """A dictionary of bytes. One process only: two gunicorn workers would not see each other's."""

    name = "memory"

    def __init__(self, settings: Settings) -> None:
        self._blobs: dict[str, tuple[bytes, datetime]] = {}
        self._lock = threading.Lock()

    def create(self) -> BlobWriter:
        return _MemoryWriter()

    def commit(self, writers: Sequence[BlobWriter]) -> None:
        mine = [writer for writer in writers if isinstance(writer, _MemoryWriter)]
        if not all(writer.finished for writer in mine):
            raise StorageError("a blob is not finished")
        now = datetime.now(UTC)
        with self._lock:
            self._blobs |= {writer.key: (bytes(writer.data), now) for writer in mine}

    def _blob(self, key: str) -> bytes:
        found = self._blobs.get(key)
        if found is None:
            raise BlobNotFound(f"there is no blob {key!r} in memory")
        return found[0]

    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self._blob(key))

    def read(self, key: str, offset: int, length: int) -> bytes:
        return self._blob(key)[offset : offset + length]

    def size(self, key: str) -> int:
        return len(self._blob(key))

    def delete(self, key: str) -> None:
        self._blobs.pop(key, None)

    def iterate(self) -> Iterator[BlobInfo]:
        for key, (data, modified) in list(self._blobs.items()):
            yield BlobInfo(key, len(data), modified)


@hookimpl
def register_storages() -> list[type[BlobStore]]:
    return [MemoryStore]
