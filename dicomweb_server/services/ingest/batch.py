"""The instances of one request: made durable and indexed together."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dicomweb_server.dicom import ParsedInstance
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import Added, IndexFailure, NewInstance, Origin
from dicomweb_server.interfaces.state import StateError
from dicomweb_server.interfaces.storage import BlobStore, BlobWriter, StorageError, StorageFull
from dicomweb_server.ps318.store_response import NOT_AUTHORIZED, PROCESSING_FAILURE
from dicomweb_server.services.door import Door
from dicomweb_server.services.ingest.admission import check_addressable
from dicomweb_server.services.ingest.part import Part
from dicomweb_server.services.ingest.results import Ingested, Refused, refusal
from dicomweb_server.services.limits import patients_of

if TYPE_CHECKING:
    from dicomweb_server.services.ingest.service import IngestService

BATCH_PARTS = 64
"""Instances that are committed together at most: each holds a file open until then."""
BATCH_BYTES = 128 << 20
"""Bytes after which a batch is committed, so that a long request has results early."""


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
        """Raise `Refused` unless the instance may be stored by this request."""
        check_addressable(parsed)
        if self.study_uid is not None and parsed.study_uid != self.study_uid:
            raise Refused(
                PROCESSING_FAILURE,
                f"the instance belongs to study {parsed.study_uid}, the request is for "
                f"study {self.study_uid}",
            )
        if not self._door.admits(parsed):
            raise Refused(NOT_AUTHORIZED, "you may not store this instance")

    def queue(self, position: int, known: Ingested, new: NewInstance, writer: BlobWriter) -> None:
        """The instance is complete; it is committed with those that follow."""
        self._queue.append(_Queued(position, known, new, writer))
        self._bytes += new.size
        if len(self._queue) >= BATCH_PARTS or self._bytes >= BATCH_BYTES:
            # More of the same patients may follow: nobody must delete what is there meanwhile.
            self._hold(self._queue)
            self._commit()

    def _hold(self, items: Sequence[_Queued]) -> None:
        self._held |= patients_of(item.new for item in items)
        self.service.room.hold(self._key, self._held)

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
                self._hold([item])  # what the next one needs must not be taken from this one
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
        self.settle(item.position, refusal(error).result(item.known))

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
            self.service.forget([item.new.blob for item in stored], undone=error.undone)
            return
        except Exception:
            self.service.forget([item.new.blob for item in stored], undone=False)
            raise
        for item, result in zip(stored, added, strict=True):
            self._take(item, result)

    def _take(self, item: _Queued, added: Added) -> None:
        try:
            done = self.service.healed(item.new, added)
        except (StorageError, IndexFailure) as error:
            self._failed(item, error)
            self.service.discard(item.new, added)
            return
        known = replace(item.known, orthanc_id=done.ids.instance, outcome=done.outcome)
        self.settle(item.position, replace(known, size=item.new.size))
        self.service.discard(item.new, done)
