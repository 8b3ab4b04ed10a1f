"""Retrieve instances (PS3.18 10.4): as they are stored, or in another transfer syntax."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias

from dicomweb_server.dicom import (
    CONVERTIBLE_SYNTAXES,
    DicomError,
    TagDictionary,
    can_convert,
    convert,
)
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import Index, InstanceRecord
from dicomweb_server.ps318.media_types import EXPLICIT_VR_LITTLE_ENDIAN
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services import blobs
from dicomweb_server.services.frames import FrameService
from dicomweb_server.services.spool import made_ahead
from dicomweb_server.services.storages import Storages
from dicomweb_server.services.transcoding import Transcoder

log = logging.getLogger(__name__)

AS_STORED = "*"
Wanted: TypeAlias = Sequence[str | None]
"""Transfer syntaxes that a client takes, the preferred one first: UIDs; "*" for whatever is stored;
None for the default."""
_BEGINNING = 4 << 20


@dataclass(frozen=True, slots=True)
class Delivery:
    """One instance on its way out: in the syntax `target`, converted unless `as_stored`.

    `strict`: the client does not take the stored bytes, which otherwise will do if the file turns
    out to be too damaged.
    """

    record: InstanceRecord
    target: str
    as_stored: bool
    strict: bool = False


@dataclass(frozen=True)
class RetrieveService:
    """Finds instances and delivers their bytes.

    `ahead`: bytes of an instance that are decoded before the first goes out.
    """

    index: Index
    storages: Storages
    dictionary: TagDictionary
    frames: FrameService
    transcoder: Transcoder
    ahead: int

    def records(self, resource: Resource, scope: Scope) -> Iterator[InstanceRecord]:
        """The instances of a resource in a stable order."""
        return self.index.instances(resource, scope)

    # --- which transfer syntaxes -----------------------------------------------------------

    def reachable(self, resource: Resource, scope: Scope) -> frozenset[str]:
        """The transfer syntaxes in which some instance of a resource may be had.

        Whether the pixels of each can be encoded in them shows `possible`.
        """
        stored = self.index.transfer_syntaxes(resource, scope)
        return frozenset[str]().union(*(self._reachable(each) for each in stored))

    def _reachable(self, stored: str) -> frozenset[str]:
        if not (can_convert(stored, stored) or self.frames.decodes(stored)):
            return frozenset({stored})
        return self.transcoder.targets | {stored}

    def possible(self, records: Iterable[InstanceRecord]) -> frozenset[str]:
        """The transfer syntaxes in which each of the instances can be had; damage shows later."""
        choices = [self._choices(record) for record in records]
        return frozenset.intersection(*choices) if choices else frozenset()

    def _choices(self, record: InstanceRecord) -> frozenset[str]:
        stored = record.transfer_syntax
        reachable = self._reachable(stored)
        image = self.frames.image(record)
        if image is None:
            return reachable
        choices = self.transcoder.choices(image) | {stored}
        return choices | CONVERTIBLE_SYNTAXES if can_convert(stored, stored) else choices

    def obstacles(self, records: Iterable[InstanceRecord], wanted: Wanted) -> list[InstanceRecord]:
        """Those of the instances that cannot be had in any of the transfer syntaxes."""
        return [record for record in records if not any(self._can(record, each) for each in wanted)]

    def _can(self, record: InstanceRecord, syntax: str | None) -> bool:
        stored = record.transfer_syntax
        if syntax in (None, AS_STORED, stored) or can_convert(stored, syntax):
            return True
        image = self.frames.image(record)
        if image is None:
            return syntax in self._reachable(stored)
        return syntax in self.transcoder.choices(image)

    def delivery(self, record: InstanceRecord, wanted: Wanted) -> Delivery:
        """How an instance goes out when transfer syntaxes were negotiated: the first possible one.

        None is the default (PS3.18 8.7.3.5.2): Explicit VR Little Endian, where the frames can be
        decoded; "*" is whatever is stored.
        """
        stored = record.transfer_syntax
        syntax = self._best(record, wanted)
        if syntax == AS_STORED:
            return Delivery(record, stored, as_stored=True)
        convertible = can_convert(stored, stored)
        strict = not any(each in (None, AS_STORED, stored) for each in wanted)
        if syntax is None:
            readable = convertible or self.frames.decodes(stored)
            syntax = EXPLICIT_VR_LITTLE_ENDIAN if readable else stored
        # What came without preamble is only sent so to who asks for the stored bytes.
        as_stored = syntax == stored and (not convertible or self._is_part_10(record))
        return Delivery(record, syntax, as_stored, strict)

    def _best(self, record: InstanceRecord, wanted: Wanted) -> str | None:
        if len(wanted) == 1:
            return wanted[0]
        return next((each for each in wanted if self._can(record, each)), wanted[0])

    def _is_part_10(self, record: InstanceRecord) -> bool:
        """Whether the file begins as PS3.10 7.1 wants it."""
        return blobs.reader(self.storages, record)(128, 4) == b"DICM"

    # --- their bytes -----------------------------------------------------------------------

    def at_best(self, delivery: Delivery) -> tuple[Delivery, Iterator[bytes]]:
        """The bytes of an instance, and what they are: the first `ahead` are made already.

        That is the stored file if it is too damaged for what is wanted and the client did not ask
        for a certain syntax; then `DicomError` is raised. Raises `BlobNotFound` when the bytes are
        gone.
        """
        record = delivery.record
        if delivery.as_stored:
            return delivery, blobs.stream(self.storages, record)
        try:
            made, pieces = self._converted(delivery)
            return made, _named(delivery, pieces)
        except DicomError as error:
            if delivery.strict:
                raise _refusal(delivery, error) from error
            log.warning("%s is sent as it is stored: %s", record.sop_uid, error)
            stored = Delivery(record, record.transfer_syntax, as_stored=True)
            return stored, blobs.stream(self.storages, record)

    def content_at_best(self, delivery: Delivery) -> Iterator[bytes]:
        """The bytes of `at_best`."""
        return self.at_best(delivery)[1]

    def as_file(self, delivery: Delivery) -> Iterator[bytes]:
        """As `content_at_best`, and always with preamble and prefix (PS3.10, 7.1)."""
        record = delivery.record
        if not delivery.as_stored or self._is_part_10(record):
            return self.content_at_best(delivery)
        if can_convert(record.transfer_syntax, delivery.target):
            return self.content_at_best(replace(delivery, as_stored=False))
        stored = self.content_at_best(delivery)
        first = next(stored, b"")
        # A compressed file tells its transfer syntax, so that group 0002 is what it begins with.
        prefix = b"" if first.startswith(b"DICM") else b"DICM"
        return chain((bytes(128), prefix, first), stored)

    def _converted(self, delivery: Delivery) -> tuple[Delivery, Iterator[bytes]]:
        record, target = delivery.record, delivery.target
        read = blobs.reader(self.storages, record)
        image = self.frames.image(record)
        if image is not None and not (image.is_native and can_convert(target, target)):
            content = self.transcoder.transcode(image, read, record.size, target)
            return delivery, made_ahead(content, self.ahead)
        stored = record.transfer_syntax
        if not can_convert(stored, stored):  # a compressed syntax, and nothing that is compressed
            stored = EXPLICIT_VR_LITTLE_ENDIAN
        if not can_convert(target, target):
            target = EXPLICIT_VR_LITTLE_ENDIAN
        pixels = image.pixels if image is not None else None
        content = convert(read, record.size, stored, target, pixels, dictionary=self.dictionary)
        return replace(delivery, target=target), made_ahead(content, _BEGINNING)


def _named(delivery: Delivery, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same; what breaks them off later tells the instance too."""
    try:
        yield from pieces
    except DicomError as error:
        raise _refusal(delivery, error) from error


def _refusal(delivery: Delivery, error: DicomError) -> DicomError:
    """The same error, about an instance: it may be one of many."""
    record = delivery.record
    about = f"The instance {record.sop_uid} cannot be had in the transfer syntax {delivery.target}:"
    return DicomError(f"{about} {error} It is stored as {record.transfer_syntax}.")
