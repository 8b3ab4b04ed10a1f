"""A Part 10 file around other pixel data: its header and trailer for another transfer syntax."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from struct import pack
from typing import Final, TypeAlias

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from .beginning import encoding_of
from .encode import Encoder, Target, encode_header, target_of
from .errors import DicomError
from .meta import Meta, MetaElement, meta_of, write_meta
from .pixel_data import PixelData
from .source import Source
from .tags import STANDARD, TagDictionary
from .transcode import PYDICOM_ERRORS, parse
from .transfer_syntaxes import is_deflated
from .views import ReadRange

_SOP_INSTANCE_UID: Final = 0x00080018
_MEDIA_STORAGE_UID: Final = 0x0003
_PIXEL_DATA: Final = 0x7FE00010
_OFFSETS, _LENGTHS = 0x7FE00001, 0x7FE00002
_ITEM: Final = 0xFFFEE000
_DELIMITER: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
_LONGEST: Final = 0xFFFFFFFE

Value: TypeAlias = int | str | Sequence[str]
"""Of US, or of a VR of ASCII text."""
Changes: TypeAlias = Mapping[int, tuple[str, Value] | None]
"""By tag: VR and value of an element, or None to remove it."""


@dataclass(frozen=True, slots=True)
class Shell:
    """What stands before and behind the pixel data of a file."""

    before: bytes
    behind: bytes
    target: Target


def shell(
    read: ReadRange,
    size: int,
    source_syntax: str,
    target_syntax: str,
    pixel_data: PixelData,
    changes: Changes,
    *,
    dictionary: TagDictionary = STANDARD,
) -> Shell:
    """The file without its pixel data, with changed attributes, in another transfer syntax.

    Args:
        read: gives `length` bytes of the file from `offset`.
        size: bytes of the file.
        changes: a new SOP Instance UID is put into group 0002 too.

    Raises:
        DicomError: the data set cannot be rewritten.
    """
    meta = meta_of(read, size)
    source = Source(read, meta.end, size, deflated=is_deflated(source_syntax))
    first = source.take(pixel_data.offset - meta.end)
    implicit, order, _ = encoding_of(first[:8], source_syntax)
    target = target_of(target_syntax)
    encoder = Encoder(target, dictionary)
    try:
        header = parse(first, implicit, order)
        _change(header, changes, implicit=implicit, order=order)
        before = encoder.encode(header)
        rest = _behind(source, read, size, pixel_data, source_syntax)
        behind = b""
        if rest.strip(b"\0"):
            behind = encoder.encode(parse(rest, implicit, order), (header,))
    except PYDICOM_ERRORS as problem:
        raise DicomError(f"The data set cannot be rewritten: {problem}.") from problem
    return Shell(write_meta(_renamed(meta, changes), target_syntax) + before, behind, target)


def _renamed(meta: Meta, changes: Changes) -> Meta:
    new = changes.get(_SOP_INSTANCE_UID)
    if new is None:
        return meta
    element = MetaElement("UI", _encoded("UI", new[1], "<"))
    return meta._replace(elements={**meta.elements, _MEDIA_STORAGE_UID: element})


def _change(header: Dataset, changes: Changes, *, implicit: bool, order: str) -> None:
    for number, change in changes.items():
        tag = Tag(number)
        if change is None:
            if tag in header:
                del header[tag]
            continue
        vr, value = change
        data = _encoded(vr, value, order)
        header[tag] = RawDataElement(tag, vr, len(data), data, 0, implicit, order == "<")


def _encoded(vr: str, value: Value, order: str) -> bytes:
    if isinstance(value, int):
        return pack(f"{order}H", value)
    text = value if isinstance(value, str) else "\\".join(value)
    data = text.encode("ascii", "replace")
    return data + (b"\0" if vr == "UI" else b" ") * (len(data) % 2)


def _behind(
    source: Source, read: ReadRange, size: int, pixels: PixelData, source_syntax: str
) -> bytes:
    """What follows the pixel data."""
    length = pixels.length + (len(_DELIMITER) if pixels.encapsulated else pixels.length % 2)
    if not is_deflated(source_syntax):
        at = pixels.offset + length
        return Source(read, at, size, deflated=False).rest() if at < size else b""
    for _ in source.chunks(pixels.length):
        pass
    rest = source.rest()
    return rest[pixels.length % 2 :]


def native(
    around: Shell, vr: str, frame_bytes: int, count: int, frames: Iterable[bytes]
) -> Iterator[bytes]:
    """The file with native pixel data: `count` frames of `frame_bytes` each, in its byte order.

    Raises `DicomError` before the first byte when they are longer than an element can be.
    """
    length = frame_bytes * count
    if length + length % 2 > _LONGEST:
        raise DicomError(f"Pixel data of {length} bytes are longer than a file can have natively.")
    yield around.before + encode_header(_PIXEL_DATA, vr, length + length % 2, around.target)
    for frame in frames:
        if len(frame) != frame_bytes:
            raise DicomError(f"A frame has {len(frame)} bytes instead of {frame_bytes}.")
        yield frame
    yield b"\0" * (length % 2) + around.behind


def encapsulated(around: Shell, sizes: Sequence[int], frames: Iterable[bytes]) -> Iterator[bytes]:
    """The file with encapsulated pixel data (PS3.5 A.4): one fragment for each frame.

    `sizes`: bytes of each of the frames. Offsets that do not fit the Basic Offset Table stand in
    the Extended Offset Table.
    """
    offsets = [0]
    for size in sizes:
        offsets.append(offsets[-1] + 8 + size + size % 2)
    offsets.pop()
    basic = b"".join(pack("<I", each) for each in offsets) if offsets[-1] < 1 << 32 else b""
    yield around.before
    if not basic:
        for tag, numbers in ((_OFFSETS, offsets), (_LENGTHS, sizes)):
            yield encode_header(tag, "OV", 8 * len(numbers), around.target)
            yield b"".join(pack("<Q", each) for each in numbers)
    yield encode_header(_PIXEL_DATA, "OB", 0xFFFFFFFF, around.target)
    yield _item(len(basic)) + basic
    for size, frame in zip(sizes, frames, strict=True):
        yield _item(size + size % 2)
        yield frame
        if size % 2:
            yield b"\0"
    yield _DELIMITER + around.behind


def _item(length: int) -> bytes:
    return pack("<HHI", _ITEM >> 16, _ITEM & 0xFFFF, length)
