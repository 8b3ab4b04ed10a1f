"""How much the archive may hold, and who has to go when more comes.

Room is made before an instance is indexed, by the process that needs it and by one at a time. A
patient goes wholly or stays: never one that is protected, that the same request stores, or of
which a request that goes on for longer has stored a part.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from dicomweb_server.config import Option, one_of, whole
from dicomweb_server.dicom import OrthancIds, orthanc_ids
from dicomweb_server.interfaces.auth import EVERYTHING
from dicomweb_server.interfaces.index import Index, NewInstance, PatientRecord, Statistics
from dicomweb_server.interfaces.state import StateStore
from dicomweb_server.interfaces.storage import BlobStore, StorageError, StorageFull
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services.protection import ProtectionService
from dicomweb_server.services.removal import RemovalService

log = logging.getLogger(__name__)

STORAGE_SIZE = Option(
    "MaximumStorageSize", 0, "Most MiB of instances that the archive keeps; 0: no limit.", whole()
)
PATIENT_COUNT = Option(
    "MaximumPatientCount", 0, "Most patients that the archive keeps; 0: no limit.", whole()
)
STORAGE_MODE = Option(
    "MaximumStorageMode",
    "Recycle",
    "At one of these limits: Recycle deletes whole patients, those first that were not stored to "
    "for longest; Reject refuses instances.",
    one_of("Recycle", "Reject"),
)
FREE_SPACE = Option(
    "MinimumFreeSpaceMB",
    0,
    "Refuse instances while the storage has less room than this, in MiB.",
    whole(),
)
OPTIONS = (STORAGE_SIZE, PATIENT_COUNT, STORAGE_MODE, FREE_SPACE)

_LEASE = "make-room"
_LEASE_SECONDS = 60.0
_WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.02
_STORING = "storing"
_STORING_SECONDS = 3600.0
"""A request that stored nothing for so long is over, however it ended."""
_HEADROOM = 128
"""Recycling frees this part of the limit beside what is needed."""
_ENDLESS = 1 << 62
_SHARE = 64
"""One process may use this part of the room that is left before it counts again: others use it
too."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the configuration allows; sizes in bytes, 0 for no limit."""

    size: int = 0
    patients: int = 0
    recycle: bool = True
    free: int = 0

    @property
    def any(self) -> bool:
        """Whether the archive has to be counted."""
        return bool(self.size or self.patients)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What instances that are not there yet would add; `patients` are all that they belong to."""

    size: int
    fresh: frozenset[str]
    patients: frozenset[str]


def _ids(new: NewInstance) -> OrthancIds:
    parsed = new.parsed
    return orthanc_ids(parsed.patient_id, parsed.study_uid, parsed.series_uid, parsed.sop_uid)


def patients_of(news: Iterable[NewInstance]) -> set[str]:
    """Orthanc identifiers of the patients of instances."""
    return {_ids(new).patient for new in news}


class Room:
    """Keeps one archive within its limits."""

    def __init__(
        self,
        limits: Limits,
        index: Index,
        state: StateStore,
        removal: RemovalService,
        protection: ProtectionService,
    ) -> None:
        self.limits = limits
        self._index = index
        self._state = state
        self._removal = removal
        self._protection = protection
        self._lock = threading.Lock()
        self._reserved = 0
        # What may still be taken in without counting the archive: bytes, and instances.
        self._bytes_left = 0
        self._instances_left = 0

    # --- the disk --------------------------------------------------------------------------

    def check_disk(self, store: BlobStore) -> None:
        """Raise `StorageFull` when the storage has less room than it must keep."""
        free = store.free_bytes() if self.limits.free else None
        if free is not None and free < self.limits.free:
            raise StorageFull(
                f"the storage has {free >> 20} MiB left, {FREE_SPACE.name} keeps "
                f"{self.limits.free >> 20}"
            )

    # --- the limits ------------------------------------------------------------------------

    @contextmanager
    def reserved(self, news: Sequence[NewInstance]) -> Iterator[None]:
        """Room for instances until they are indexed; raises `StorageFull` when there is none."""
        size = sum(new.size for new in news)
        if not self.limits.any:
            yield
            return
        with self._lock:
            if not self._take_share(size, len(news)):
                self._make(news)
            self._reserved += size
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= size

    def _take_share(self, size: int, count: int) -> bool:
        """Whether there is so much room that nobody needs to count."""
        self._bytes_left -= size
        self._instances_left -= count
        return self._bytes_left >= 0 and self._instances_left >= 0

    def _make(self, news: Sequence[NewInstance]) -> None:
        """Count, and make room if need be; then say how long nobody needs to count again."""
        wanted = self._wanted(news)
        if self._bytes_left >= 0 and not wanted.fresh:
            return  # more of patients that are here: the limit of patients is not concerned
        found = self._fit(wanted)
        size, patients = self.limits.size, self.limits.patients
        left = size - found.size - self._reserved - wanted.size
        self._bytes_left = left // _SHARE if size else _ENDLESS
        left = patients - found.patients - len(wanted.fresh)
        self._instances_left = left // _SHARE if patients else _ENDLESS

    def _fit(self, wanted: _Wanted) -> Statistics:
        """What the archive holds when there is room; raises `StorageFull` when there is none."""
        found = self._index.statistics()
        sentence = self._exceeded(found, wanted)
        if not sentence or not wanted.size:
            return found
        if not self.limits.recycle:
            raise StorageFull(f"{sentence}, and MaximumStorageMode is Reject")
        with self._alone():
            return self._recycle(wanted)

    def _wanted(self, news: Sequence[NewInstance]) -> _Wanted:
        """What is new; who sends again what is here must not push others out."""
        added = [new for new in news if not self._is_here(new)]
        fresh = frozenset(patients_of(added))
        if self.limits.patients:
            fresh = frozenset(key for key in fresh if self._index.patient(key) is None)
        return _Wanted(sum(new.size for new in added), fresh, frozenset(patients_of(news)))

    def _is_here(self, new: NewInstance) -> bool:
        parsed = new.parsed
        resource = Resource(parsed.study_uid, parsed.series_uid, parsed.sop_uid)
        ids = _ids(new)
        return any(
            orthanc_ids(r.patient_id, r.study_uid, r.series_uid, r.sop_uid) == ids
            for r in self._index.instances(resource, EVERYTHING)
        )

    def _exceeded(self, found: Statistics, wanted: _Wanted) -> str:
        """A sentence about the limit that the archive would exceed."""
        return self._too_large(found, wanted) or self._too_many(found, wanted)

    def _too_large(self, found: Statistics, wanted: _Wanted) -> str:
        limit = self.limits.size
        if not limit or found.size + self._reserved + wanted.size <= limit:
            return ""
        return (
            f"the archive holds {found.size} bytes, {wanted.size} more exceed the "
            f"{limit >> 20} MiB of MaximumStorageSize"
        )

    def _too_many(self, found: Statistics, wanted: _Wanted) -> str:
        limit = self.limits.patients
        if not limit or found.patients + len(wanted.fresh) <= limit:
            return ""
        return (
            f"the archive holds {found.patients} patients, {len(wanted.fresh)} more exceed the "
            f"{limit} of MaximumPatientCount"
        )

    # --- recycling -------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one process of all nodes makes room."""
        holder = uuid.uuid4().hex
        end = time.monotonic() + _WAIT_SECONDS
        while not self._state.acquire(_LEASE, holder, _LEASE_SECONDS):
            if time.monotonic() > end:
                raise StorageError("another process has been making room for too long")
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            self._state.release(_LEASE, holder)

    def _recycle(self, wanted: _Wanted) -> Statistics:
        """Delete patients until there is room; raises `StorageFull` when no more may go."""
        found = self._index.statistics()
        if self.limits.size and wanted.size > self.limits.size:
            sentence = self._exceeded(found, wanted)
            raise StorageFull(f"{sentence}; that is more than the archive may hold at all")
        if not self._exceeded(found, wanted):
            return found  # somebody else made room meanwhile
        for victim in self._victims(wanted):
            if self._removal.delete_patient(victim).instances:
                log.info("the patient %s was deleted to make room", victim.orthanc_id)
                found = replace(found, size=found.size - victim.size, patients=found.patients - 1)
            if not self._exceeded(found, self._amply(wanted)):
                return found
        sentence = self._exceeded(found, wanted)
        if sentence:
            raise StorageFull(f"{sentence}, and no patient may be deleted for it")
        return found

    def _amply(self, wanted: _Wanted) -> _Wanted:
        """A little more, so that a full archive need not be counted for each instance."""
        return replace(wanted, size=wanted.size + self.limits.size // _HEADROOM)

    def _victims(self, wanted: _Wanted) -> Iterator[PatientRecord]:
        kept = wanted.patients | self._protection.patients() | self._being_stored()
        return (record for record in self._index.patients() if record.orthanc_id not in kept)

    # --- long requests ---------------------------------------------------------------------

    def hold(self, key: str, patients: set[str]) -> None:
        """A request that goes on has stored parts of these patients: they stay until its end."""
        if self.limits.any and self.limits.recycle:
            value = {"patients": sorted(patients), "until": time.time() + _STORING_SECONDS}
            self._state.put(_STORING, key, value)

    def let_go(self, key: str) -> None:
        """The request is over."""
        if self.limits.any and self.limits.recycle:
            self._state.delete(_STORING, key)

    def _being_stored(self) -> set[str]:
        found: set[str] = set()
        for document in self._state.documents(_STORING):
            if document.value["until"] < time.time():
                self._state.delete(_STORING, document.key)
            else:
                found |= set(document.value["patients"])
        return found
