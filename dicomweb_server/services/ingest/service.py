"""The use case: what takes instances in, and what it needs for that."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from dicomweb_server.dicom import ParsedInstance
from dicomweb_server.dicom.conformance import deviations
from dicomweb_server.interfaces.auth import EVERYTHING, Scope
from dicomweb_server.interfaces.index import (
    Added,
    BlobRef,
    Index,
    IndexFailure,
    NewInstance,
    Origin,
    Overwrite,
)
from dicomweb_server.interfaces.ingest import IngestFilter
from dicomweb_server.interfaces.storage import StorageError
from dicomweb_server.ps318.store_response import DATA_SET_DOES_NOT_MATCH_SOP_CLASS_WARNING
from dicomweb_server.services.filtering import Filters
from dicomweb_server.services.ingest.batch import Batch
from dicomweb_server.services.ingest.results import Ingested
from dicomweb_server.services.limits import Room
from dicomweb_server.services.reading import ReadingOptions
from dicomweb_server.services.storages import Storages

log = logging.getLogger(__name__)


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
        forget_study: Callable[[str], None],
    ) -> None:
        """`forget_study`: deletes what is kept of the metadata of a study."""
        self.storages = storages
        self.index = index
        self.reading = reading
        self.room = room
        self.overwrite = overwrite
        self._strict = strict
        self._forget_study = forget_study
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

    def discard(self, new: NewInstance, added: Added) -> None:
        """Delete the blob that nobody needs any more, and what was made of it.

        What fails is found by `check`.
        """
        if added.discarded is not None:
            if added.discarded != new.blob:
                self._forget_study(new.parsed.study_uid)
            with contextlib.suppress(StorageError):
                self.storages.delete(added.discarded)

    def forget(self, blobs: Sequence[BlobRef], *, undone: bool) -> None:
        """Delete blobs whose commit to the index failed, unless it went through after all.

        `undone`: it certainly did not, so that nobody needs to be asked.
        """
        try:
            known = set() if undone else self.index.knows(blobs)
        except IndexFailure:
            log.warning("%d blobs are left to `check`: the index does not answer", len(blobs))
            return
        for blob in blobs:
            if blob not in known:
                with contextlib.suppress(StorageError):
                    self.storages.delete(blob)
