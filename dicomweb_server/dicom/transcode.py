"""A Part 10 file in another uncompressed transfer syntax (PS3.5, A.1 to A.5), without loss.

Only headers of elements and the byte order of numbers change: text is never decoded. Pixel data
streams through; everything before and behind it is held in memory.
"""

import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import chain
from struct import error
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from .beginning import encoding_of
from .elements import PIXEL_DATA_TAGS
from .encode import Encoder, encode_header, pixel_word, swap_words, target_of
from .errors import DicomError, Truncated
from .meta import Meta, meta_of, write_meta
from .pixel_data import PixelData
from .tags import STANDARD, TagDictionary
from .transfer_syntaxes import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from .views import ReadRange

_CHUNK = 1 << 20
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
    body = Source(read, meta.end, size, deflated=source_syntax == DEFLATED)
    parts = _body(body, source_syntax, target_syntax, meta, pixel_data, dictionary)
    try:
        # Most that cannot be rewritten shows at once: before the first byte went out.
        first = next(parts, b"")
        yield write_meta(meta, target_syntax)
        whole = chain((first,), parts)
        yield from deflate(whole) if target_syntax == DEFLATED else whole
    except PYDICOM_ERRORS as problem:
        raise DicomError(f"The data set cannot be rewritten: {problem}.") from problem


def _body(
    source: "Source",
    source_syntax: str,
    target_syntax: str,
    meta: Meta,
    pixel_data: PixelData | None,
    dictionary: TagDictionary,
) -> Iterator[bytes]:
    first = source.take(pixel_data.offset - meta.end) if pixel_data else source.rest()
    implicit, order, _ = encoding_of(first[:8], source_syntax)
    target = target_of(target_syntax)
    encoder = Encoder(target, dictionary)
    header = parse(first, implicit, order)
    yield encoder.encode(header)
    if pixel_data is None:
        return
    vr, word = pixel_word(header, pixel_data.vr, implicit=implicit)
    padding = pixel_data.length % 2
    yield encode_header(int(pixel_data.tag, 16), vr, pixel_data.length + padding, target)
    for chunk in source.chunks(pixel_data.length):
        yield swap_words(chunk, word) if order != target.order else chunk
    if padding:
        yield b"\0"
    behind = source.rest()
    if behind.strip(b"\0"):
        yield encoder.encode(parse(behind, implicit, order), (header,))


def parse(data: bytes, implicit: bool, order: str) -> Dataset:
    """As `parse_file`, of bytes."""
    return parse_file(BytesIO(data), implicit, order)


def parse_file(file: BinaryIO, implicit: bool, order: str) -> Dataset:
    """The elements before the pixel data, raw; raises what pydicom raises."""
    return read_dataset(
        file,
        implicit,
        order == "<",
        stop_when=lambda tag, vr, length: int(tag) in PIXEL_DATA_TAGS,
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


class Source:
    """The data set of a file as a stream, inflated if need be."""

    def __init__(self, read: ReadRange, start: int, size: int, *, deflated: bool) -> None:
        self._read = read
        self._at = start
        self._size = size
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS) if deflated else None
        self._input = b""

    def _some(self, wanted: int) -> bytes:
        """Between 1 and `wanted` bytes; none at the end."""
        if self._inflater is None:
            data = self._read(self._at, min(wanted, self._size - self._at, _CHUNK))
            self._at += len(data)
            return data
        while not self._inflater.eof:
            if not self._input and self._at < self._size:
                self._input = self._read(self._at, min(_CHUNK, self._size - self._at))
                self._at += len(self._input)
            fed = bool(self._input)
            try:
                data = self._inflater.decompress(self._input, min(wanted, _CHUNK))
            except zlib.error as problem:
                raise Truncated(f"The deflated data set is damaged: {problem}.") from problem
            self._input = self._inflater.unconsumed_tail
            if data:
                return data
            if not fed:
                break
        return b""

    def chunks(self, length: int) -> Iterator[bytes]:
        """The next `length` bytes, in pieces of whole 8-byte words but the last."""
        left = length
        held = b""
        while left:
            data = self._some(left)
            if not data:
                raise Truncated(f"The file ends {left} bytes before the end of its pixel data.")
            left -= len(data)
            held += data
            whole = len(held) if not left else len(held) // 8 * 8
            if whole:
                yield held[:whole]
                held = held[whole:]

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        return b"".join(self.chunks(length))

    def pieces(self) -> Iterator[bytes]:
        """All bytes that are left."""
        return iter(lambda: self._some(_CHUNK), b"")

    def rest(self) -> bytes:
        """All bytes that are left, at once."""
        return b"".join(self.pieces())
