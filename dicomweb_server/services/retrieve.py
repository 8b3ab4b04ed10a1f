"""Retrieve instances (PS3.18 10.4): as they are stored, or in another uncompressed syntax."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from dicomweb_server.dicom import (
    CONVERTIBLE_SYNTAXES,
    DicomError,
    PixelData,
    TagDictionary,
    can_convert,
    convert,
)
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import Index, InstanceRecord
from dicomweb_server.ps318.media_types import EXPLICIT_VR_LITTLE_ENDIAN
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services import blobs
from dicomweb_server.services.storages import Storages

log = logging.getLogger(__name__)

AS_STORED = "*"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One instance on its way out: in the syntax `target`, converted unless `as_stored`."""

    record: InstanceRecord
    target: str
    as_stored: bool


@dataclass(frozen=True)
class RetrieveService:
    """Finds instances and delivers their bytes."""

    index: Index
    storages: Storages
    dictionary: TagDictionary

    def records(self, resource: Resource, scope: Scope) -> Iterator[InstanceRecord]:
        """The instances of a resource in a stable order."""
        return self.index.instances(resource, scope)

    def possible_syntaxes(self, resource: Resource, scope: Scope) -> frozenset[str]:
        """The transfer syntaxes in which every instance of a resource can be delivered."""
        stored = self.index.transfer_syntaxes(resource, scope)
        choices = [CONVERTIBLE_SYNTAXES if can_convert(s, s) else frozenset({s}) for s in stored]
        return frozenset.intersection(*choices) if choices else frozenset()

    def delivery(self, record: InstanceRecord, syntax: str | None) -> Delivery:
        """How an instance goes out when `syntax` was negotiated.

        None is the default (PS3.18 8.7.3.5.2): Explicit VR Little Endian, unless that needs a
        codec; "*" is whatever is stored.
        """
        stored = record.transfer_syntax
        if syntax == AS_STORED:
            return Delivery(record, stored, as_stored=True)
        convertible = can_convert(stored, stored)
        if syntax is None:
            syntax = EXPLICIT_VR_LITTLE_ENDIAN if convertible else stored
        # What came without preamble is only sent so to who asks for the stored bytes.
        as_stored = syntax == stored and (not convertible or self._is_part_10(record))
        return Delivery(record, syntax, as_stored)

    def _is_part_10(self, record: InstanceRecord) -> bool:
        """Whether the file begins as PS3.10 7.1 wants it."""
        return blobs.reader(self.storages, record)(128, 4) == b"DICM"

    def at_best(self, delivery: Delivery) -> tuple[Delivery, Iterator[bytes]]:
        """The bytes as in `content`, and what they are.

        That is the stored file if it is too damaged to be converted.
        """
        converted = self.content(delivery)
        try:
            first = next(converted, b"")
        except DicomError as error:
            record = delivery.record
            log.warning("%s is sent as it is stored: %s", record.sop_uid, error)
            stored = Delivery(record, record.transfer_syntax, as_stored=True)
            return stored, blobs.stream(self.storages, record)
        return delivery, chain((first,), converted)

    def content_at_best(self, delivery: Delivery) -> Iterator[bytes]:
        """As `content`; the stored bytes if the file is too damaged to be converted."""
        return self.at_best(delivery)[1]

    def as_file(self, delivery: Delivery) -> Iterator[bytes]:
        """As `content_at_best`, and always with preamble and prefix (PS3.10, 7.1)."""
        record = delivery.record
        if not delivery.as_stored or self._is_part_10(record):
            return self.content_at_best(delivery)
        if can_convert(record.transfer_syntax, delivery.target):
            return self.content_at_best(Delivery(record, delivery.target, as_stored=False))
        stored = self.content_at_best(delivery)
        first = next(stored, b"")
        # A compressed file tells its transfer syntax, so that group 0002 is what it begins with.
        prefix = b"" if first.startswith(b"DICM") else b"DICM"
        return chain((bytes(128), prefix, first), stored)

    def content(self, delivery: Delivery) -> Iterator[bytes]:
        """The bytes of the file; raises `BlobNotFound` before the first when they are gone."""
        record = delivery.record
        if delivery.as_stored:
            return blobs.stream(self.storages, record)
        details = self.index.details(record.row)
        packed = details.pixel_data if details else None
        return convert(
            blobs.reader(self.storages, record),
            record.size,
            record.transfer_syntax,
            delivery.target,
            PixelData.from_bytes(packed) if packed else None,
            dictionary=self.dictionary,
        )
