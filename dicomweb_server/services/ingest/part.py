"""One instance while its bytes arrive: stored and read at the same time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dicomweb_server.dicom import DicomError, ParsedInstance
from dicomweb_server.interfaces.index import BlobRef, IndexFailure, NewInstance
from dicomweb_server.interfaces.storage import BlobWriter, StorageError
from dicomweb_server.ps318.store_response import CANNOT_UNDERSTAND, ELEMENTS_DISCARDED
from dicomweb_server.services.filtering import Arrived, FilteredOut
from dicomweb_server.services.ingest.results import Ingested, Refused, identity_of, refusal
from dicomweb_server.services.reading import Reading

if TYPE_CHECKING:
    from dicomweb_server.services.ingest.batch import Batch


class Part:
    """One instance while its bytes arrive. A refused one swallows the rest of its bytes."""

    def __init__(self, batch: Batch, position: int) -> None:
        self._batch = batch
        self._position = position
        self._reading = Reading(batch.service.reading)
        self._writer: BlobWriter | None = None
        self._unstorable: Refused | None = None
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
            self._unstorable = refusal(error)
            if self._writer is not None:
                self._writer.abort()

    def _read(self, data: bytes | memoryview) -> None:
        try:
            self._reading.feed(data)
        except DicomError as error:
            self._refuse(Refused(CANNOT_UNDERSTAND, str(error)), self._known())

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
            self._refuse(Refused(failure, message), known)

    def finish(self) -> None:
        """All bytes were written."""
        if self._closed:
            return
        if self._unstorable is not None:
            self._refuse(self._unstorable, self._known())
            return
        writer = self._writer
        if writer is None:
            self._refuse(Refused(CANNOT_UNDERSTAND, "the part is empty; expected a DICOM file"))
            return
        try:
            parsed = self._reading.finish(writer.reader)
        except DicomError as error:
            self._refuse(Refused(CANNOT_UNDERSTAND, str(error)), self._known())
            return
        except StorageError as error:
            self._refuse(refusal(error))
            return
        self._check_and_queue(parsed, writer)

    def _check_and_queue(self, parsed: ParsedInstance, writer: BlobWriter) -> None:
        known, service = identity_of(parsed), self._batch.service
        arrived = Arrived(parsed, writer, self._reading)
        try:
            self._batch.accept(parsed)
            if service.filters:
                arrived = self._filtered(arrived)
                parsed, writer = arrived.parsed, arrived.writer
                known = identity_of(parsed)
            writer.finish()
        except Refused as refused:
            self._refuse(refused, known)
            return
        except FilteredOut as out:
            discarded = ELEMENTS_DISCARDED if not out.failure else 0
            self._refuse(Refused(out.failure, out.message), replace(known, warning=discarded))
            return
        except (StorageError, IndexFailure) as error:
            self._refuse(refusal(error), known)
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
        """What the filters leave of it; may raise `Refused` too, for it is another one now."""
        found = self._batch.service.filters.apply(arrived, self._batch.origin)
        self._writer = found.writer
        self._batch.accept(found.parsed)
        return found

    def _known(self) -> Ingested:
        """What the bytes that came tell of an instance that is not stored."""
        return Ingested(*self._reading.identity())

    def _refuse(self, refused: Refused, known: Ingested | None = None) -> None:
        self._closed = True
        if self._writer is not None:
            self._writer.abort()
        self._batch.settle(self._position, refused.result(known or Ingested()))
