"""A copy of the archive while it is in use, and an archive from such a copy.

The index is copied first and the files that this copy names afterwards: they are never changed, so
the pair belongs together unless one was deleted meanwhile. Then the index is copied once more, and
what is new since then. The folder:

    backup.json             what it is; without it a folder is no backup
    index                   the copy of the index
    files/ALIAS/KEY         the files of each storage
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dicomweb_server.interfaces.index import BlobEntry, BlobRef, Index
from dicomweb_server.interfaces.storage import BlobNotFound, StorageError
from dicomweb_server.services.storages import Storages

_FORMAT = 1
_ATTEMPTS = 10
_READ = 1 << 20


class BackupError(Exception):
    """A backup cannot be made or restored; the message is for an operator."""


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What was done, in sentences."""

    problems: tuple[str, ...]
    summary: str


class Folder:
    """The folder of one backup."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.index = root / "index"
        self.new_index = root / "index.new"
        self.files = root / "files"
        self._about = root / "backup.json"
        self._made: set[Path] = set()

    def file(self, ref: BlobRef) -> Path:
        """Where a blob lies, whether it is there or not."""
        return self.files / ref.storage / ref.key

    def prepare(self) -> None:
        """Make the folder; raises `BackupError` when it holds something else."""
        self.root.mkdir(parents=True, exist_ok=True)
        if not self._about.exists():
            if any(self.root.iterdir()):
                raise BackupError(f"{self.root} holds something that is no backup; name another")
            self.describe({"complete": False})

    def describe(self, facts: dict[str, Any]) -> None:
        """Write down what the backup is."""
        part = self._about.with_suffix(".part")
        part.write_text(json.dumps({"format": _FORMAT} | facts, indent=2) + "\n")
        part.replace(self._about)

    def about(self) -> dict[str, Any]:
        """What the backup is; raises `BackupError` when it is none, or not whole."""
        try:
            facts: dict[str, Any] = json.loads(self._about.read_text())
        except (OSError, ValueError) as error:
            raise BackupError(f"{self.root} is no backup: {self._about}: {error}") from error
        if facts.get("format") != _FORMAT:
            raise BackupError(f"{self.root} has the format {facts.get('format')}, not {_FORMAT}")
        if not self.index.exists():
            raise BackupError(f"{self.root} is not complete: run `dicomweb-server backup` again")
        return facts

    def make_parents(self, path: Path) -> None:
        """Make the folders above a file, each once."""
        if path.parent not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)

    def prune(self, kept: set[Path]) -> int:
        """Delete files that the index does not name any more; how many."""
        gone = 0
        for folder, _, names in os.walk(self.files):
            for name in names:
                path = Path(folder, name)
                if path not in kept:
                    path.unlink(missing_ok=True)
                    gone += 1
        return gone


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in lower-case hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_READ):
            digest.update(data)
    return digest.hexdigest()


def _wrong(path: Path, entry: BlobEntry, *, digests: bool) -> str:
    """What is wrong with a file that should hold a blob; "" if nothing is."""
    size = path.stat().st_size
    if size != entry.size:
        return f"{path} has {size} bytes instead of {entry.size}"
    if digests and sha256_of(path) != entry.sha256:
        return f"{path} has other bytes than were stored: its SHA-256 differs"
    return ""


class Backup:
    """Makes one backup, or brings it up to date."""

    def __init__(
        self, index: Index, storages: Storages, root: Path, *, digests: bool, link: bool
    ) -> None:
        self._index = index
        self._storages = storages
        self._folder = Folder(root)
        self._digests = digests
        self._link = link
        self._copied = 0
        self._kept: set[Path] = set()
        self._lost: list[str] = []

    def make(self) -> BackupReport:
        """Copy everything; raises `BackupError`."""
        try:
            return self._make()
        except OSError as error:
            raise BackupError(f"{error.filename or self._folder.root}: {error.strerror}") from error

    def _make(self) -> BackupReport:
        folder = self._folder
        folder.prepare()
        for _ in range(_ATTEMPTS):
            if self._copy(self._index.copy_to(folder.new_index)):
                break
        else:
            raise BackupError("so much is deleted meanwhile that no backup gets ready; try later")
        os.sync()  # the files are there before the index that names them is
        folder.new_index.replace(folder.index)
        gone = folder.prune(self._kept)
        count = len(self._kept)
        aliases = sorted({path.relative_to(folder.files).parts[0] for path in self._kept})
        date = datetime.now(UTC).isoformat(timespec="seconds")
        folder.describe(
            {
                "complete": True,
                "date": date,
                "index": self._index.name,
                "storages": aliases,
                "instances": count,
            }
        )
        os.sync()
        summary = f"{count} files, {self._copied} of them new, {gone} deleted ones removed" + (
            ", all digests compared" if self._digests else ""
        )
        return BackupReport(tuple(self._lost), summary)

    def _copy(self, entries: Iterable[BlobEntry]) -> bool:
        """Copy files; False when one was deleted while this went on."""
        self._kept, self._lost = set(), []
        for entry in entries:
            problem = self._copy_one(entry)
            if not problem:
                self._kept.add(self._folder.file(entry.ref))
            elif self._index.knows([entry.ref]):
                self._lost.append(f"{entry.ref.storage}: {problem}")
            else:
                return False
        return True

    def _copy_one(self, entry: BlobEntry) -> str:
        """Why a blob cannot be copied; "" if it is there."""
        target = self._folder.file(entry.ref)
        if target.exists() and not _wrong(target, entry, digests=self._digests):
            return ""
        source = self._source(entry.ref)
        self._folder.make_parents(target)
        try:
            place(source, target, link=self._link)
        except FileNotFoundError:
            return f"there is no {entry.ref.key}"
        self._copied += 1
        return _wrong(target, entry, digests=self._digests)

    def _source(self, ref: BlobRef) -> Path:
        store = self._storages.of(ref)
        try:
            path = store.local_path(ref.key)
        except BlobNotFound as error:
            raise BackupError(str(error)) from error
        if path is None:
            raise BackupError(
                f"the storage {ref.storage!r} ({store.name}) does not keep files: only storages "
                f"that do, such as filesystem, can be copied"
            )
        return path


def place(source: Path, target: Path, *, link: bool) -> None:
    """Put a file at a path, by a link if that is possible; wholly or not at all."""
    part = target.with_name(target.name + ".new")
    part.unlink(missing_ok=True)
    if link:
        try:
            os.link(source, part)
        except FileNotFoundError:
            raise
        except OSError:  # another file system, or one without links
            link = False
    if not link:
        shutil.copyfile(source, part)
    part.replace(target)


class Restoration:
    """Fills an empty archive from a backup."""

    def __init__(
        self, index: Index, storages: Storages, root: Path, *, digests: bool, link: bool
    ) -> None:
        self._index = index
        self._storages = storages
        self._folder = Folder(root)
        self._digests = digests
        self._link = link

    def run(self) -> BackupReport:
        """Put everything in its place, the index last; raises `BackupError`."""
        facts = self._folder.about()
        if facts.get("index") != self._index.name:
            raise BackupError(
                f"the backup holds an index {facts.get('index')!r}, the configuration has "
                f"{self._index.name!r}"
            )
        problems: list[str] = []
        count = 0
        with self._index.restoring(self._folder.index) as entries:
            self._prepare(facts.get("storages", []))
            for entry in entries:
                problem = self._put(entry)
                if problem:
                    problems.append(problem)
                else:
                    count += 1
            os.sync()  # the files are there before the index that names them is
        return BackupReport(tuple(problems), f"{count} files and the index were restored")

    def _prepare(self, aliases: Iterable[str]) -> None:
        for alias in aliases:
            self._storages.of(BlobRef(alias, ""))
        for alias, store in self._storages.by_alias.items():
            for info in store.iterate():
                key = info.key.partition(".")[0]
                if self._folder.file(BlobRef(alias, key)).exists():
                    if not info.finished:  # an earlier attempt was interrupted
                        store.delete(info.key)
                else:
                    raise BackupError(
                        f"the storage {alias!r} is not empty: it holds {info.key}, which the "
                        f"backup does not have"
                    )
            store.prepare(fresh=True)

    def _put(self, entry: BlobEntry) -> str:
        path = self._folder.file(entry.ref)
        try:
            problem = _wrong(path, entry, digests=self._digests)
        except FileNotFoundError:
            return f"the backup lacks {path}"
        if not problem:
            store = self._storages.of(entry.ref)
            try:
                store.adopt(entry.ref.key, path, link=self._link)
            except BlobNotFound as error:
                raise StorageError(str(error)) from error
        return problem
