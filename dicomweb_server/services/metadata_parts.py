"""Store requests of metadata and bulk data (PS3.18, 10.5.2 and 8.7): files are made of the parts.

All parts are kept until the request is complete; then each data set becomes a file that goes the
way of every other one. What belongs to no data set, and a data set that lacks a part, is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import orjson

from dicomweb_server.dicom import DicomError, Limits
from dicomweb_server.dicom.build import Encapsulated, Place, build_file
from dicomweb_server.dicom.instance import first_text
from dicomweb_server.dicom.tags import describe
from dicomweb_server.dicom.xml_model import from_native_xml
from dicomweb_server.ps318.media_types import (
    DICOM_JSON,
    DICOM_XML,
    OCTET_STREAM,
    modern_name,
    parse_or_none,
)
from dicomweb_server.ps318.store_response import CANNOT_UNDERSTAND, PROCESSING_FAILURE
from dicomweb_server.services.bulk_parts import BulkPart, BulkParts, NotStorable
from dicomweb_server.services.documents import check_document, take_document
from dicomweb_server.services.ingest import Batch
from dicomweb_server.services.pixel_parts import PixelParts, transfer_syntax_hints

METADATA_TYPES: Final = (DICOM_JSON, DICOM_XML)
_PIXELS: Final = ("7FE00010", "7FE00008", "7FE00009")
_DOCUMENT: Final = "00420011"
_AVAILABLE_SYNTAX: Final = "00083002"
_IDENTIFIERS: Final = ("0020000D", "0020000E", "00080018", "00080016")


class PartSink(Protocol):
    """Takes the bytes of one part of a request."""

    def write(self, data: bytes | memoryview) -> None:
        """The next bytes."""

    def finish(self) -> None:
        """All bytes were written."""

    def fail(self, message: str) -> None:
        """The bytes cannot be trusted."""


class MetadataParts:
    """The parts of one request. Close it after use.

    `lost` are sentences about what belongs to no instance, complete after `store`.
    """

    def __init__(self, batch: Batch, media_type: str, base: str) -> None:
        """`media_type`: of the metadata; `base`: the URL of the request."""
        self._batch = batch
        self._media_type = media_type
        self._bulk = BulkParts(base)
        self._data_sets: list[Any] = []
        self._bytes_left = batch.service.reading.limits.header_bytes
        self._seen = False
        self.lost: list[str] = []

    def close(self) -> None:
        """Nothing of the request is needed any more."""
        self._bulk.close()

    def part(self, headers: Mapping[str, str]) -> PartSink:
        """The next part, of which its headers are known (names in lower case)."""
        default = OCTET_STREAM if self._seen else self._media_type
        found = parse_or_none(headers.get("content-type", default))
        kind = modern_name(found.essence) if found else ""
        if kind not in METADATA_TYPES:
            return self._bulk.part(headers)
        if kind != self._media_type:
            return _Refused(self.lost, f"a part has the type {kind} among {self._media_type}")
        if self._seen and kind == DICOM_JSON:
            return _Refused(
                self.lost,
                "there is a second part with metadata; possible is one part with an array of all "
                "data sets (PS3.18, 8.7.3)",
            )
        self._seen = True
        return _MetadataSink(self._bytes_left, self._parse, self.lost)

    def _parse(self, data: bytes) -> None:
        """Take metadata in; a sentence in `lost` if they are none."""
        self._bytes_left -= len(data)
        limits = self._batch.service.reading.limits
        try:
            if self._media_type == DICOM_XML:
                self._data_sets.append(from_native_xml(data, limits))
            else:
                self._data_sets.extend(_from_json(data, limits))
        except DicomError as error:
            self.lost.append(str(error))

    def store(self) -> None:
        """All parts are there: pass each data set on to the batch as a file."""
        if not self._data_sets and not self.lost:
            self.lost.append("the metadata hold no data set")
        while self._data_sets:
            self._store_one(self._data_sets.pop(0))
        self.lost += [*self._bulk.lost, *self._bulk.unused()]

    def _store_one(self, data_set: Any) -> None:
        part = self._batch.part()
        identity = ("", "", "", "")
        try:
            attributes = _normal(data_set)
            identity = _identity(attributes)
            maker = _Instance(attributes, self._bulk)
            dictionary = self._batch.service.reading.dictionary
            maker.prepare()
            for chunk in build_file(
                *(maker.attributes, maker.transfer_syntax, maker.value, self._bulk.read),
                dictionary=dictionary,
            ):
                part.write(chunk)
        except NotStorable as problem:
            part.fail(problem.message, problem.failure, identity)
        except DicomError as error:
            part.fail(str(error), CANNOT_UNDERSTAND, identity)
        except OSError as error:
            part.fail(f"bulk data cannot be read back: {error}", PROCESSING_FAILURE, identity)
        part.finish()


class _Instance:
    """One instance: its attributes, and the transfer syntax that its pixel data ask for."""

    def __init__(self, attributes: dict[str, Any], bulk: BulkParts) -> None:
        hints = transfer_syntax_hints(attributes)
        # It tells what an archive can send (PS3.18, 10.6.3), not what the instance holds.
        attributes.pop(_AVAILABLE_SYNTAX, None)
        self.attributes = attributes
        self._bulk = bulk
        self._pixels = PixelParts(attributes, hints, bulk.read)
        self._taken: dict[str, Place | Encapsulated] = {}

    @property
    def transfer_syntax(self) -> str:
        """UID; settled by `prepare`."""
        return self._pixels.transfer_syntax

    def prepare(self) -> None:
        """Settle what the bulk data mean for other attributes, before the first is written."""
        for key in (*_PIXELS, _DOCUMENT):
            element = self.attributes.get(key, {})
            uri = element.get("BulkDataURI")
            inline = element.get("InlineBinary")
            if uri is not None:
                self._taken[key] = self._take(key, self._bulk.find(str(uri)))
            elif inline and key == _DOCUMENT:
                check_document(self.attributes)
            elif inline:
                self._pixels.check_inline(key, _decoded_size(str(inline)))

    def _take(self, key: str, part: BulkPart) -> Place | Encapsulated:
        if key == _DOCUMENT:
            return take_document(self.attributes, part)
        return self._pixels.take(key, part)

    def value(self, path: str, key: str, uri: str) -> Place | Encapsulated:
        """Where the value of an element lies: see `build.Bulk`."""
        if not path and key in self._taken:
            return self._taken[key]
        part = self._bulk.find(uri)
        if part.media_type != OCTET_STREAM or len(part.place.lengths) > 1:
            raise NotStorable(
                f"for {describe(path, key)} there are {len(part.place.lengths)} parts of the type "
                f"{part.media_type[:100]}; possible is one of the type {OCTET_STREAM}"
            )
        return part.place


class _MetadataSink:
    """Metadata while they arrive: they are kept in memory, so their size has a limit."""

    def __init__(self, limit: int, parse: Callable[[bytes], None], lost: list[str]) -> None:
        self._limit, self._parse, self._lost = limit, parse, lost
        self._data: bytearray | None = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        if self._data is None:
            return
        self._data += data
        if len(self._data) > self._limit:
            self.fail(
                "the metadata of the request are longer than MaximumHeaderSizeMB allows; send "
                "fewer instances at once, or large values as bulk data"
            )

    def finish(self) -> None:
        data, self._data = self._data, None
        if data is not None:
            self._parse(bytes(data))

    def fail(self, message: str) -> None:
        self._lost.append(message)
        self._data = None


class _Refused:
    """A part that nobody wants; its bytes are dropped."""

    def __init__(self, lost: list[str], why: str) -> None:
        lost.append(why)

    def write(self, data: bytes | memoryview) -> None:
        pass

    def finish(self) -> None:
        pass

    def fail(self, message: str) -> None:
        pass


def _from_json(data: bytes, limits: Limits) -> Sequence[Any]:
    """The data sets of one document: an array of them, or one (PS3.18, F.2)."""
    # Before parsing, for what is parsed takes twenty times as much memory.
    if data.count(b"{") + data.count(b"[") + data.count(b",") // 8 > 2 * limits.elements:
        raise DicomError(
            "The metadata of the request have more elements than MaximumHeaderElements allows; "
            "send fewer instances at once."
        )
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DicomError(f"The metadata are no JSON (PS3.18, F): {error}.") from error
    return found if isinstance(found, list) else [found]


def _normal(data_set: Any) -> dict[str, Any]:
    """A data set whose main attributes can be looked up, each an object."""
    if not isinstance(data_set, dict):
        raise DicomError(f"A data set is {str(data_set)[:60]!r}; possible is a JSON object.")
    attributes = {key.upper(): element for key, element in data_set.items()}
    if len(attributes) < len(data_set):
        raise DicomError("A data set has an attribute twice, in capital and small letters.")
    for key, element in attributes.items():
        if not isinstance(element, dict) or not isinstance(element.get("Value", []), list):
            raise DicomError(
                f"The attribute {key[:40]!r} is {str(element)[:60]!r}; possible is an object with "
                "vr and a list as Value (PS3.18, F.2.2)."
            )
    return attributes


def _decoded_size(base64: str) -> int:
    """Bytes of a text in base64, if it is any (RFC 4648, 4)."""
    text = "".join(base64.split())
    return len(text) // 4 * 3 - text[-2:].count("=")


def _identity(attributes: dict[str, Any]) -> tuple[str, str, str, str]:
    study, series, sop, sop_class = (first_text(attributes, key) for key in _IDENTIFIERS)
    return study, series, sop, sop_class
