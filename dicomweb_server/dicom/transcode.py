"""A Part 10 file in another uncompressed transfer syntax (PS3.5, A.1 to A.5), without loss.

Only headers of elements and the byte order of numbers change: text is never decoded. Pixel data
streams through, and so do other long values, unless the data set is deflated; the rest is held in
memory, up to a limit.
"""

import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import chain
from struct import error
from typing import BinaryIO

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from .beginning import encoding_of
from .bounded import require_room
from .elements import PIXEL_DATA_TAGS
from .encode import Encoder, encode_header, pixel_word, swap_words, target_of
from .errors import DicomError, Truncated
from .meta import meta_of, write_meta
from .pixel_data import PixelData
from .source import Source
from .tags import STANDARD, TagDictionary, format_tag
from .transfer_syntaxes import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from .views import ReadRange, open_view

_LONG_HEADER = 4 << 20
"""Bytes of attributes from which on their long values stay in the file."""
_LONG_VALUE = 1 << 20
PYDICOM_ERRORS = (ValueError, KeyError, TypeError, OSError, EOFError, NotImplementedError, error)
"""What pydicom raises on data sets that it does not understand."""
CONVERTIBLE_SYNTAXES = frozenset((IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED))
"""Transfer syntaxes that `convert` reads and writes."""


def can_convert(source: str, target: str) -> bool:
    """Whether `convert` knows both transfer syntaxes."""
    return source in CONVERTIBLE_SYNTAXES and target in CONVERTIBLE_SYNTAXES


def convert(
    read: ReadRange,
    size: int,
    source_syntax: str,
    target_syntax: str,
    pixel_data: PixelData | None,
    *,
    dictionary: TagDictionary = STANDARD,
) -> Iterator[bytes]:
    """The bytes of a file in another transfer syntax.

    Args:
        read: gives `length` bytes of the source file from `offset`.
        size: bytes of the source file.
        source_syntax, target_syntax: UIDs for which `can_convert` is true.
        pixel_data: of the `ParsedInstance`; its data are not encapsulated.

    Raises:
        DicomError: a syntax is not possible, data are encapsulated, or the file ends too early.
    """
    if not can_convert(source_syntax, target_syntax) or (pixel_data and pixel_data.encapsulated):
        raise DicomError(
            f"A file in transfer syntax {source_syntax} cannot be rewritten to {target_syntax}; "
            "possible are the uncompressed ones."
        )
    meta = meta_of(read, size)
    body = _Body(read, meta.end, size, source_syntax, pixel_data)
    parts = body.encoded(Encoder(target_of(target_syntax), dictionary))
    try:
        # Most that cannot be rewritten shows at once: before the first byte went out.
        first = next(parts, b"")
        yield write_meta(meta, target_syntax)
        whole = chain((first,), parts)
        yield from deflate(whole) if target_syntax == DEFLATED else whole
    except PYDICOM_ERRORS as problem:
        raise DicomError(f"The data set cannot be rewritten: {problem}.") from problem


class _Body:
    """The data set of a file, with what is known of its pixel data."""

    def __init__(
        self, read: ReadRange, start: int, size: int, syntax: str, pixel_data: PixelData | None
    ) -> None:
        self._read = read
        self._start = start
        self._size = size
        self._syntax = syntax
        self._pixel_data = pixel_data
        self._source = Source(read, start, size, deflated=syntax == DEFLATED)

    def encoded(self, encoder: Encoder) -> Iterator[bytes]:
        """Its bytes as the encoder writes them."""
        pixels, target = self._pixel_data, encoder.target
        end = self._size if pixels is None else pixels.offset
        if self._syntax != DEFLATED and end - self._start > _LONG_HEADER:
            implicit, order, _ = encoding_of(self._read(self._start, 8), self._syntax)
            header = _parse_long(self._read, self._start, end, implicit, order)
            yield from encoder.pieces(header, self._read)
            self._source.skip_to(end)
        else:
            source = self._source
            first = source.rest() if pixels is None else source.take(end - self._start)
            implicit, order, _ = encoding_of(first[:8], self._syntax)
            header = parse(first, implicit, order)
            yield encoder.encode(header)
        if pixels is None:
            return
        vr, word = pixel_word(header, pixels.vr, implicit=implicit)
        padding = pixels.length % 2
        yield encode_header(int(pixels.tag, 16), vr, pixels.length + padding, target)
        for chunk in self._source.chunks(pixels.length):
            yield swap_words(chunk, word) if order != target.order else chunk
        if padding:
            yield b"\0"
        behind = self._source.rest()
        if behind.strip(b"\0"):
            yield encoder.encode(parse(behind, implicit, order), (header,))


def _parse_long(read: ReadRange, start: int, end: int, implicit: bool, order: str) -> Dataset:
    """As `parse_file`, from `start` to `end` of a file; long values have none, but a place."""
    held = 0

    def counted(offset: int, length: int) -> bytes:
        nonlocal held
        held += length
        require_room("What stands beside the long values", held)
        return read(offset, length)

    file = open_view(counted, end)
    file.seek(start)
    header = parse_file(file, implicit, order, defer_size=_LONG_VALUE)
    for raw in header.values():
        if (
            raw.value is None
            and isinstance(raw, RawDataElement)
            and raw.value_tell + raw.length > end
        ):
            raise Truncated(f"{format_tag(int(raw.tag))} is longer than what is left of the file.")
    return header


def parse(data: bytes, implicit: bool, order: str) -> Dataset:
    """As `parse_file`, of bytes."""
    return parse_file(BytesIO(data), implicit, order)


def parse_file(
    file: BinaryIO, implicit: bool, order: str, defer_size: int | None = None
) -> Dataset:
    """The elements before the pixel data, raw; raises what pydicom raises.

    Values of more than `defer_size` bytes are not read.
    """
    return read_dataset(
        file,
        implicit,
        order == "<",
        stop_when=lambda tag, vr, length: int(tag) in PIXEL_DATA_TAGS,
        defer_size=defer_size,
    )


def deflate(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Raw deflate, padded to an even length (PS3.5, A.5)."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    size = 0
    for part in parts:
        data = deflater.compress(part)
        size += len(data)
        if data:
            yield data
    data = deflater.flush()
    yield data + b"\0" * ((size + len(data)) % 2)
