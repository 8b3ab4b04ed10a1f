"""The configured storages by alias."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dicomweb_server.config import ConfigError
from dicomweb_server.interfaces.index import BlobEntry, BlobRef
from dicomweb_server.interfaces.storage import BlobNotFound, BlobStore, StorageError
from dicomweb_server.services.derived import DerivedCache


@dataclass(frozen=True)
class Storages:
    """Finds the storage that a blob lies in; every row remembers the alias of its storage."""

    by_alias: Mapping[str, BlobStore]
    default_alias: str
    derived: DerivedCache | None = None
    """What was made from the pixels of instances."""

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

    def prepare(self, used: Collection[str]) -> None:
        """Make the storages ready; `used` are the aliases that the index knows instances in.

        Raises `ConfigError` when one of those is not configured, or has lost what it held.
        """
        missing = sorted(set(used) - self.by_alias.keys())
        if missing:
            raise ConfigError(
                f"Storages: instances lie in the storage {missing[0]!r}, which is not configured; "
                f"configured are {', '.join(sorted(self.by_alias))}"
            )
        for alias, store in self.by_alias.items():
            try:
                store.prepare(fresh=alias not in used)
            except StorageError as error:
                raise ConfigError(f"Storages.{alias}: {error}") from error

    def is_whole(self, entry: BlobEntry) -> bool:
        """Whether a blob is there in its full length; raises `StorageError` if nobody knows."""
        try:
            return self.of(entry.ref).size(entry.ref.key) == entry.size
        except BlobNotFound:
            return False

    def delete(self, ref: BlobRef) -> None:
        """Forget a blob, and what was made from it."""
        if self.derived is not None:
            self.derived.forget(ref)
        self.of(ref).delete(ref.key)
