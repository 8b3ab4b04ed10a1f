"""Where the bytes of instances lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from dicomweb_server.interfaces.provider import Provider


class StorageError(Exception):
    """The storage cannot do what was asked, for now; the message is for an operator."""


class StorageFull(StorageError):
    """There is no room for the bytes."""


class BlobNotFound(StorageError):
    """There is no blob of that key."""


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """One blob as `BlobStore.iterate` sees it; `modified` is in UTC.

    `finished`: it was committed. An unfinished one is being written, or was left by a crash.
    """

    key: str
    size: int
    modified: datetime
    finished: bool = True


class BlobWriter(ABC):
    """A blob that is being written. Nobody sees it before `BlobStore.commit`."""

    key: str
    """The fresh, never used key under which the blob will be found."""

    size: int = 0
    """Bytes written so far."""

    @abstractmethod
    def write(self, data: bytes | memoryview) -> None:
        """Append. MUST raise `StorageFull` or `StorageError` when it cannot."""

    @abstractmethod
    def finish(self) -> None:
        """All bytes were written; `commit` follows, soon or after other blobs."""

    def flush_soon(self) -> None:  # noqa: B027 # doing nothing is right
        """MAY start to make a finished blob durable, because more blobs come before `commit`.

        MUST NOT wait for it and MUST NOT raise.
        """

    @abstractmethod
    def reader(self) -> BinaryIO:
        """What was written so far, for reading from the start."""

    @abstractmethod
    def abort(self) -> None:
        """Leave nothing behind. MUST NOT raise, MAY be called at any time and repeatedly."""


class BlobStore(Provider, ABC):
    """Keeps blobs under fresh keys: a blob is written once, never changed, and deleted.

    Keys are relative paths of letters, digits, `-`, `_` and `/`. Every method MUST be safe to
    call from many threads and processes at once.
    """

    def prepare(self, *, fresh: bool) -> None:  # doing nothing is right
        """Called once before the archive is used; MAY make the place where the blobs lie.

        `fresh`: the index knows no instance in this storage. If it does, and the storage finds
        its place empty, it MUST raise `StorageError`: a disk that is not mounted is not an empty
        archive. A place that vanishes later MUST NOT be made again by the other methods.
        """

    @abstractmethod
    def create(self) -> BlobWriter:
        """A writer with a fresh key."""

    @abstractmethod
    def commit(self, writers: Sequence[BlobWriter]) -> None:
        """Make finished blobs durable and visible under their keys, each of them wholly.

        On return every blob survives a power failure. MUST raise `StorageFull` or `StorageError`
        when it cannot; the caller then aborts all of them.
        """

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """The blob for reading, seekable. MUST raise `BlobNotFound`."""

    @abstractmethod
    def read(self, key: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer only at the end. MUST raise `BlobNotFound`."""

    @abstractmethod
    def size(self, key: str) -> int:
        """Bytes of the blob. MUST raise `BlobNotFound`."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Forget the blob. MUST NOT raise when it is not there."""

    @abstractmethod
    def iterate(self) -> Iterator[BlobInfo]:
        """Every blob, and every unfinished one that a crash left behind."""

    def local_path(self, key: str) -> Path | None:
        """MAY name a file with exactly the blob's bytes, so that it can be sent by the kernel."""
        return None

    def adopt(self, key: str, source: Path, *, link: bool) -> None:
        """Take a file in under a key that this storage gave out once, by a link if `link` allows.

        What is there under the key is replaced. A storage whose `local_path` names files SHOULD.
        """
        raise StorageError(f"the storage {self.name!r} cannot take the files of a backup in")

    def free_bytes(self) -> int | None:
        """How much room there is; None where that means nothing. MUST be quick."""
        return None

    def put(self, chunks: Iterable[bytes]) -> str:
        """Store one stream; the key. Leaves nothing behind when `chunks` or the storage fails."""
        writer = self.create()
        try:
            for chunk in chunks:
                writer.write(chunk)
            writer.finish()
            self.commit([writer])
        except BaseException:
            writer.abort()
            raise
        return writer.key
