"""What worker, template and helpers say to each other: JSON documents, and files beside them.

No pickles come out of a helper: somebody may have taken it over.
"""

from __future__ import annotations

import os
import socket
import struct
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

_SIZE = struct.Struct("<I")
_LARGEST = 1 << 24
_STEP = 1 << 22


def send(connection: socket.socket, document: Any, files: Sequence[int] = ()) -> None:
    """Send one document, and descriptors of open files with it."""
    text = orjson.dumps(document)
    data = _SIZE.pack(len(text)) + text
    if files:
        sent = socket.send_fds(connection, [data], files)
        data = data[sent:]
    connection.sendall(data)


def receive(connection: socket.socket, files: int = 0) -> tuple[Any, list[int]]:
    """The next document, and up to so many descriptors; raises `EOFError` at the end."""
    found: list[int] = []
    if files:
        data, found, _, _ = socket.recv_fds(connection, _SIZE.size, files)
    else:
        data = connection.recv(_SIZE.size)
    size = _SIZE.unpack(_exactly(connection, data, _SIZE.size))[0]
    if size > _LARGEST:
        raise EOFError(f"a message of {size} bytes")
    return orjson.loads(_exactly(connection, b"", size)), found


def _exactly(connection: socket.socket, data: bytes, size: int) -> bytes:
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError("the other end is gone")
        data += more
    return data


class Scratch:
    """A file without a name that both ends of a connection read and write.

    Reads and writes, and no shared memory: whoever cut a mapped file short would kill the other.
    """

    KEPT = 1 << 24
    """Bytes that stay allocated from one task to the next."""

    def __init__(self, descriptor: int | None = None) -> None:
        if descriptor is None:
            descriptor = _anonymous_file()
        self.descriptor = descriptor

    def write(self, parts: Iterable[bytes | memoryview], offset: int = 0) -> int:
        """Write parts behind each other; the number of bytes."""
        at = offset
        for part in parts:
            view = memoryview(part).cast("B")
            while view:
                done = os.pwrite(self.descriptor, view, at)
                at += done
                view = view[done:]
        return at - offset

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes; raises `EOFError` when there are fewer."""
        if size <= _STEP:
            data = os.pread(self.descriptor, size, offset)
            if len(data) == size:
                return data
        pieces = bytearray(size)
        view = memoryview(pieces)
        at = 0
        while at < size:
            done = os.preadv(self.descriptor, [view[at : at + _STEP]], offset + at)
            if not done:
                raise EOFError("a helper promised more bytes than there are")
            at += done
        return bytes(pieces)

    def shrink(self) -> None:
        """Give the memory of a large task back."""
        if os.fstat(self.descriptor).st_size > self.KEPT:
            os.ftruncate(self.descriptor, 0)

    def close(self) -> None:
        os.close(self.descriptor)


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("dicomweb-frames")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
