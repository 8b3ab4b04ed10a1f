"""Bulk data (PS3.18 10.4.1.1.5): the value of any attribute, as a range of the stored file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dicomweb_server.dicom import (
    DicomError,
    PixelData,
    TagDictionary,
    find_value,
    load_header,
    normal_path,
    open_view,
)
from dicomweb_server.dicom.encode import swap_words
from dicomweb_server.dicom.values import WORD_SIZES
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import Index, InstanceRecord
from dicomweb_server.ps318.errors import BadRequest
from dicomweb_server.ps318.media_types import EXPLICIT_VR_BIG_ENDIAN
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services import blobs
from dicomweb_server.services.storages import Storages


@dataclass(frozen=True, slots=True)
class BulkValue:
    """One value: `parts` are the byte ranges that make it up.

    `compressed`: it is encapsulated Pixel Data, which go out as `pixel_values` says.
    """

    record: InstanceRecord
    parts: tuple[tuple[int, int], ...]
    word: int = 1
    compressed: bool = False

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(length for _, length in self.parts)


@dataclass(frozen=True)
class BulkService:
    """Finds values and reads them."""

    index: Index
    storages: Storages
    dictionary: TagDictionary

    def find(self, resource: Resource, path: str, scope: Scope) -> list[BulkValue]:
        """The value at a path in each instance of the resource's UIDs; empty when not there.

        Raises `BadRequest` when the path cannot be one.
        """
        try:
            wanted = normal_path(path, self.dictionary)
        except ValueError as error:
            raise BadRequest(str(error)) from error
        if wanted is None:
            return []
        found = (self.value(r, wanted) for r in self.index.instances(resource, scope))
        return [value for value in found if value is not None]

    def everything(self, resource: Resource, scope: Scope) -> Iterator[tuple[str, BulkValue]]:
        """Every bulk value of the resource's instances, with its path; pixel data too."""
        for record, header in self.index.headers(resource, scope):
            attributes = load_header(header)
            for path in bulk_paths(attributes):
                value = self.value(record, path)
                if value is not None:
                    yield path, value

    def pixel_data(
        self, resource: Resource, scope: Scope
    ) -> Iterator[tuple[InstanceRecord, PixelData]]:
        """The instances of a resource that have pixel data, and where it lies."""
        for record in self.index.instances(resource, scope):
            details = self.index.details(record.row)
            if details is not None and details.pixel_data is not None:
                yield record, PixelData.from_bytes(details.pixel_data)

    def native(self, record: InstanceRecord, pixels: PixelData) -> BulkValue:
        """Pixel data that are not encapsulated."""
        return BulkValue(record, ((pixels.offset, pixels.length),), _word(record, pixels.vr))

    def value(self, record: InstanceRecord, path: str) -> BulkValue | None:
        """The value at a path of one instance; None when it is not there."""
        details = self.index.details(record.row)
        if details is None:
            return None
        if details.pixel_data is not None:
            pixels = PixelData.from_bytes(details.pixel_data)
            if pixels.encapsulated and pixels.tag.lower() == path:
                ranges = tuple((part.offset, part.length) for part in pixels.fragments)
                return BulkValue(record, ranges, compressed=True)
        for known, vr, offset, length in details.located:
            if known == path:
                return BulkValue(record, ((offset, length),), _word(record, vr))
        return self._walk(record, path)

    def _walk(self, record: InstanceRecord, path: str) -> BulkValue | None:
        """A value that the index does not know: the file is walked once more."""
        view = open_view(blobs.reader(self.storages, record), record.size)
        try:
            found = find_value(view, path, dictionary=self.dictionary)
        except DicomError:
            return None
        if found is None:
            return None
        return BulkValue(record, ((found.offset, found.length),), _word(record, found.vr))

    def read(self, value: BulkValue, number: int = 0) -> blobs.Read:
        """Reads ranges of one of the parts as if it were a file, in little endian order."""
        source = blobs.data_reader(self.storages, value.record)
        start, length = value.parts[number]
        if value.word == 1:
            return lambda offset, count: source(start + offset, min(count, length - offset))
        return _swapped(source, start, length, value.word)

    def part(self, value: BulkValue, number: int) -> Iterator[bytes]:
        """The bytes of one of the parts."""
        return blobs.stream_range(self.read(value, number), 0, value.parts[number][1])

    def load(self, record: InstanceRecord) -> Callable[[str], bytes]:
        """Loads values of one instance by path: for metadata with inline binary values."""

        def load(path: str) -> bytes:
            value = self.value(record, path)
            if value is None:
                return b""
            return b"".join(blobs.stream_range(self.read(value), 0, value.size))

        return load


def bulk_paths(attributes: Mapping[str, Any]) -> Iterator[str]:
    """The paths of all values that a header in the DICOM JSON model names by reference."""
    for element in attributes.values():
        if "BulkDataURI" in element:
            yield str(element["BulkDataURI"])
        elif element.get("vr") == "SQ":
            for item in element.get("Value", ()):
                yield from bulk_paths(item)


def _word(record: InstanceRecord, vr: str) -> int:
    big = record.transfer_syntax == EXPLICIT_VR_BIG_ENDIAN
    return WORD_SIZES.get(vr, 1) if big else 1


def _swapped(source: blobs.Read, start: int, length: int, word: int) -> blobs.Read:
    """Reads big endian words in little endian order; ranges need not start at a word."""

    def read(offset: int, count: int) -> bytes:
        first = offset - offset % word
        last = min(-(-(offset + count) // word) * word, length)
        data = swap_words(source(start + first, last - first), word)
        return data[offset - first : offset - first + min(count, length - offset)]

    return read
