"""Where extensions and services keep what must last: documents, leases, logs."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from dicomweb_server.interfaces.provider import Provider


class StateError(Exception):
    """The state store cannot be reached or cannot write."""


class Conflict(StateError):
    """The document has another version than the caller believed."""


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON value under a key; `version` counts its changes from 1."""

    key: str
    value: Any
    version: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a log; `seq` grows and is never reused."""

    seq: int
    value: Any


class StateStore(Provider, ABC):
    """Namespaced documents with compare-and-swap, leases with expiry, append-only logs.

    A namespace belongs to one extension or service. Every method MUST be safe to call from many
    threads, processes and nodes, and MUST raise `StateError` when the store cannot be reached.
    """

    @abstractmethod
    def get(self, namespace: str, key: str) -> Document | None:
        """The document, or None."""

    @abstractmethod
    def put(self, namespace: str, key: str, value: Any, *, expected: int | None = None) -> Document:
        """Write; MUST raise `Conflict` unless the version is `expected` (0: must not exist).

        None writes whatever is there.
        """

    @abstractmethod
    def delete(self, namespace: str, key: str) -> bool:
        """Whether there was something to delete."""

    @abstractmethod
    def documents(self, namespace: str, prefix: str = "") -> list[Document]:
        """Documents whose key begins with `prefix`, ordered by key."""

    @abstractmethod
    def acquire(self, lease: str, holder: str, seconds: float) -> bool:
        """Take or prolong a lease; False while somebody else holds it and it has not expired."""

    @abstractmethod
    def release(self, lease: str, holder: str) -> None:
        """Give a lease back; nothing happens when `holder` does not hold it."""

    @abstractmethod
    def append(self, log: str, value: Any) -> int:
        """Add an entry; its sequence number."""

    @abstractmethod
    def read(self, log: str, *, after: int = 0, limit: int = 100) -> list[Entry]:
        """Entries with a greater sequence number than `after`, oldest first."""


def kept_secret(store: StateStore, namespace: str, key: str) -> bytes:
    """A random key of 32 bytes that all processes share: whichever asks first makes it."""
    found = store.get(namespace, key)
    if found is None:
        try:
            found = store.put(namespace, key, secrets.token_hex(32), expected=0)
        except Conflict:
            found = store.get(namespace, key)
    if found is None:
        raise Conflict(f"the key {key} of {namespace} was deleted while it was made")
    return bytes.fromhex(str(found.value))
