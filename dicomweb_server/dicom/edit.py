"""A Part 10 file with some attributes changed; all other bytes stay what they are.

What was changed is recorded in the Original Attributes Sequence (PS3.3, C.12.1.1.9).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from struct import error, pack, unpack_from
from typing import Any, Final, Literal

from pydicom.filereader import data_element_generator

from .beginning import DataSetStart, check_encoding
from .bounded import require_room
from .charset import Charset, charset_of, default_charset
from .elements import LONG_VRS, PIXEL_DATA_TAGS
from .encode import Target, encode_header
from .errors import DicomError, Truncated
from .instance import ParsedInstance
from .meta import MetaElement, meta_of, write_meta
from .pixel_data import ByteRange
from .source import Source
from .tags import describe, is_private, is_private_creator
from .to_bytes import ValueWriter
from .transcode import deflate
from .transfer_syntaxes import is_deflated, is_implicit
from .views import ReadRange, open_view

_CHUNK: Final = 1 << 20
_DEFERRED: Final = 4096
"""Bytes of a value that is not read when the elements are located."""
_CHARACTER_SET: Final = 0x00080005
_ORIGINAL_ATTRIBUTES: Final = 0x04000561
_SEQUENCE_END: Final = 0xFFFEE0DD
_OF_META: Final = {0x00080016: 0x0002, 0x00080018: 0x0003}
"""Attributes that group 0002 repeats."""
_STATEFUL: Final = frozenset(("shift_jis", "euc_kr", "gb2312"))
"""Codecs of which a file may use a part only, as its escape sequences say."""

Reason = Literal["COERCE", "CORRECT"]
Wanted = Mapping[int, Mapping[str, Any] | None]
Changes = Mapping[str, Mapping[str, Any] | None]
"""By tag ("00080080"): the element in the DICOM JSON model, or None to remove it."""


@dataclass(frozen=True, slots=True)
class Modification:
    """Who changed attributes and why: the other attributes of the Original Attributes Sequence.

    `source` is where the previous values came from, "" if unknown; `time` has its offset.
    """

    system: str
    reason: Reason
    time: datetime
    source: str = ""


def edit_file(
    read: ReadRange, size: int, instance: ParsedInstance, changes: Changes, why: Modification
) -> Iterator[bytes]:
    """The bytes of a file with changed attributes of its main data set, which it records.

    Bulk data and all attributes that are not named keep their bytes.

    Args:
        read: gives `length` bytes of the file from `offset`.
        size: bytes of the file.
        instance: what `DicomReader` found in it.
        changes: no pixel data, none of group 0002, and no Original Attributes Sequence.

    Raises:
        DicomError: a value cannot be written, or the file cannot be understood well enough.
    """
    wanted = _checked(changes)
    meta = meta_of(read, size)
    editor, tail = _open(read, meta.end, size, instance, wanted, why)
    elements = dict(meta.elements)
    for tag, number in _OF_META.items():
        if tag in wanted:
            elements[number] = MetaElement("UI", editor.value(tag))
    parts = chain(editor.edited(), tail)
    head = write_meta(meta._replace(elements=elements), instance.transfer_syntax)
    return chain([head], deflate(parts) if is_deflated(instance.transfer_syntax) else parts)


def _open(
    read: ReadRange,
    start: int,
    size: int,
    instance: ParsedInstance,
    wanted: Wanted,
    why: Modification,
) -> tuple[_Editor, Iterator[bytes]]:
    """The editor of everything before the pixel data, and the bytes from there on."""
    if not is_deflated(instance.transfer_syntax):
        end = _end_of_header(instance, _encoding(instance, read(start, 8))) or size
        return _Editor(read, start, end, instance, wanted, why), ranges(read, end, size)
    source = Source(read, start, size, deflated=True)
    stop = _end_of_header(instance, DataSetStart(False, "<", ""))
    head = source.take(stop - start) if stop else source.rest()

    def read_head(offset: int, length: int) -> bytes:
        return head[offset : offset + length]

    return _Editor(read_head, 0, len(head), instance, wanted, why), source.pieces()


def ranges(read: ReadRange, start: int, end: int) -> Iterator[bytes]:
    """The bytes from `start` to before `end`, in pieces."""
    while start < end:
        data = read(start, min(_CHUNK, end - start))
        if not data:
            raise Truncated(f"The file ends {end - start} bytes too early.")
        start += len(data)
        yield data


def _checked(changes: Changes) -> dict[int, Mapping[str, Any] | None]:
    wanted = {int(key, 16): element for key, element in changes.items()}
    for tag in wanted:
        if tag in (*PIXEL_DATA_TAGS, _ORIGINAL_ATTRIBUTES, _CHARACTER_SET) or tag >> 16 <= 2:
            raise DicomError(f"{describe('', f'{tag:08X}')} cannot be changed.")
    return wanted


def _end_of_header(instance: ParsedInstance, encoding: DataSetStart) -> int:
    """Byte position of what is streamed: the header of the pixel data; 0 if there are none."""
    pixels = instance.pixel_data
    if pixels is None:
        return 0
    return pixels.offset - (8 if encoding.implicit else 12)


def _encoding(instance: ParsedInstance, begin: bytes) -> DataSetStart:
    """That of the data set that begins so, whatever its transfer syntax says."""
    return check_encoding(
        begin,
        implicit=is_implicit(instance.transfer_syntax),
        order=">" if instance.big_endian else "<",
    )


class _Editor:
    """The header of a data set: where each element is, and what it becomes."""

    def __init__(
        self,
        read: ReadRange,
        start: int,
        end: int,
        instance: ParsedInstance,
        wanted: Wanted,
        why: Modification,
    ) -> None:
        self._read = read
        self._why = why
        self._wanted = wanted
        implicit, order, _ = _encoding(instance, read(start, 8))
        self._target = Target(implicit, order)
        charset = _charset(instance)
        self._values = ValueWriter(order, lambda text: _encode(text, charset))
        self._places = self._locate(start, end)

    def _locate(self, start: int, end: int) -> dict[int, ByteRange]:
        """Where each element is."""
        view, found = open_view(self._read, end), dict[int, ByteRange]()
        view.seek(start)
        try:
            for element in data_element_generator(
                view, self._target.implicit, self._target.order == "<", defer_size=_DEFERRED
            ):
                found[int(element.tag)] = ByteRange(start, view.tell() - start)
                start = view.tell()
        except (ValueError, KeyError, TypeError, OSError, NotImplementedError, error) as problem:
            raise DicomError(f"The data set cannot be rewritten: {problem}.") from problem
        if end - start >= 8:
            raise DicomError(
                f"The data set cannot be rewritten: {end - start} bytes are left over."
            )
        return found

    def _bytes(self, place: ByteRange) -> bytes:
        """The bytes of an element that are needed in memory."""
        require_room("An attribute that changes", place.length)
        return b"".join(ranges(self._read, place.offset, sum(place)))

    def value(self, tag: int) -> bytes:
        """The new value of an element, b"" if it is removed."""
        element = self._wanted[tag]
        if element is None:
            return b""
        return self._values.write("", f"{tag:08X}", str(element["vr"]), element)

    def edited(self) -> Iterator[bytes]:
        """The data set with the changes and their record."""
        pieces: dict[int, ByteRange | bytes] = dict(self._places)
        changed = self._modified()
        for tag, element in self._wanted.items():
            pieces.pop(tag, None)
            if element is not None:
                pieces[tag] = self._element(tag, str(element["vr"]), self.value(tag))
        before = self._places.get(_ORIGINAL_ATTRIBUTES, ByteRange(0, 0))
        pieces[_ORIGINAL_ATTRIBUTES] = self._record(changed, self._bytes(before))
        groups = {tag >> 16 << 16 for tag in (*self._wanted, _ORIGINAL_ATTRIBUTES)}
        # The length of a group that changed would be wrong; it is retired (PS3.5, 7.2).
        return self._written([pieces[tag] for tag in sorted(pieces) if tag not in groups])

    def _written(self, pieces: Sequence[ByteRange | bytes]) -> Iterator[bytes]:
        at = end = 0  # of neighbours that are read together
        for piece in pieces:
            if isinstance(piece, ByteRange) and piece.offset == end:
                end += piece.length
                continue
            yield from ranges(self._read, at, end)
            at = end = 0
            if isinstance(piece, ByteRange):
                at, end = piece.offset, sum(piece)
            else:
                yield piece
        yield from ranges(self._read, at, end)

    def _modified(self) -> bytes:
        """The elements as they were, of those that were there, with their private creators."""
        tags = {tag for tag in self._wanted if tag in self._places}
        for tag in list(tags):
            creator = tag >> 16 << 16 | (tag & 0xFFFF) >> 8
            if is_private(tag) and not is_private_creator(tag) and creator in self._places:
                tags.add(creator)
        return b"".join(self._bytes(self._places[tag]) for tag in sorted(tags))

    def _element(self, tag: int, vr: str, value: bytes) -> bytes:
        if len(value) > 0xFFFF and vr not in LONG_VRS:
            vr = "UN"
        return encode_header(tag, vr, len(value), self._target) + value

    def _item(self, body: bytes) -> bytes:
        return pack(f"{self._target.order}HHI", 0xFFFE, 0xE000, len(body)) + body

    def _record(self, modified: bytes, before: bytes) -> bytes:
        """The Original Attributes Sequence with one more item."""
        why = self._why
        texts: tuple[tuple[int, str, list[str]], ...] = (
            (0x04000562, "DT", [why.time.strftime("%Y%m%d%H%M%S.%f%z")]),
            (0x04000563, "LO", [why.system]),
            (0x04000564, "LO", [why.source] if why.source else []),
            (0x04000565, "CS", [why.reason]),
        )
        body = self._element(0x04000550, "SQ", self._item(modified))
        for tag, vr, value in texts:
            written = self._values.write("", f"{tag:08X}", vr, {"vr": vr, "Value": value})
            body += self._element(tag, vr, written)
        return self._element(_ORIGINAL_ATTRIBUTES, "SQ", self._items_of(before) + self._item(body))

    def _items_of(self, sequence: bytes) -> bytes:
        """The items of a sequence, whatever its length is said to be."""
        order = self._target.order
        items = sequence[8 if self._target.implicit else 12 :]
        if len(items) >= 8:
            group, number = unpack_from(f"{order}HH", items, len(items) - 8)
            length_at = 4 if self._target.implicit else 8
            undefined = sequence[length_at : length_at + 4] == b"\xff\xff\xff\xff"
            if undefined and group << 16 | number == _SEQUENCE_END:
                return items[:-8]
        return items


def _charset(instance: ParsedInstance) -> Charset:
    fallback = default_charset("ISO_IR 6")
    terms = instance.attributes.get("00080005", {}).get("Value") or ()
    return charset_of([term or "" for term in terms], fallback)[0] if terms else fallback


def _encode(text: str, charset: Charset) -> bytes:
    if text.isascii():
        return text.encode("ascii")
    if charset.codec in _STATEFUL or charset.terms in ((), ("ISO_IR 6",), ("",)):
        raise UnicodeEncodeError("ascii", text, 0, len(text), "not in the character set")
    return text.encode(charset.codec)
