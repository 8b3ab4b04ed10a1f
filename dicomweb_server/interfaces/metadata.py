"""Ways to answer Retrieve Metadata (PS3.18 10.4)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dicomweb_server.interfaces.provider import Provider

if TYPE_CHECKING:
    from dicomweb_server.interfaces.auth import Scope
    from dicomweb_server.interfaces.index import InstanceRecord
    from dicomweb_server.ps318.paths import Resource


class MetadataMode(Provider, ABC):
    """Yields one DICOM JSON object per instance; cache, ETag, gzip and XML belong to the core."""

    @property
    def fingerprint(self) -> str:
        """A text that changes with every option of the mode that changes its answers."""
        return self.name

    @abstractmethod
    def fragments(self, resource: Resource, scope: Scope) -> Iterator[tuple[InstanceRecord, bytes]]:
        """Each instance of the resource in a stable order, with its JSON object.

        A raw byte 0x1F in the JSON stands for the URL of the instance's bulk data. Nothing is
        yielded for a resource that does not exist. MUST NOT hold more than a page in memory.
        """
