"""Metadata mode `MainDicomTags`: the main attributes of each instance and of what it belongs to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import orjson

from dicomweb_server import hookimpl
from dicomweb_server.context import ServerContext
from dicomweb_server.dicom import load_header
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.interfaces.metadata import MetadataMode
from dicomweb_server.ps318.attributes import SPECIFIC_CHARACTER_SET, UTF8, creators_of
from dicomweb_server.ps318.paths import Resource


class MainDicomTagsMetadata(MetadataMode):
    """The usual main attributes and those of `ExtraMainDicomTags`; no bulk data."""

    name = "MainDicomTags"

    def bind(self, context: ServerContext) -> None:
        self._index = context.index
        self._tags = context.main_tags.all - {SPECIFIC_CHARACTER_SET}
        self._digest = hashlib.sha256(" ".join(sorted(self._tags)).encode()).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        return f"{self.name} {self._digest}"

    def fragments(self, resource: Resource, scope: Scope) -> Iterator[tuple[InstanceRecord, bytes]]:
        for record, header in self._index.headers(resource, scope):
            yield record, self._projected(header)

    def _projected(self, header: bytes) -> bytes:
        everything = load_header(header)
        kept = {
            tag: element
            for tag, element in everything.items()
            if tag in self._tags and "BulkDataURI" not in element
        }
        # A private element says nothing without who reserved its block (PS3.5 7.8.1).
        kept |= {tag: everything[tag] for tag in creators_of(kept) if tag in everything}
        return orjson.dumps(kept | {SPECIFIC_CHARACTER_SET: UTF8}, option=orjson.OPT_SORT_KEYS)


@hookimpl
def register_metadata_modes() -> list[type[MetadataMode]]:
    return [MainDicomTagsMetadata]
