"""Takes instances in: streamed to the storage while they are read, indexed in batches.

The order of truth: the bytes are durable, then the index commits, then the caller is told. What
fails in between leaves at most a blob that no row points to, and `check` finds it.
"""

from __future__ import annotations

import contextlib
import logging
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dicomweb_server.dicom import DicomError, ParsedInstance
from dicomweb_server.dicom.conformance import deviations
from dicomweb_server.dicom.instance import first_text
from dicomweb_server.dicom.transfer_syntaxes import is_uid
from dicomweb_server.interfaces.auth import EVERYTHING, Scope
from dicomweb_server.interfaces.index import (
    Added,
    BlobRef,
    Index,
    IndexFailure,
    IndexFull,
    NewInstance,
    Origin,
    Outcome,
    Overwrite,
)
from dicomweb_server.interfaces.ingest import IngestFilter
from dicomweb_server.interfaces.state import StateError
from dicomweb_server.interfaces.storage import (
    BlobStore,
    BlobWriter,
    StorageError,
    StorageFull,
)
from dicomweb_server.ps318.store_response import (
    CANNOT_UNDERSTAND,
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS_WARNING,
    ELEMENTS_DISCARDED,
    NOT_AUTHORIZED,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
)
from dicomweb_server.services.door import Door
from dicomweb_server.services.filtering import Arrived, FilteredOut, Filters
from dicomweb_server.services.limits import Room, patients_of
from dicomweb_server.services.reading import Reading, ReadingOptions
from dicomweb_server.services.storages import Storages

log = logging.getLogger(__name__)

_ADDRESSABLE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
"""UIDs that can be addressed; devices write some that are not to the letter."""

BATCH_PARTS = 64
"""Instances that are committed together at most: each holds a file open until then."""
BATCH_BYTES = 128 << 20
"""Bytes after which a batch is committed, so that a long request has results early."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of one instance: stored (`outcome`), refused (`failure`) or `discarded`.

    UIDs are "" where the bytes did not tell them. `failure` is a Failure Reason (0008,1197),
    `warning` a Warning Reason (0008,1196) of a stored one, 0 if there is none to give; `size` is in
    bytes, of a stored one; `unavailable` says that trying again later may help.
    """

    study_uid: str = ""
    series_uid: str = ""
    sop_uid: str = ""
    sop_class_uid: str = ""
    orthanc_id: str = ""
    outcome: Outcome | None = None
    failure: int = 0
    warning: int = 0
    message: str = ""
    unavailable: bool = False
    size: int = 0
    patient_id: str = ""

    @property
    def discarded(self) -> bool:
        """Whether a filter took it from the client without storing it."""
        return self.outcome is None and not self.failure and self.warning == ELEMENTS_DISCARDED

    @property
    def identified(self) -> bool:
        """Whether the instance can be referenced in an answer."""
        return bool(self.sop_uid and self.sop_class_uid)


_IDENTIFIERS = {
    "SOPClassUID": "00080016",
    "SOPInstanceUID": "00080018",
    "StudyInstanceUID": "0020000D",
    "SeriesInstanceUID": "0020000E",
}


class _Refused(Exception):
    """The instance will not be stored."""

    def __init__(self, failure: int, message: str, *, unavailable: bool = False) -> None:
        super().__init__(message)
        self.failure, self.message, self.unavailable = failure, message, unavailable

    def result(self, known: Ingested) -> Ingested:
        """What became of the instance, of which so much is known."""
        return replace(
            known, failure=self.failure, message=self.message, unavailable=self.unavailable
        )


def _refusal(error: Exception) -> _Refused:
    if isinstance(error, StorageFull | IndexFull):
        return _Refused(OUT_OF_RESOURCES, str(error))
    return _Refused(PROCESSING_FAILURE, str(error), unavailable=True)


def _identity(parsed: ParsedInstance) -> Ingested:
    uids = (parsed.study_uid, parsed.series_uid, parsed.sop_uid, parsed.sop_class_uid)
    return Ingested(*uids, patient_id=parsed.patient_id)


class Part:
    """One instance while its bytes arrive. A refused one swallows the rest of its bytes."""

    def __init__(self, batch: Batch, position: int) -> None:
        self._batch = batch
        self._position = position
        self._reading = Reading(batch.service.reading)
        self._writer: BlobWriter | None = None
        self._unstorable: _Refused | None = None
        self._closed = False

    def write(self, data: bytes | memoryview) -> None:
        """The next bytes. Never raises for what the bytes are or where they go."""
        if self._closed:
            return
        if self._unstorable is None:
            self._store(data)
        self._read(data)

    def _store(self, data: bytes | memoryview) -> None:
        try:
            if self._writer is None:
                service = self._batch.service
                service.room.check_disk(service.storages.default)
                self._writer = service.storages.default.create()
            self._writer.write(data)
        except StorageError as error:
            # It is read on nevertheless: the answer names the instance that did not fit.
            self._unstorable = _refusal(error)
            if self._writer is not None:
                self._writer.abort()

    def _read(self, data: bytes | memoryview) -> None:
        try:
            self._reading.feed(data)
        except DicomError as error:
            self._refuse(_Refused(CANNOT_UNDERSTAND, str(error)), self._known())

    def fail(
        self,
        message: str,
        failure: int = CANNOT_UNDERSTAND,
        identity: tuple[str, str, str, str] | None = None,
    ) -> None:
        """The bytes cannot be trusted, for example because the request was cut.

        `identity`: study, series, SOP instance and class UIDs, if the bytes do not tell them.
        """
        if not self._closed:
            known = Ingested(*identity) if identity else self._known()
            self._refuse(_Refused(failure, message), known)

    def finish(self) -> None:
        """All bytes were written."""
        if self._closed:
            return
        if self._unstorable is not None:
            self._refuse(self._unstorable, self._known())
            return
        writer = self._writer
        if writer is None:
            self._refuse(_Refused(CANNOT_UNDERSTAND, "the part is empty; expected a DICOM file"))
            return
        try:
            parsed = self._reading.finish(writer.reader)
        except DicomError as error:
            self._refuse(_Refused(CANNOT_UNDERSTAND, str(error)), self._known())
            return
        except StorageError as error:
            self._refuse(_refusal(error))
            return
        self._check_and_queue(parsed, writer)

    def _check_and_queue(self, parsed: ParsedInstance, writer: BlobWriter) -> None:
        known, service = _identity(parsed), self._batch.service
        arrived = Arrived(parsed, writer, self._reading)
        try:
            self._batch.accept(parsed)
            if service.filters:
                arrived = self._filtered(arrived)
                parsed, writer = arrived.parsed, arrived.writer
                known = _identity(parsed)
            writer.finish()
        except _Refused as refused:
            self._refuse(refused, known)
            return
        except FilteredOut as out:
            discarded = ELEMENTS_DISCARDED if not out.failure else 0
            self._refuse(_Refused(out.failure, out.message), replace(known, warning=discarded))
            return
        except (StorageError, IndexFailure) as error:
            self._refuse(_refusal(error), known)
            return
        self._closed = True
        new = NewInstance(
            parsed=parsed,
            blob=BlobRef(service.storages.default_alias, writer.key),
            size=writer.size,
            md5=arrived.reading.digests.md5,
            sha256=arrived.reading.digests.sha256,
            received=datetime.now(UTC).replace(tzinfo=None),
            origin=self._batch.origin,
        )
        if arrived.warning:
            known = replace(known, warning=arrived.warning, message=arrived.message)
        else:
            known = service.judged(known, parsed)
        self._batch.queue(self._position, known, new, writer)

    def _filtered(self, arrived: Arrived) -> Arrived:
        """What the filters leave of it; may raise `_Refused` too, for it is another one now."""
        found = self._batch.service.filters.apply(arrived, self._batch.origin)
        self._writer = found.writer
        self._batch.accept(found.parsed)
        return found

    def _known(self) -> Ingested:
        """What the bytes that came tell of an instance that is not stored."""
        return Ingested(*self._reading.identity())

    def _refuse(self, refused: _Refused, known: Ingested | None = None) -> None:
        self._closed = True
        if self._writer is not None:
            self._writer.abort()
        self._batch.settle(self._position, refused.result(known or Ingested()))


@dataclass(frozen=True, slots=True)
class _Queued:
    position: int
    known: Ingested
    new: NewInstance
    writer: BlobWriter


class Batch:
    """The instances of one request, in order; `results` has one entry for each part."""

    def __init__(
        self, service: IngestService, origin: Origin, study_uid: str | None, scope: Scope
    ) -> None:
        self.service = service
        self._door = Door(service.index, scope)
        self.origin = origin
        self.study_uid = study_uid
        self.results: list[Ingested] = []
        self._queue: list[_Queued] = []
        self._bytes = 0
        self._held: set[str] = set()
        self._key = uuid.uuid4().hex
        self._open: Part | None = None

    def part(self) -> Part:
        """The next instance; its result has the same position as the part."""
        self.results.append(Ingested())
        if self._queue:
            self._queue[-1].writer.flush_soon()
        self._open = Part(self, len(self.results) - 1)
        return self._open

    def accept(self, parsed: ParsedInstance) -> None:
        """Raise `_Refused` unless the instance may be stored by this request."""
        attributes = parsed.attributes
        missing = [name for name, tag in _IDENTIFIERS.items() if not first_text(attributes, tag)]
        if missing:
            raise _Refused(CANNOT_UNDERSTAND, f"the instance has no {', '.join(missing)}")
        for name, tag in _IDENTIFIERS.items():
            # It becomes a segment of the URLs by which it is retrieved and deleted.
            values = attributes[tag]["Value"]
            if len(values) > 1 or not _ADDRESSABLE.fullmatch(values[0]):
                raise _Refused(
                    CANNOT_UNDERSTAND,
                    f"the {name} is {str(values)[:100]}; possible is one, of digits and dots "
                    f"(PS3.5 9.1)",
                )
        if not is_uid(parsed.transfer_syntax):
            # It becomes a part of the Content-Type with which the instance is retrieved.
            raise _Refused(
                CANNOT_UNDERSTAND,
                f"the transfer syntax (0002,0010) is {parsed.transfer_syntax[:100]!a}; possible is "
                "one UID, of digits and dots, at most 64 (PS3.5 9.1)",
            )
        if self.study_uid is not None and parsed.study_uid != self.study_uid:
            raise _Refused(
                PROCESSING_FAILURE,
                f"the instance belongs to study {parsed.study_uid}, the request is for "
                f"study {self.study_uid}",
            )
        if not self._door.admits(parsed):
            raise _Refused(NOT_AUTHORIZED, "you may not store this instance")

    def queue(self, position: int, known: Ingested, new: NewInstance, writer: BlobWriter) -> None:
        """The instance is complete; it is committed with those that follow."""
        self._queue.append(_Queued(position, known, new, writer))
        self._bytes += new.size
        if len(self._queue) >= BATCH_PARTS or self._bytes >= BATCH_BYTES:
            # More of the same patients may follow: nobody must delete what is there meanwhile.
            self._held |= patients_of(item.new for item in self._queue)
            self.service.room.hold(self._key, self._held)
            self._commit()

    def settle(self, position: int, result: Ingested) -> None:
        """What became of the instance at a position is known for good."""
        self.results[position] = result
        for watcher in self.service.watchers:
            watcher(result)

    def commit(self) -> list[Ingested]:
        """Make everything durable; the results."""
        try:
            self._commit()
        finally:
            self._let_go()
        return self.results

    def _commit(self) -> None:
        queued, self._queue, self._bytes = self._queue, [], 0
        if not queued:
            return
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self.service.room.reserved([item.new for item in queued]))
            except (StorageError, IndexFailure, StateError) as error:
                self._no_room(queued, error)
                return
            self._index(self._store(queued))

    def _no_room(self, queued: list[_Queued], error: Exception) -> None:
        """Not for all of them together; where the archive is full, those that fit are stored."""
        if len(queued) > 1 and isinstance(error, StorageFull):
            for item in queued:
                self._queue = [item]
                self._commit()
            return
        for item in queued:
            item.writer.abort()
            self._failed(item, error)

    def _let_go(self) -> None:
        if self._held:
            self._held = set()
            with contextlib.suppress(StateError):  # it ends by itself, later
                self.service.room.let_go(self._key)

    def abort(self) -> None:
        """Give up what was not committed."""
        if self._open is not None:
            self._open.fail("the request was given up")
        for item in self._queue:
            item.writer.abort()
        self._queue = []
        self._let_go()

    def _store(self, queued: Sequence[_Queued]) -> list[_Queued]:
        """Those whose bytes are durable now; a full disk fails only what did not fit."""
        store = self.service.storages.default
        try:
            store.commit([item.writer for item in queued])
            return list(queued)
        except StorageError:
            return [item for item in queued if self._store_one(store, item)]

    def _store_one(self, store: BlobStore, item: _Queued) -> bool:
        try:
            store.commit([item.writer])
        except StorageError as error:
            item.writer.abort()
            self._failed(item, error)
            return False
        return True

    def _failed(self, item: _Queued, error: Exception) -> None:
        self.settle(item.position, _refusal(error).result(item.known))

    def _index(self, stored: Sequence[_Queued]) -> None:
        if not stored:
            return
        try:
            added = self.service.index.add(
                [item.new for item in stored], overwrite=self.service.overwrite
            )
        except IndexFailure as error:
            for item in stored:
                self._failed(item, error)
            self.service.forget([item.new.blob for item in stored])
            return
        except Exception:
            self.service.forget([item.new.blob for item in stored])
            raise
        for item, result in zip(stored, added, strict=True):
            self._take(item, result)

    def _take(self, item: _Queued, added: Added) -> None:
        try:
            done = self.service.healed(item.new, added)
        except (StorageError, IndexFailure) as error:
            self._failed(item, error)
            self.service.discard(added)
            return
        known = replace(item.known, orthanc_id=done.ids.instance, outcome=done.outcome)
        self.settle(item.position, replace(known, size=item.new.size))
        self.service.discard(done)


class IngestService:
    """The one way into the archive: STOW-RS, import and, later, retrieval from other servers."""

    def __init__(
        self,
        storages: Storages,
        index: Index,
        reading: ReadingOptions,
        room: Room,
        overwrite: Overwrite = Overwrite.NEVER,
        *,
        filters: Mapping[str, IngestFilter] | None = None,
        strict: bool = False,
    ) -> None:
        self.storages = storages
        self.index = index
        self.reading = reading
        self.room = room
        self.overwrite = overwrite
        self._strict = strict
        self.filters = Filters(filters or {}, storages.default.create, reading)
        self.watchers: list[Callable[[Ingested], None]] = []
        """Called with what became of each instance, in the thread that took it in."""

    def batch(
        self, origin: Origin, study_uid: str | None = None, scope: Scope = EVERYTHING
    ) -> Batch:
        """Take in instances that arrive together and are inside of a scope.

        Only those of `study_uid`, if it is given.
        """
        return Batch(self, origin, study_uid, scope)

    def judged(self, known: Ingested, parsed: ParsedInstance) -> Ingested:
        """With a warning if the instance is not to the letter and `StrictStore` wants to know."""
        found = next(deviations(parsed, self.reading.dictionary), None) if self._strict else None
        if found is None:
            return known
        return replace(known, warning=DATA_SET_DOES_NOT_MATCH_SOP_CLASS_WARNING, message=found)

    def healed(self, new: NewInstance, added: Added) -> Added:
        """The same, unless what the archive wanted to keep instead is lost or cut.

        Who sends an instance again is told that it is safe here: so it must be.
        """
        if added.kept is None or self.storages.is_whole(added.kept):
            return added
        log.warning("the file %s is lost or cut: it is replaced", added.kept.ref.key)
        return self.index.add([new], overwrite=Overwrite.ALWAYS)[0]

    def discard(self, added: Added) -> None:
        """Delete the blob that nobody needs any more; what fails is found by `check`."""
        if added.discarded is not None:
            with contextlib.suppress(StorageError):
                self.storages.delete(added.discarded)

    def forget(self, blobs: Sequence[BlobRef]) -> None:
        """Delete blobs whose commit to the index failed, unless it went through after all."""
        try:
            known = self.index.knows(blobs)
        except IndexFailure:
            log.warning("%d blobs are left to `check`: the index does not answer", len(blobs))
            return
        for blob in blobs:
            if blob not in known:
                with contextlib.suppress(StorageError):
                    self.storages.delete(blob)
