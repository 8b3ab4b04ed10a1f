"""A file object over a callable that reads byte ranges, as storages offer them."""

import io
from collections.abc import Callable
from typing import BinaryIO, cast

ReadRange = Callable[[int, int], bytes]


class _View(io.RawIOBase):
    def __init__(self, read: ReadRange, size: int) -> None:
        self._read = read
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self._at, self._size)[whence]
        self._at = max(start + offset, 0)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        data = self._read(self._at, wanted)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def open_view(read: ReadRange, size: int, buffer: int = 1 << 16) -> BinaryIO:
    """A seekable file of `size` bytes over ``read(offset, length)``, a buffer at a time."""
    return cast("BinaryIO", io.BufferedReader(_View(read, size), buffer))
