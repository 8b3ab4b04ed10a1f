"""Bytes that arrive in pieces of any size, handed on to states that each want some more."""

import zlib
from collections.abc import Callable

from .errors import Truncated

WINDOW = 1 << 16  # bytes copied at a time out of a buffer that is not `bytes`
_INFLATED = 1 << 18  # bytes inflated at a time

State = Callable[[bytes, int], int]


class PushStream:
    """Buffers no more than a state asks for, and skips values without buffering them.

    A state is called as ``state(buffer, position)`` and returns the position up to which it is
    done. It sets `_need` if it cannot go on with less than so many bytes from there; a returned
    position behind the end of the buffer skips bytes that did not arrive yet. `_base` is the byte
    position in the stream of the start of the buffer.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._base = 0
        self._need = 0
        self._skip = 0
        self._position = 0  # in the stream, of the first byte no state is done with
        self._tail = bytearray()  # bytes from there on that arrived already
        self._inflater: zlib._Decompress | None = None
        self._inflating = False

    def _push(self, data: bytes | memoryview) -> None:
        at, size = 0, len(data)
        tail = self._tail
        while at < size:
            if self._skip:
                step = min(self._skip, size - at)
                self._skip -= step
                self._position += step
                at += step
            elif not tail and isinstance(data, bytes):
                at = self._push_direct(data, at)
            else:
                at = self._push_buffered(data, at)
            if self._inflater is not None and not self._inflating:
                rest = bytes(tail) + bytes(data[at:])
                tail.clear()
                self._inflating = True
                self._need = 0
                self._inflate(rest)
                return

    def _push_direct(self, data: bytes, at: int) -> int:
        """Walk without copying anything; what is left over goes to the tail."""
        size = len(data)
        self._base = base = self._position - at
        end = self._walk(data, at)
        self._skip = max(end - size, 0)
        self._position = base + min(end, size)
        self._tail += data[end:]
        return size

    def _push_buffered(self, data: bytes | memoryview, at: int) -> int:
        """Walk a window that starts with the tail."""
        tail = self._tail
        old = len(tail)
        tail += data[at : at + max(self._need, WINDOW) - old]
        taken = at + len(tail) - old
        if len(tail) < self._need:
            return taken
        buffer = bytes(tail)
        self._base = self._position
        end = self._walk(buffer, 0)
        self._position = self._base + min(end, len(buffer))
        if end < old:
            del tail[:end]
            return taken
        tail.clear()
        self._skip = max(end - len(buffer), 0)
        return at + min(end, len(buffer)) - old

    def _walk(self, buffer: bytes, position: int) -> int:
        self._need = 0
        size = len(buffer)
        while position < size and not self._need:
            position = self._state(buffer, position)
        return position

    def _inflate(self, data: bytes | memoryview) -> None:
        """Hand on inflated bytes, a bounded amount at a time (PS3.5, A.5)."""
        inflater = self._inflater
        assert inflater is not None  # noqa: S101  # callers check
        try:
            while not inflater.eof:
                inflated = inflater.decompress(data, _INFLATED)
                self._push(inflated)
                data = inflater.unconsumed_tail
                if not data and len(inflated) < _INFLATED:
                    return
        except zlib.error as problem:
            raise Truncated(
                f"The deflated data set is damaged; {self._position} bytes of the stream could be "
                f"read: {problem}."
            ) from problem
