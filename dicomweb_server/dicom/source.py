"""The data set of a file as a stream."""

import zlib
from collections.abc import Iterator

from .bounded import joined, require_room
from .errors import Truncated
from .views import ReadRange

_CHUNK = 1 << 20


class Source:
    """The data set of a file as a stream, inflated if need be."""

    def __init__(self, read: ReadRange, start: int, size: int, *, deflated: bool = False) -> None:
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
        """The next `length` bytes; raises `DicomError` when they are too many for the memory."""
        require_room("What stands before the pixel data", length)
        return b"".join(self.chunks(length))

    def skip_to(self, offset: int) -> None:
        """Go on at an offset of the file, whose data set is not deflated."""
        self._at = offset

    def pieces(self) -> Iterator[bytes]:
        """All bytes that are left."""
        return iter(lambda: self._some(_CHUNK), b"")

    def rest(self) -> bytes:
        """All bytes that are left; raises `DicomError` when they are too many for the memory."""
        return joined("What is to be held in memory of the file", self.pieces())
