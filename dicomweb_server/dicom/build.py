"""A Part 10 file from a data set in the DICOM JSON model and bulk data that lie elsewhere.

The way back from what `reader` does (PS3.10, 7; PS3.5, 7 and A.4): the header is made in memory,
bulk data stay places in a stream until the file is read.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from struct import pack
from typing import Any, Final

from .elements import LONG_VRS, UNDEFINED_LENGTH
from .encode import Target, encode_header
from .errors import DicomError
from .instance import MAX_DEPTH, first_text
from .meta import Meta, MetaElement, write_meta
from .pixel_data import ByteRange
from .tags import STANDARD, VRS, TagDictionary, describe, is_private, is_private_creator
from .to_bytes import ValueWriter
from .transfer_syntaxes import EXPLICIT_LITTLE
from .values import BULK_VRS
from .version import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from .views import ReadRange

Attributes = Mapping[str, Any]

CHARACTER_SET: Final = "00080005"
UTF8: Final = {"vr": "CS", "Value": ["ISO_IR 192"]}
LARGEST_ITEM: Final = 0xFFFFFFFE
"""Bytes of one element or fragment at most: its length has four bytes, and is even."""
_CHUNK: Final = 1 << 20
_TOO_DEEP: Final = f"Items lie more than {MAX_DEPTH} deep in each other."
_TARGET: Final = Target(implicit=False, order="<")
_PIXEL_DATA: Final = 0x7FE00010
_SQ_END: Final = pack("<HHI", 0xFFFE, 0xE0DD, 0)
_HEX: Final = re.compile("[0-9a-fA-F]{8}")
_OFFSET_TABLES: Final = frozenset(("7FE00001", "7FE00002"))
# Elements of group 0002 belong to a file; a request has no file yet (PS3.18, 10.5.2).
_NOT_IN_A_DATA_SET: Final = frozenset(("0000", "0002"))


@dataclass(frozen=True, slots=True)
class Place:
    """Bulk data: byte ranges of a stream, in order. Each is a frame where they are pixel data.

    `offsets` and `lengths` are arrays, for there may be many frames.
    """

    offsets: array[int] = field(default_factory=lambda: array("Q"))
    lengths: array[int] = field(default_factory=lambda: array("Q"))

    @property
    def size(self) -> int:
        """Bytes of all ranges."""
        return sum(self.lengths)

    def ranges(self) -> Iterator[ByteRange]:
        """The ranges in order."""
        return (ByteRange(*pair) for pair in zip(self.offsets, self.lengths, strict=True))

    def add(self, offset: int, length: int) -> None:
        """One more range behind the others."""
        self.offsets.append(offset)
        self.lengths.append(length)


@dataclass(frozen=True, slots=True)
class Encapsulated:
    """Pixel data of a compressed transfer syntax: each range of `place` is a frame (PS3.5, A.4).

    `video`: one stream of all frames instead; it may have several fragments, and no table.
    """

    place: Place
    video: bool = False


Bulk = Callable[[str, str, str], Place | Encapsulated]
"""``bulk(path, key, uri)``: where the value of a BulkDataURI lies; raises `DicomError`.

`path` and `key` say where the element is: see `tags.describe`.
"""


class _Fragments:
    """The items of encapsulated data behind the offset table, padded to even lengths."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def read(self, read: ReadRange) -> Iterator[bytes]:
        for offset, length in self._place.ranges():
            yield pack("<HHI", 0xFFFE, 0xE000, length + length % 2)
            yield from _chunks(read, offset, length)
            if length % 2:
                yield b"\0"


class _Pieces:
    """Bytes and places, in order; neighbouring bytes become one."""

    def __init__(self) -> None:
        self.parts: list[bytearray | Place | _Fragments] = []
        self.size = 0

    def add(self, data: bytes) -> None:
        if not self.parts or not isinstance(self.parts[-1], bytearray):
            self.parts.append(bytearray())
        last = self.parts[-1]
        assert isinstance(last, bytearray)  # noqa: S101 # the line above made it one
        last += data
        self.size += len(data)

    def add_place(self, place: Place) -> None:
        if place.size:
            self.parts.append(place)
            self.size += place.size

    def add_fragments(self, place: Place) -> None:
        """At the end of a file only: their size does not count."""
        self.parts.append(_Fragments(place))

    def extend(self, others: _Pieces) -> None:
        for part in others.parts:
            if isinstance(part, bytearray):
                self.add(bytes(part))
            elif isinstance(part, Place):
                self.add_place(part)

    def read(self, read: ReadRange) -> Iterator[bytes]:
        for part in self.parts:
            if isinstance(part, Place):
                for offset, length in part.ranges():
                    yield from _chunks(read, offset, length)
            elif isinstance(part, _Fragments):
                yield from part.read(read)
            else:
                yield bytes(part)


def _chunks(read: ReadRange, offset: int, length: int) -> Iterator[bytes]:
    end = offset + length
    while offset < end:
        data = read(offset, min(_CHUNK, end - offset))
        if not data:
            raise DicomError(f"Bulk data end {end - offset} bytes too early.")
        offset += len(data)
        yield data


def build_file(
    attributes: Attributes,
    transfer_syntax: str,
    bulk: Bulk,
    read: ReadRange,
    *,
    dictionary: TagDictionary = STANDARD,
) -> Iterator[bytes]:
    """The bytes of a Part 10 file in explicit VR little endian, or compressed.

    Text that is not ASCII is written in UTF-8, and Specific Character Set says so. Group lengths,
    groups 0000 and 0002 and offset tables of the data set are left out: they belong to an encoding.

    Args:
        attributes: the data set in the DICOM JSON model (PS3.18, F.2).
        transfer_syntax: EXPLICIT_LITTLE, or that of the `Encapsulated` pixel data.
        bulk: finds bulk data.
        read: gives the bytes of places.

    Raises:
        DicomError: a value cannot be written, or `bulk` finds none; before the first bytes.
    """
    pieces = _DataSetWriter(attributes, bulk, dictionary).pieces()

    def parts() -> Iterator[bytes]:
        yield write_meta(_meta(attributes), transfer_syntax or EXPLICIT_LITTLE)
        yield from pieces.read(read)

    return parts()


def _meta(attributes: Attributes) -> Meta:
    texts = {
        0x0002: ("UI", first_text(dict(attributes), "00080016")),
        0x0003: ("UI", first_text(dict(attributes), "00080018")),
        0x0012: ("UI", IMPLEMENTATION_CLASS_UID),
        0x0013: ("SH", IMPLEMENTATION_VERSION),
    }
    elements = {
        number: MetaElement(vr, _even(text.encode("ascii", "replace"), vr))
        for number, (vr, text) in texts.items()
    }
    return Meta(bytes(128), elements, 0)


def _even(value: bytes, vr: str) -> bytes:
    return value + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)


class _DataSetWriter:
    """Writes one data set."""

    def __init__(self, attributes: Attributes, bulk: Bulk, dictionary: TagDictionary) -> None:
        self._attributes = attributes
        self._bulk = bulk
        self._dictionary = dictionary
        # JSON and XML come in UTF-8; a file that says something else says it of ASCII only.
        self._in_utf8 = not _is_ascii(attributes)
        self._values = ValueWriter("<", str.encode)

    def pieces(self) -> _Pieces:
        return self._data_set(self._attributes, "", 0)

    def _data_set(self, attributes: Attributes, path: str, depth: int) -> _Pieces:
        if depth > MAX_DEPTH:
            raise DicomError(_TOO_DEEP)
        if self._in_utf8 and (not path or CHARACTER_SET in attributes):
            attributes = {**attributes, CHARACTER_SET: UTF8}
        out = _Pieces()
        for key, tag in sorted(_tags(attributes, path), key=lambda pair: pair[1]):
            if key[:4] not in _NOT_IN_A_DATA_SET and tag & 0xFFFF and not _is_table(key, path):
                self._element(out, tag, attributes, key, path, depth)
        return out

    def _element(
        self, out: _Pieces, tag: int, around: Attributes, key: str, path: str, depth: int
    ) -> None:
        element, key_up = around[key], f"{tag:08X}"
        if not isinstance(element, Mapping):
            raise DicomError(f"{describe(path, key_up)} is {str(element)[:60]!r}, not an object.")
        vr = self._vr(tag, element, around, path)
        uri = element.get("BulkDataURI")
        if vr == "SQ":
            self._sequence(out, tag, element, path, depth)
        elif uri is None:
            value = _Pieces()
            value.add(self._values.write(path, key_up, vr, element))
            self._put(out, tag, vr, value, path)
        elif "Value" in element or "InlineBinary" in element:
            raise DicomError(f"{describe(path, key_up)} has a BulkDataURI and a value.")
        else:
            self._bulk_value(out, tag, vr, str(uri), path)

    def _vr(self, tag: int, element: Mapping[str, Any], around: Attributes, path: str) -> str:
        vr = element.get("vr")
        if vr is None:
            creator = _creator(tag, around)
            vr = self._dictionary.vr(tag, creator).partition(" or ")[0]
        if not isinstance(vr, str) or vr not in VRS:
            raise DicomError(
                f"{describe(path, f'{tag:08X}')} has the VR {str(vr)[:20]!r}; possible are "
                f"{', '.join(sorted(VRS))}."
            )
        return vr

    def _sequence(
        self, out: _Pieces, tag: int, element: Mapping[str, Any], path: str, depth: int
    ) -> None:
        key = f"{tag:08X}"
        items = element.get("Value") or ()
        if "InlineBinary" in element or "BulkDataURI" in element or not _are_items(items):
            raise DicomError(
                f"{describe(path, key)} is a sequence, whose Value is a list of objects."
            )
        value = _Pieces()
        for number, item in enumerate(items, 1):
            body = self._data_set(item or {}, f"{path}{key.lower()}/{number}/", depth + 1)
            _fits(body.size, path, key)
            value.add(pack("<HHI", 0xFFFE, 0xE000, body.size))
            value.extend(body)
        self._put(out, tag, "SQ", value, path)

    def _bulk_value(self, out: _Pieces, tag: int, vr: str, uri: str, path: str) -> None:
        found = self._bulk(path, f"{tag:08X}", uri)
        if isinstance(found, Encapsulated):
            _encapsulate(out, tag, found)
            return
        value = _Pieces()
        value.add_place(found)
        if found.size % 2:
            value.add(b"\0" if vr in BULK_VRS or vr == "UI" else b" ")
        self._put(out, tag, vr, value, path)

    def _put(self, out: _Pieces, tag: int, vr: str, value: _Pieces, path: str) -> None:
        if tag == _PIXEL_DATA and not path and vr == "UN":
            vr = "OW"
        if value.size > 0xFFFF and vr not in LONG_VRS:
            vr = "UN"  # the length of the others has two bytes (PS3.5, 6.2.2)
        _fits(value.size, path, f"{tag:08X}")
        out.add(encode_header(tag, vr, value.size, _TARGET))
        out.extend(value)


def _fits(size: int, path: str, key: str) -> None:
    if size > LARGEST_ITEM:
        raise DicomError(
            f"{describe(path, key)} has {size} bytes; possible are {LARGEST_ITEM} (PS3.5, 7.1)."
        )


def _encapsulate(out: _Pieces, tag: int, found: Encapsulated) -> None:
    """Frames as fragments behind an offset table (PS3.5, A.4): one fragment is one frame."""
    place = _in_fragments(found)
    offsets, at = array("Q"), 0
    for length in place.lengths:
        offsets.append(at)
        at += 8 + length + length % 2
    extended = at > LARGEST_ITEM and not found.video
    if extended:
        # PS3.3, C.7.6.3.1.8: where the offsets have no room, they have a table of their own.
        for key, table in ((0x7FE00001, offsets), (0x7FE00002, place.lengths)):
            out.add(encode_header(key, "OV", 8 * len(table), _TARGET))
            out.add(_packed("Q", table))
    basic = b"" if extended or found.video else _packed("I", offsets)
    out.add(encode_header(tag, "OB", UNDEFINED_LENGTH, _TARGET))
    out.add(pack("<HHI", 0xFFFE, 0xE000, len(basic)) + basic)
    out.add_fragments(place)
    out.add(_SQ_END)


def _in_fragments(found: Encapsulated) -> Place:
    """Ranges that fit into a fragment each: a stream of video may be split, a frame may not."""
    place = Place()
    for offset, length in found.place.ranges():
        if length > LARGEST_ITEM and not found.video:
            raise DicomError(f"A frame has {length} bytes; possible are {LARGEST_ITEM}.")
        for start in range(0, length, LARGEST_ITEM):
            place.add(offset + start, min(LARGEST_ITEM, length - start))
    return place


def _packed(code: str, numbers: Iterable[int]) -> bytes:
    listed = list(numbers)
    return pack(f"<{len(listed)}{code}", *listed)


def _tags(attributes: Attributes, path: str) -> Iterator[tuple[str, int]]:
    """Each key with its number; those of one tag in two spellings are an error."""
    seen = set[int]()
    for key in attributes:
        tag = int(key, 16) if _HEX.fullmatch(key) else -1
        if tag < 0 or tag in seen:
            where = f" (in {path[:80]})" if path else ""
            raise DicomError(
                f"{str(key)[:40]!r}{where} stands twice or is no tag of eight hexadecimal digits."
            )
        seen.add(tag)
        yield key, tag


def _are_items(items: Any) -> bool:
    return isinstance(items, list | tuple) and all(
        item is None or isinstance(item, Mapping) for item in items
    )


def _is_table(key: str, path: str) -> bool:
    return not path and key in _OFFSET_TABLES


def _creator(tag: int, around: Attributes) -> str:
    if not is_private(tag) or is_private_creator(tag):
        return ""
    return first_text(dict(around), f"{tag >> 16:04X}00{(tag & 0xFFFF) >> 8:02X}")


def _is_ascii(value: Any, depth: int = 0) -> bool:
    if isinstance(value, str):
        return value.isascii()
    if depth > 3 * MAX_DEPTH + 9:  # an item is three objects or lists deep
        raise DicomError(_TOO_DEEP)
    if isinstance(value, Mapping):
        return all(_is_ascii(each, depth + 1) for each in value.values())
    return not isinstance(value, list) or all(_is_ascii(each, depth + 1) for each in value)
