"""A file that comes as a stream: its beginning can be read as a file, the rest passes through."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from struct import unpack_from
from typing import Final

from .bounded import require_room
from .elements import ITEM, SEQUENCE_END, UNDEFINED_LENGTH
from .errors import NotUnderstood, Truncated

_CHUNK: Final = 1 << 20


class Feed:
    """What was read stays in memory, so that one can go back, until something passes through."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._buffer = bytearray()
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        """As of any file."""
        while size < 0 or len(self._buffer) < self._at + size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._buffer += piece
            require_room("What stands before the pixel data", len(self._buffer))
        end = len(self._buffer) if size < 0 else self._at + size
        data = bytes(self._buffer[self._at : end])
        self._at += len(data)
        return data

    def tell(self) -> int:
        """As of any file."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of any file, within what was read; from the start or from where it is."""
        self._at = max(offset + (self._at if whence == 1 else 0), 0)
        return self._at

    def passed(self, length: int) -> Iterator[bytes]:
        """The next bytes, in pieces; they are forgotten. Raises `Truncated`."""
        while length:
            self._forget()
            data = self.read(min(length, _CHUNK))
            if not data:
                raise Truncated(f"The file ends {length} bytes too early.")
            length -= len(data)
            yield data

    def fragments(self, order: str) -> Iterator[bytes]:
        """The next items up to the delimiter of their sequence (PS3.5 A.4), in pieces."""
        while True:
            head = self.exactly(8)
            yield head
            group, element, length = unpack_from(f"{order}HHI", head)
            tag = group << 16 | element
            if tag == SEQUENCE_END:
                return
            if tag != ITEM or length == UNDEFINED_LENGTH:
                raise NotUnderstood(f"Among fragments there is ({group:04X},{element:04X}).")
            yield from self.passed(length)

    def exactly(self, length: int) -> bytes:
        """The next bytes, all of them. Raises `Truncated`."""
        data = self.read(length)
        if len(data) < length:
            raise Truncated(f"The file ends {length - len(data)} bytes too early.")
        return data

    def remaining(self) -> Iterator[bytes]:
        """Everything that was not read yet, in pieces."""
        while data := self.read(_CHUNK):
            self._forget()
            yield data

    def _forget(self) -> None:
        del self._buffer[: self._at]
        self._at = 0


def inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Raw deflate undone (PS3.5 A.5), in pieces of bounded size. Raises `Truncated`."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for piece in pieces:
            data = inflater.decompress(piece, _CHUNK)
            while data:
                yield data
                data = inflater.decompress(inflater.unconsumed_tail, _CHUNK)
    except zlib.error as problem:
        raise Truncated(f"The deflated data set is damaged: {problem}.") from problem
    if not inflater.eof:
        raise Truncated("The deflated data set ends too early.")
