"""Deletes resources: first the index forgets them, then the bytes go."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import Index
from dicomweb_server.interfaces.storage import StorageError
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services.storages import Storages


@dataclass(frozen=True)
class RemovalService:
    """Deletes studies, series and instances."""

    index: Index
    storages: Storages

    def delete(self, resource: Resource, scope: Scope) -> int:
        """How many instances were deleted; bytes that cannot be unlinked are found by `check`."""
        blobs = self.index.delete(resource, scope)
        for blob in blobs:
            with contextlib.suppress(StorageError):
                self.storages.delete(blob)
        return len(blobs)
