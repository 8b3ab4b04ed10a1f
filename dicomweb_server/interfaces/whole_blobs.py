"""A storage that takes and gives whole blobs, as object stores do: four methods are left to write.

Every byte is written twice, first into a file that waits for the commit. A storage for which that
is too much derives from `BlobStore` itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
import uuid
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from dicomweb_server.interfaces.storage import (
    BlobInfo,
    BlobNotFound,
    BlobStore,
    BlobWriter,
    StorageError,
    StorageFull,
)

_KEY = re.compile(r"[0-9a-f]{32}")
_LISTED = re.compile(r"[0-9a-f]{32}(\.[a-z]+)?")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_WAITING = ".part"
_OVER = "the blob is finished or was given up"


def move_durably(file: Path, target: Path) -> None:
    """Move a file within its file system; on return it survives a power failure.

    Raises `OSError`.
    """
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
    file.rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name survives too
    finally:
        os.close(folder)


def files_in(folder: Path) -> Iterator[BlobInfo]:
    """What `listed` tells of a folder in which each file is a blob, named by its key."""
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            status = path.stat()
            modified = datetime.fromtimestamp(status.st_mtime, UTC)
            yield BlobInfo(path.name, status.st_size, modified, path.suffix != _WAITING)


@contextmanager
def _told(doing: str) -> Iterator[None]:
    """Whatever is raised becomes one of the errors of a storage."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in _FULL
        raise (StorageFull if full else StorageError)(f"{doing}: {error}") from error


class _WaitingWriter(BlobWriter):
    """A blob as a file that waits for its commit."""

    def __init__(self, folder: Path) -> None:
        self.key = uuid.uuid4().hex
        self.size = 0
        self.path = folder / f"{self.key}{_WAITING}"
        self._file = self.path.open("xb")
        self.complete = False

    def write(self, data: bytes | memoryview) -> None:
        if self._file.closed:
            raise StorageError(_OVER)
        with _told(f"writing {self.path}"):
            self.size += self._file.write(data)

    def finish(self) -> None:
        if self._file.closed:
            raise StorageError(_OVER)
        with _told(f"writing {self.path}"):
            self._file.close()
        self.complete = True

    def reader(self) -> BinaryIO:
        with _told(f"reading {self.path}"):
            if not self._file.closed:
                self._file.flush()
            return self.path.open("rb")

    def abort(self) -> None:
        self.complete = False
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


class WholeBlobStore(BlobStore):
    """Gives `save`, `load`, `remove` and `listed` keys of 32 hexadecimal digits, never others.

    What they raise reaches the server as an error of the storage: `KeyError` and
    `FileNotFoundError` of `load` as `BlobNotFound`, a full disk as `StorageFull`, anything else
    as `StorageError`. `read` and `size` use `load`; a storage that knows a shorter way SHOULD
    override them.
    """

    waiting: Path = Path(tempfile.gettempdir())
    """Folder of the files that wait. A storage of files SHOULD name the folder where they go."""

    @abstractmethod
    def save(self, key: str, file: Path) -> None:
        """Keep the bytes of `file`, which MAY be moved away, under a fresh key.

        On return they survive a power failure. Nobody MUST ever see a part of them: they are
        there wholly or not at all, also when it fails.
        """

    @abstractmethod
    def load(self, key: str) -> BinaryIO:
        """The bytes for reading, seekable. MUST raise `KeyError` or `FileNotFoundError`."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Forget the bytes. MAY raise `KeyError` or `FileNotFoundError` when they are not there.

        The key may end with a suffix that `listed` told.
        """

    @abstractmethod
    def listed(self) -> Iterator[BlobInfo]:
        """Everything there is. Of files, what `files_in` tells."""

    # --- the rest of a storage, made from these ----------------------------------------------

    def prepare(self, *, fresh: bool) -> None:
        """Make the folder `waiting`, or refuse a place that should hold instances and is empty."""
        if fresh:
            with _told(f"creating the folder {self.waiting}"):
                self.waiting.mkdir(parents=True, exist_ok=True)
        elif next(self.iterate(), None) is None:
            raise StorageError(
                f"the storage {self.name!r} is empty, though instances should lie there; is its "
                f"disk mounted?"
            )

    def create(self) -> BlobWriter:
        with _told(f"creating a file in {self.waiting}"):
            return _WaitingWriter(self.waiting)

    def commit(self, writers: Sequence[BlobWriter]) -> None:
        mine = [each for each in writers if isinstance(each, _WaitingWriter) and each.complete]
        if len(mine) < len(writers):
            raise StorageError("a blob is not finished")
        saved: list[str] = []
        try:
            for writer in mine:
                saved.append(writer.key)
                with _told(f"saving {writer.key}"):
                    self.save(writer.key, writer.path)
        except BaseException:
            for key in saved:
                with contextlib.suppress(Exception):
                    self.remove(key)
            raise
        for writer in mine:
            writer.abort()  # what waited is not needed any more

    def open(self, key: str) -> BinaryIO:
        if _KEY.fullmatch(key) is None:
            raise BlobNotFound(f"{key!r} is no key of the storage {self.name!r}")
        try:
            with _told(f"opening {key}"):
                return self.load(key)
        except StorageError as error:
            if isinstance(error.__cause__, KeyError | FileNotFoundError):
                raise BlobNotFound(f"the storage {self.name!r} has no {key}") from error
            raise

    def read(self, key: str, offset: int, length: int) -> bytes:
        with self.open(key) as file, _told(f"reading {key}"):
            file.seek(offset)
            return file.read(length)

    def size(self, key: str) -> int:
        with self.open(key) as file, _told(f"reading {key}"):
            return file.seek(0, os.SEEK_END)

    def delete(self, key: str) -> None:
        if _LISTED.fullmatch(key) is None:
            return
        try:
            with _told(f"removing {key}"):
                self.remove(key)
        except StorageError as error:
            if not isinstance(error.__cause__, KeyError | FileNotFoundError):
                raise

    def iterate(self) -> Iterator[BlobInfo]:
        with _told(f"listing the storage {self.name!r}"):
            yield from self.listed()
