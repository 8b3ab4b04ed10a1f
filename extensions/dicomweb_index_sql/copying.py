"""Copies of the database while it is in use, and putting one back."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from dicomweb_index_sql.database import SEQUENCE, Database
from dicomweb_server.interfaces.index import BlobEntry, BlobRef, IndexFull, IndexUnavailable

_BLOBS = "SELECT storage, blob, size, sha256 FROM instances ORDER BY id"
_JUMP = 1_000_000_000
"""What was numbered after the copy was made must never be numbered so again: clients remember."""


def _file_of(database: Database) -> Path:
    file = database.kind.file
    if file is None:
        raise IndexUnavailable(
            f"the index is on {database.kind.url.get_backend_name()}: copy it with the tools of "
            f"that database (pg_dump) first and the folders of the storages afterwards, and put "
            f"both back in any order"
        )
    return file


def copy_to(database: Database, target: Path) -> Iterator[BlobEntry]:
    """Write a copy of one moment, in one file, and yield the blobs that it names."""
    source = _file_of(database)
    database.ping()
    target.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(target)) as there:
            here.backup(there)
            # The copy must not need a second file beside it.
            there.execute("PRAGMA journal_mode=DELETE")
        _flush(target)
    except sqlite3.Error as error:
        raise _failure(error, f"copying {source} to {target}") from error
    except OSError as error:
        raise IndexUnavailable(f"{error.filename or target}: {error.strerror}") from error
    yield from _blobs(target)


def _blobs(copy: Path) -> Iterator[BlobEntry]:
    try:
        with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro", uri=True)) as found:
            for storage, key, size, sha256 in found.execute(_BLOBS):
                yield BlobEntry(BlobRef(storage, key), size, sha256)
    except sqlite3.Error as error:
        raise _failure(error, f"reading {copy}") from error


def _failure(error: sqlite3.Error, doing: str) -> IndexFull | IndexUnavailable:
    full = "full" in str(error)
    return (IndexFull if full else IndexUnavailable)(f"{doing} failed: {error}")


@contextmanager
def restoring(database: Database, copy: Path) -> Iterator[Iterable[BlobEntry]]:
    """Put a copy in the place of a database that is not there, when the block ends well."""
    target = _file_of(database)
    for path in (target, *(target.with_name(target.name + end) for end in ("-wal", "-journal"))):
        if path.exists():
            raise IndexUnavailable(
                f"there is {path} already; a backup is restored where no index is"
            )
    part = target.with_name(target.name + ".restored")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(copy, part)
        yield _blobs(part)
        _jump(part)
        _flush(part)
        part.rename(target)
        _flush(target.parent)
    except OSError as error:
        raise IndexUnavailable(f"{error.filename or target}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _jump(copy: Path) -> None:
    try:
        with closing(sqlite3.connect(copy)) as database, database:
            database.execute(
                "UPDATE counters SET value = value + ? WHERE name = ?", (_JUMP, SEQUENCE)
            )
    except sqlite3.Error as error:
        raise _failure(error, f"writing to {copy}") from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
