"""A range of a stream that is read in few small pieces, whatever the bytes in it say."""

from __future__ import annotations

from typing import Final

from .errors import DicomError
from .views import ReadRange

_LONGEST_HEADER: Final = 64 << 20
"""Bytes that may stand before an image: profiles and previews of cameras."""
_MOST_PIECES: Final = 20_000
"""A header of as many parts keeps nobody waiting: lengths of 0 may lead through all bytes."""


class StreamBytes:
    """The bytes of one image or video.

    `length` is that of the whole, of which `get` gives what lies before the byte `limit`.
    """

    def __init__(
        self,
        read: ReadRange,
        offset: int,
        length: int,
        *,
        limit: int = _LONGEST_HEADER,
        pieces: int = _MOST_PIECES,
    ) -> None:
        self._read, self._offset, self.length = read, offset, length
        self._limit, self._pieces, self._left = limit, pieces, pieces

    def get(self, at: int, count: int, what: str) -> bytes:
        """Bytes from `at` on; raises `DicomError` about `what` if there are fewer."""
        if at + count > min(self.length, self._limit):
            raise DicomError(f"The {what} ends at byte {min(at, self.length)}, within its header.")
        self._left -= 1
        if self._left < 0:
            raise DicomError(f"The header of the {what} has more than {self._pieces} parts.")
        return self._read(self._offset + at, count)

    def number(self, at: int, size: int, what: str) -> int:
        """A number in big endian."""
        return int.from_bytes(self.get(at, size, what), "big")
