"""Compares the index with the stored bytes, and reads the bytes again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from dicomweb_server.dicom import DicomError
from dicomweb_server.interfaces.index import BlobEntry, BlobRef, Index, NewInstance, Origin
from dicomweb_server.interfaces.storage import BlobInfo, BlobNotFound, BlobStore, StorageError
from dicomweb_server.services.reading import Reading, ReadingOptions
from dicomweb_server.services.storages import Storages

_PAGE = 200
_READ = 1 << 20
GRACE = timedelta(days=1)
"""Blobs that nobody needs and that are younger than this are left alone: somebody may be writing
them, or reading them, right now."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, in sentences; `unresolved` of the problems are left."""

    problems: tuple[str, ...]
    summary: str
    unresolved: int = 0


def _pages(items: Iterable[BlobInfo]) -> Iterator[list[BlobInfo]]:
    iterator = iter(items)
    while page := list(islice(iterator, _PAGE)):
        yield page


class Maintenance:
    """Looks after one archive."""

    def __init__(self, index: Index, storages: Storages) -> None:
        self._index = index
        self._storages = storages

    def count_blobs(self) -> int:
        """How many blobs the storages have."""
        return sum(1 for store in self._storages.by_alias.values() for _ in store.iterate())

    # --- check -----------------------------------------------------------------------------

    def check(
        self, options: ReadingOptions, *, repair: bool = False, digests: bool = False
    ) -> Report:
        """Missing, wrong and superfluous blobs, and rows that contradict each other.

        `digests`: every blob is read, to find bytes that changed. `options`: how blobs are read of
        which the index lost what was read before.
        """
        contradictions = self._index.verify(repair=repair)
        unread = self._index.undescribed()
        left = [p for ref in unread if (p := self._read_again(ref, options))] if repair else []
        if repair and contradictions:
            left += self._index.verify()
        lost = list(self._lost(digests=digests))
        young, old = self._orphans(repair=repair)
        problems = list(dict.fromkeys((*contradictions, *left, *lost)))
        problems += [f"{ref.storage}: what was read from {ref.key} is lost" for ref in unread]
        problems += [f"{ref.storage}: {ref.key} belongs to no instance" for ref in old]
        unresolved = len(lost) + len(left)
        contradicting = len(contradictions) + len(unread)
        if not repair:
            unresolved += contradicting + len(old)
        summary = (
            f"{self._index.statistics().instances} instances, {len(lost)} with missing or wrong "
            f"files, {contradicting} contradictions, {len(old)} files without instance"
            + (f", {young} more that are younger than a day" if young else "")
            + (" (mended)" if repair and (contradicting or old) and not left else "")
        )
        return Report(tuple(problems), summary, unresolved)

    def _read_again(self, ref: BlobRef, options: ReadingOptions) -> str:
        """Tell the index what is in a blob; a sentence if that cannot be."""
        try:
            store = self._storages.of(ref)
            size = store.size(ref.key)
            info = BlobInfo(ref.key, size, datetime.now(UTC), finished=True)
            self._index.reindex([_read(options, store, ref, info)])
        except (DicomError, StorageError) as error:
            return f"{ref.storage}: {ref.key} cannot be read again: {error}"
        return ""

    def _lost(self, *, digests: bool) -> Iterator[str]:
        """Instances whose bytes are not there or are others."""
        for entry in self._index.blobs():
            problem = self._problem(entry, digests=digests)
            if problem and self._index.knows([entry.ref]):  # else it was deleted while we looked
                yield f"{entry.ref.storage}: {problem}"

    def _problem(self, entry: BlobEntry, *, digests: bool) -> str | None:
        key = entry.ref.key
        try:
            store = self._storages.of(entry.ref)
            found = store.size(key)
            if found != entry.size:
                return f"{key} has {found} bytes, the index says {entry.size}"
            if digests and _sha256(store, key) != entry.sha256:
                return f"{key} has other bytes than were stored: its SHA-256 differs"
        except StorageError as error:
            return str(error)
        return None

    def _orphans(self, *, repair: bool) -> tuple[int, list[BlobRef]]:
        """How many young blobs nobody needs, and the old ones; those are deleted if asked."""
        young, old = 0, []
        limit = datetime.now(UTC) - GRACE
        for alias, store in self._storages.by_alias.items():
            for page in _pages(store.iterate()):
                refs = {BlobRef(alias, info.key): info for info in page}
                for ref in refs.keys() - self._index.knows(list(refs)):
                    if refs[ref].modified > limit:
                        young += 1
                        continue
                    old.append(ref)
                    if repair:
                        store.delete(ref.key)
        return young, old

    # --- reindex ---------------------------------------------------------------------------

    def reindex(self, options: ReadingOptions, progress: Callable[[int], object]) -> Report:
        """Read every blob and tell the index; what cannot be read is reported and left alone."""
        problems: list[str] = []
        count = 0
        for alias, store in self._storages.by_alias.items():
            for page in _pages(store.iterate()):
                news = []
                for info in filter(_is_finished, page):
                    ref = BlobRef(alias, info.key)
                    try:
                        news.append(_read(options, store, ref, info))
                    except (DicomError, StorageError) as error:
                        if isinstance(error, BlobNotFound) and not self._index.knows([ref]):
                            continue  # it was deleted while we looked
                        problems.append(f"{alias}: {info.key}: {error}")
                count += self._index.reindex(news)
                progress(len(page))
        return Report(tuple(problems), f"{count} instances are indexed")


def _sha256(store: BlobStore, key: str) -> str:
    digest = hashlib.sha256()
    with store.open(key) as file:
        while data := file.read(_READ):
            digest.update(data)
    return digest.hexdigest()


def _is_finished(info: BlobInfo) -> bool:
    return info.finished


def _read(options: ReadingOptions, store: BlobStore, ref: BlobRef, info: BlobInfo) -> NewInstance:
    reading = Reading(options)
    with store.open(ref.key) as file:
        while data := file.read(_READ):
            reading.feed(data)
    return NewInstance(
        parsed=reading.finish(lambda: store.open(ref.key)),
        blob=ref,
        size=info.size,
        md5=reading.digests.md5,
        sha256=reading.digests.sha256,
        received=info.modified.replace(tzinfo=None),
        origin=Origin("reindex"),
    )
