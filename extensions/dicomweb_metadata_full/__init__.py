"""Metadata mode `Full`: every attribute of every instance, from the index; no file is opened."""

from __future__ import annotations

from collections.abc import Iterator

from dicomweb_server import hookimpl
from dicomweb_server.context import ServerContext
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.interfaces.metadata import MetadataMode
from dicomweb_server.ps318.paths import Resource


class FullMetadata(MetadataMode):
    """What the reader found in each file, as it was written down when the file was stored."""

    name = "Full"

    def bind(self, context: ServerContext) -> None:
        self._index = context.index

    def fragments(self, resource: Resource, scope: Scope) -> Iterator[tuple[InstanceRecord, bytes]]:
        return self._index.headers(resource, scope)


@hookimpl
def register_metadata_modes() -> list[type[MetadataMode]]:
    return [FullMetadata]
