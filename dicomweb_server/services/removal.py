"""Deletes resources: first the index forgets them, then the bytes go."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import BlobRef, Index, PatientRecord
from dicomweb_server.interfaces.storage import StorageError
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services.storages import Storages

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Removed:
    """How many instances were deleted, and how many of their files could not be."""

    instances: int
    left: int


@dataclass(frozen=True)
class RemovalService:
    """Deletes studies, series and instances."""

    index: Index
    storages: Storages
    forget_study: Callable[[str | None], None]
    """Deletes what is kept of the metadata of a study."""

    def delete(self, resource: Resource, scope: Scope) -> Removed:
        """What became of a resource; bytes that cannot be unlinked now are found by `check`."""
        removed = self._forget(self.index.delete(resource, scope))
        if removed.instances:
            self.forget_study(resource.study)
        return removed

    def delete_patient(self, record: PatientRecord) -> Removed:
        """What became of a patient; nothing when something of it changed meanwhile."""
        studies = self.index.studies_of(record)
        removed = self._forget(self.index.delete_patient(record))
        for study in studies if removed.instances else ():
            self.forget_study(study)
        return removed

    def _forget(self, blobs: Sequence[BlobRef]) -> Removed:
        left = 0
        for blob in blobs:
            try:
                self.storages.delete(blob)
            except StorageError as error:
                left += 1
                log.warning("the file %s of a deleted instance is left: %s", blob.key, error)
        return Removed(len(blobs), left)
