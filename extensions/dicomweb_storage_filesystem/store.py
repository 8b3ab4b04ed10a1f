"""Blobs as files of a local (or shared) file system.

A blob is written to `<key>.part`, flushed, renamed, and the folder is flushed: only then does
`commit` return, and nobody knows its key before. Files of one process fill one folder before the
next is begun, so that a batch needs one flush of a folder and not one for each file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from dicomweb_server.config import Option, text
from dicomweb_server.interfaces.provider import Settings
from dicomweb_server.interfaces.storage import (
    BlobInfo,
    BlobNotFound,
    BlobStore,
    BlobWriter,
    StorageError,
    StorageFull,
)
from dicomweb_server.settings import STORAGE_DIRECTORY

PATH = Option(
    "Path", "", "Folder of the files; empty: the folder instances in StorageDirectory.", text
)
_KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{32}(\.part|\.adopted)?")
"""With an ending: a file that is being written, or was when the process ended."""
_FILES_PER_FOLDER = 1000
_FLUSHERS = 8
_MARK = ".dicomweb-storage"
"""A file that shows that a folder is ours: an empty mount point lacks it."""
_ROOM = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def storage_error(error: OSError, doing: str) -> StorageError:
    """The error of the interface for an error of the system."""
    if error.errno in _FULL:
        return StorageFull(f"there is no room left for {doing}")
    return StorageError(f"{doing} failed: {error.strerror or error}")


class _FileWriter(BlobWriter):
    def __init__(self, store: FileSystemStore, key: str) -> None:
        self.key = key
        self.size = 0
        self.flushed: Future[None] | None = None
        self._finished: int | None = None
        self.committed = False
        self._store = store
        self._path = f"{store.root}/{key}"
        self._part = f"{self._path}.part"
        self._file: int | None = None
        try:
            self._file = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
        except OSError as error:
            raise storage_error(error, f"creating a file in {store.root}") from error

    def write(self, data: bytes | memoryview) -> None:
        if self._file is None:
            raise StorageError("the blob is finished or was given up")
        view = memoryview(data)
        try:
            while view:
                written = os.write(self._file, view)
                view = view[written:]
        except OSError as error:
            raise storage_error(error, f"writing to {self._store.root}") from error
        self.size += len(data)

    def finish(self) -> None:
        if self._file is None:
            raise StorageError("the blob is finished or was given up")
        self._finished, self._file = self._file, None

    def flush_soon(self) -> None:
        if self._finished is not None:
            self.flushed = self._store.flushers.submit(self._flush, self._finished)
            self._finished = None

    @staticmethod
    def _flush(file: int) -> None:
        try:
            os.fdatasync(file)
        finally:
            os.close(file)

    def wait(self) -> None:
        """Until the bytes are on the disk."""
        try:
            if self.flushed is not None:
                self.flushed.result()
            elif self._finished is not None:
                finished, self._finished = self._finished, None
                self._flush(finished)
            else:
                raise StorageError("the blob is not finished")
        except OSError as error:
            raise storage_error(error, f"writing to {self._store.root}") from error

    def rename(self) -> str:
        """Show the blob under its key; the folder that is to be flushed."""
        os.rename(self._part, self._path)
        return os.path.dirname(self._path)

    def reader(self) -> BinaryIO:
        return open(self._part, "rb")

    def abort(self) -> None:
        if self.committed:
            return
        for file in (self._file, self._finished):
            if file is not None:
                with contextlib.suppress(OSError):
                    os.close(file)
        self._file = self._finished = None
        if self.flushed is not None:
            with contextlib.suppress(OSError):
                self.flushed.result()
        for path in (self._part, self._path):
            with contextlib.suppress(OSError):
                os.unlink(path)


class FileSystemStore(BlobStore):
    """Files below one folder, in subfolders of at most a thousand."""

    name = "filesystem"
    options = (PATH,)

    def __init__(self, settings: Settings) -> None:
        config = settings.config
        default = config.path(config[STORAGE_DIRECTORY]) / "instances"
        self.root = config.path(settings[PATH]) if settings[PATH] else default
        self._lock = threading.Lock()
        self._pid = 0
        self._folder = ""
        self._used = 0
        self._pool: ThreadPoolExecutor | None = None

    def _per_process(self) -> ThreadPoolExecutor:
        """Threads do not survive a fork, and two processes must not share a folder."""
        if self._pool is None or self._pid != os.getpid():
            self._pool = ThreadPoolExecutor(_FLUSHERS, thread_name_prefix="flush")
            self._used = _FILES_PER_FOLDER
            self._pid = os.getpid()
        return self._pool

    @property
    def flushers(self) -> ThreadPoolExecutor:
        """Threads that wait for the disk."""
        with self._lock:
            return self._per_process()

    def _next_folder(self) -> str:
        with self._lock:
            self._per_process()
            self._used += 1
            if self._used >= _FILES_PER_FOLDER:
                digits = uuid.uuid4().hex
                folder = f"{digits[:2]}/{digits[2:4]}"
                self._make_folder(folder)
                self._folder, self._used = folder, 0
            return self._folder

    def prepare(self, *, fresh: bool) -> None:
        mark = self.root / _MARK
        if mark.exists():
            return
        if not fresh:
            raise StorageError(
                f"{self.root} lacks the file {_MARK}, though instances should lie there; is its "
                f"disk mounted? If these are the right files, create that file"
            )
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            mark.write_text("Instances of dicomweb-server. Do not delete this file.\n")
        except OSError as error:
            raise storage_error(error, f"creating the folder {self.root}") from error

    def _require_mark(self) -> None:
        if not (self.root / _MARK).exists():
            raise StorageError(f"the folder {self.root} is gone; is its disk mounted?")

    def _make_folder(self, folder: str) -> None:
        self._require_mark()
        path = self.root / folder
        try:
            path.mkdir(parents=True, exist_ok=True)
            for parent in (path.parent, self.root, self.root.parent):
                _flush_folder(parent)
        except OSError as error:
            raise storage_error(error, f"creating the folder {path}") from error

    def create(self) -> BlobWriter:
        return _FileWriter(self, f"{self._next_folder()}/{uuid.uuid4().hex}")

    def commit(self, writers: Sequence[BlobWriter]) -> None:
        mine = [writer for writer in writers if isinstance(writer, _FileWriter)]
        try:
            if len(mine) == 1 and mine[0].flushed is None:
                # Flushed by this thread: waking another up takes longer than the disk. Renamed
                # before, so that the file system writes its journal once for both.
                folders = {mine[0].rename()}
                mine[0].wait()
            else:
                for writer in mine:
                    writer.flush_soon()
                for writer in mine:
                    writer.wait()
                folders = {writer.rename() for writer in mine}
            for folder in folders:
                _flush_folder(folder)
        except OSError as error:
            raise storage_error(error, f"finishing files in {self.root}") from error
        for writer in mine:
            writer.committed = True

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise BlobNotFound(f"{key!r} is no key of this storage")
        return self.root / key

    def open(self, key: str) -> BinaryIO:
        try:
            return self._path(key).open("rb")
        except OSError as error:
            raise self._missing(error, key) from error

    def read(self, key: str, offset: int, length: int) -> bytes:
        path = self._path(key)
        try:
            file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise self._missing(error, key) from error
        try:
            return os.pread(file, length, offset)
        except OSError as error:
            raise storage_error(error, f"reading {key}") from error
        finally:
            os.close(file)

    def size(self, key: str) -> int:
        try:
            return self._path(key).stat().st_size
        except OSError as error:
            raise self._missing(error, key) from error

    def _missing(self, error: OSError, key: str) -> StorageError:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return BlobNotFound(f"{self.root} has no file {key}")
        return storage_error(error, f"reading {key}")

    def delete(self, key: str) -> None:
        try:
            self._path(key).unlink()
        except (FileNotFoundError, BlobNotFound):
            return
        except OSError as error:
            raise storage_error(error, f"deleting {key}") from error

    def iterate(self) -> Iterator[BlobInfo]:
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder, name)
                key = path.relative_to(self.root).as_posix()
                if not _KEY.fullmatch(key):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    modified = datetime.fromtimestamp(status.st_mtime, UTC)
                    yield BlobInfo(key, status.st_size, modified, "." not in key)

    def local_path(self, key: str) -> Path | None:
        return self._path(key)

    def adopt(self, key: str, source: Path, *, link: bool) -> None:
        target = self._path(key)
        part = f"{target}.adopted"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)
            if not (link and _linked(source, part)):
                shutil.copyfile(source, part)
            os.rename(part, target)
        except OSError as error:
            raise storage_error(error, f"copying {source} to {target}") from error
        finally:
            # To rename a link to where another link to the same file is does nothing.
            with contextlib.suppress(OSError):
                os.unlink(part)

    def check(self) -> None:
        self._require_mark()
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise StorageError(f"the folder {self.root} cannot be written to")
        if self.free_bytes() < _ROOM:
            raise StorageFull(f"there is no room left in {self.root}")

    def free_bytes(self) -> int:
        try:
            status = os.statvfs(self.root)
        except OSError as error:
            raise storage_error(error, f"asking for the room in {self.root}") from error
        return status.f_bavail * status.f_frsize

    def close(self) -> None:
        with self._lock:
            if self._pool is not None and self._pid == os.getpid():
                self._pool.shutdown()
            self._pid = 0


def _linked(source: Path, target: str) -> bool:
    """Whether a link could be made: not to another file system, nor on one without links."""
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def _flush_folder(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
