"""Data sets back to bytes in an uncompressed transfer syntax (PS3.5, 7.1 and annex A)."""

from array import array
from collections.abc import Iterator
from io import BytesIO
from struct import pack, unpack_from
from typing import Any, NamedTuple

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence

from .elements import LONG_VRS, UNDEFINED_LENGTH
from .errors import DicomError
from .source import Source
from .tags import STANDARD, TagDictionary, format_tag, is_private, is_private_creator
from .transfer_syntaxes import EXPLICIT_BIG, IMPLICIT_LITTLE
from .values import WORD_SIZES
from .views import ReadRange

_CODES = {2: "H", 4: "I", 8: "Q"}
_PIXEL_REPRESENTATION, _LUT_DESCRIPTOR = 0x00280103, 0x00283002


class Target(NamedTuple):
    """How elements are written: implicit or explicit VR, byte order as struct spells it."""

    implicit: bool
    order: str


def target_of(transfer_syntax: str) -> Target:
    """How elements are written in a transfer syntax."""
    return Target(
        transfer_syntax == IMPLICIT_LITTLE, ">" if transfer_syntax == EXPLICIT_BIG else "<"
    )


def swap_words(value: bytes, size: int) -> bytes:
    """Reverse the bytes of each word of 2, 4 or 8 bytes; an incomplete last one stays."""
    if size < 2:
        return value
    whole = len(value) // size * size
    words = array(_CODES[size], value[:whole])
    words.byteswap()
    return words.tobytes() + value[whole:]


def little_endian(value: bytes, vr: str, *, big_endian: bool) -> bytes:
    """A value in little endian, as DICOM JSON, XML and bulk data need it (PS3.18, F.2.7)."""
    return swap_words(value, WORD_SIZES.get(vr, 1)) if big_endian and vr != "UN" else value


def encode_header(tag: int, vr: str, length: int, target: Target) -> bytes:
    """Tag, VR and length of an element."""
    group, element = tag >> 16, tag & 0xFFFF
    if target.implicit:
        return pack(target.order + "HHI", group, element, length)
    code = vr.encode("ascii")
    if vr in LONG_VRS:
        return pack(target.order + "HH2sHI", group, element, code, 0, length)
    return pack(target.order + "HH2sH", group, element, code, length)


class Encoder:
    """Writes the elements of one file, read by pydicom and left raw, for a target.

    Text and unknown values keep their bytes; numbers change their byte order; group lengths are
    dropped, since they would be wrong. Sequences get defined lengths where that is possible.
    """

    def __init__(self, target: Target, dictionary: TagDictionary = STANDARD) -> None:
        self._target = target
        self._dictionary = dictionary

    @property
    def target(self) -> Target:
        """How elements are written."""
        return self._target

    def encode(self, data_set: Dataset, around: tuple[Dataset, ...] = ()) -> bytes:
        """The bytes of a data set; `around` are those it lies in, closest first."""
        chain = (data_set, *around)
        return b"".join(
            self._element(tag, element, chain) for tag, element in _written(data_set, around)
        )

    def pieces(self, data_set: Dataset, read: ReadRange) -> Iterator[bytes]:
        """As `encode`, of a file's main data set, whose long values were left in the file.

        `read` gives ranges of it. A sequence of defined length is a value like any other here.
        """
        chain = (data_set,)
        for tag, element in _written(data_set, ()):
            left = isinstance(element, RawDataElement) and element.value is None
            if not left or not element.length:
                yield self._element(tag, element, chain)
                continue
            place = Source(read, element.value_tell, element.value_tell + element.length)
            vr = self._vr(tag, element, chain)
            if vr == "SQ":
                value = place.take(element.length)
                yield self._raw(tag, element._replace(value=value), chain)
                continue
            vr, word = self._form(vr, element)
            padding = element.length % 2
            yield encode_header(tag, vr, element.length + padding, self._target)
            for chunk in place.chunks(element.length):
                yield swap_words(chunk, word)
            if padding:
                yield b"\0"

    def _element(self, tag: int, element: Any, chain: tuple[Dataset, ...]) -> bytes:
        if isinstance(element, RawDataElement):
            return self._raw(tag, element, chain)
        return self._items(tag, element.value, chain)

    def _items(self, tag: int, items: Any, chain: tuple[Dataset, ...]) -> bytes:
        parts = []
        for item in items:
            body = self.encode(item, chain)
            parts.append(pack(self._target.order + "HHI", 0xFFFE, 0xE000, len(body)) + body)
        value = b"".join(parts)
        if self._target.implicit and is_private(tag):
            # Only its undefined length still shows that this is a sequence.
            end = pack(self._target.order + "HHI", 0xFFFE, 0xE0DD, 0)
            return encode_header(tag, "SQ", UNDEFINED_LENGTH, self._target) + value + end
        return encode_header(tag, "SQ", len(value), self._target) + value

    def _raw(self, tag: int, raw: RawDataElement, chain: tuple[Dataset, ...]) -> bytes:
        if raw.length == UNDEFINED_LENGTH:
            raise DicomError(
                f"{format_tag(tag)} holds encapsulated data inside of an uncompressed file, which "
                "cannot be converted."
            )
        value = raw.value or b""
        if len(value) < raw.length:
            raise DicomError(
                f"{format_tag(tag)} holds {len(value)} of {raw.length} bytes; its header is "
                "damaged, so that it can only be had as it is stored."
            )
        vr = self._vr(tag, raw, chain)
        if vr == "SQ":
            items = read_sequence(
                BytesIO(value), raw.is_implicit_VR, raw.is_little_endian, len(value), "latin_1"
            )
            return self._items(tag, items, chain)
        vr, word = self._form(vr, raw)
        value = swap_words(value, word)
        value += b"\0" * (len(value) % 2)
        return encode_header(tag, vr, len(value), self._target) + value

    def _form(self, vr: str, raw: RawDataElement) -> tuple[str, int]:
        """The VR to write, and the bytes of a word whose order changes; 1 if none does."""
        too_long = not self._target.implicit and vr not in LONG_VRS and raw.length > 0xFFFF
        size = WORD_SIZES.get(vr, 1)
        if too_long:
            vr = "UN"  # its value is little endian always (PS3.5, 6.2.2)
        order = "<" if raw.is_little_endian or raw.VR == "UN" else ">"
        changes = order != (self._target.order if vr != "UN" else "<")
        return vr, size if changes else 1

    def _vr(self, tag: int, raw: RawDataElement, chain: tuple[Dataset, ...]) -> str:
        if raw.VR is not None and (raw.VR != "UN" or self._target.order == "<"):
            return str(raw.VR)
        vr = self._dictionary.vr(tag, _creator(tag, chain[0]) if is_private(tag) else "")
        if vr == "US or SS":
            return "SS" if _pixel_representation(chain) else "US"
        if vr == "US or OW":
            first = _number(chain[0], _LUT_DESCRIPTOR)
            return "US" if first == 1 else "OW"
        return "OW" if " or " in vr else vr


def _written(data_set: Dataset, around: tuple[Dataset, ...]) -> Iterator[tuple[int, Any]]:
    """The elements to write, in their order."""
    for element in sorted(data_set.values(), key=lambda e: int(e.tag)):
        tag = int(element.tag)
        if tag & 0xFFFF == 0 or tag >> 16 == 0 or (tag >> 16 == 2 and not around):
            continue
        yield tag, element


def _creator(tag: int, data_set: Dataset) -> str:
    if is_private_creator(tag):
        return ""
    found = data_set.get_item(tag >> 16 << 16 | (tag & 0xFFFF) >> 8)
    value = getattr(found, "value", None)
    return value.decode("latin_1").strip(" \0") if isinstance(value, bytes) else ""


def _number(data_set: Dataset, tag: int) -> int | None:
    """The first 16-bit number of an element."""
    raw = data_set.get_item(tag) if tag in data_set else None
    if not isinstance(raw, RawDataElement) or len(raw.value or b"") < 2:
        return None
    return int(unpack_from("<H" if raw.is_little_endian else ">H", raw.value or b"")[0])


def _pixel_representation(chain: tuple[Dataset, ...]) -> int:
    numbers = (_number(data_set, _PIXEL_REPRESENTATION) for data_set in chain)
    return next((number for number in numbers if number is not None), 0)


def pixel_word(header: Dataset, vr: str, *, implicit: bool) -> tuple[str, int]:
    """The VR of native pixel data in explicit VR, and the bytes of a word whose order changes.

    Implicit VR always says OW, also for bytes (PS3.5, A.1); as bytes they need OB to keep their
    order. Cells of more than 16 bits are words of their own size, as readers expect them.
    """
    allocated = _number(header, 0x00280100) or 0
    if vr in ("OF", "OD"):
        return vr, WORD_SIZES[vr]
    if allocated > 8:
        return "OW", {32: 4, 64: 8}.get(allocated, 2)
    if implicit or vr == "OB":
        return "OB", 1
    return "OW", 2
