"""The configured storages by alias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dicomweb_server.interfaces.index import BlobRef
from dicomweb_server.interfaces.storage import BlobStore, StorageError


@dataclass(frozen=True)
class Storages:
    """Finds the storage that a blob lies in; every row remembers the alias of its storage."""

    by_alias: Mapping[str, BlobStore]
    default_alias: str

    @property
    def default(self) -> BlobStore:
        """The storage that new instances go to."""
        return self.by_alias[self.default_alias]

    def of(self, ref: BlobRef) -> BlobStore:
        """The storage of a blob; raises `StorageError` when its alias is not configured."""
        store = self.by_alias.get(ref.storage)
        if store is None:
            raise StorageError(
                f"an instance lies in the storage {ref.storage!r}, which is not configured; "
                f"configured are {', '.join(sorted(self.by_alias))}"
            )
        return store

    def delete(self, ref: BlobRef) -> None:
        """Forget a blob."""
        self.of(ref).delete(ref.key)
