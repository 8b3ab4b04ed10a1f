"""What streamed answers consist of: bytes, and ranges of files, which the kernel sends."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_BLOCK = 1 << 18
_ALONE = 1 << 16
_READ = 1 << 22


class WrongSize(Exception):
    """A file has another size than it must have; `found` is in bytes."""

    def __init__(self, found: int) -> None:
        super().__init__(found)
        self.found = found


@dataclass(frozen=True, slots=True)
class FileRange:
    """`size` bytes from `offset` on of a file that has `whole` bytes."""

    path: Path | str
    whole: int
    size: int
    offset: int = 0

    def open(self) -> LocalFile:
        """The open file. Raises OSError, or `WrongSize` when the file has another size."""
        return LocalFile.open(self.path, self.whole, (self.offset, self.size))


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A piece of an answer that is a range of an open file: `size` bytes from `offset` on.

    `source` is how to open it again.
    """

    file: BinaryIO
    size: int
    offset: int
    source: FileRange

    @classmethod
    def open(cls, path: Path | str, whole: int, part: tuple[int, int] | None = None) -> LocalFile:
        """Open a file of `whole` bytes, of which a `part` (offset, size) is meant, or all.

        Raises `FileNotFoundError`, or `WrongSize` when it has another size.
        """
        file = open(path, "rb", buffering=0)  # noqa: PTH123, SIM115  # each costs a request dear
        found = os.fstat(file.fileno()).st_size
        if found != whole:
            file.close()
            raise WrongSize(found)
        offset, size = part or (0, whole)
        return cls(file, size, offset, FileRange(path, whole, size, offset))

    def part(self, offset: int, size: int) -> Iterator[LocalFile]:
        """A range of this one, as the only piece."""
        start, whole = self.offset + offset, self.source
        source = FileRange(whole.path, whole.whole, size, start)
        yield LocalFile(self.file, size, start, source)

    def read(self) -> Iterator[bytes]:
        """The bytes in large pieces; raises OSError when the file is shorter than it was."""
        offset, end = self.offset, self.offset + self.size
        while offset < end:
            data = os.pread(self.file.fileno(), min(_READ, end - offset), offset)
            if not data:
                raise OSError("a file is shorter than it was")
            offset += len(data)
            yield data


Piece = bytes | LocalFile


class _Reader:
    """Files go out like everything else."""

    def hold(self) -> None:
        """Nothing is to be held back."""

    def release(self) -> None:
        """Nothing was held back."""

    def send(self, piece: LocalFile) -> Iterator[bytes]:
        """The bytes of a file."""
        return piece.read()


class _Kernel:
    """Files go past us to the socket.

    gunicorn writes what a generator yields before it asks for more, so the generator itself may
    write to the socket in between: not through TLS, and not into chunks.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._held = False

    def hold(self) -> None:
        """From now on only full packets go out: the client wakes up once for what belongs together.

        What is slow to come is held back for 200 ms at most (tcp(7), TCP_CORK).
        """
        if not self._held and self._connection.family in (socket.AF_INET, socket.AF_INET6):
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, True)
            self._held = True

    def release(self) -> None:
        """Send what was held back."""
        if self._held:
            self._held = False
            with suppress(OSError):  # of a connection that broke
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, False)

    def send(self, piece: LocalFile) -> Iterator[bytes]:
        """Send a file; nothing is left to be sent. Raises OSError if it is shorter than it was."""
        offset, end = piece.offset, piece.offset + piece.size
        while offset < end:
            sent = os.sendfile(self._connection.fileno(), piece.file.fileno(), offset, end - offset)
            if sent == 0:
                raise OSError("a file is shorter than it was")
            offset += sent
        return iter(())


def sender(environ: Mapping[str, Any], length: int | None) -> _Reader | _Kernel:
    """How files inside of the answer to a request go out; `length` is that of the answer."""
    connection: Any = environ.get("gunicorn.socket")
    plain = type(connection) is socket.socket and environ["wsgi.url_scheme"] == "http"
    http1 = environ.get("SERVER_PROTOCOL", "").startswith("HTTP/1")
    if length is None or not plain or not http1 or environ["REQUEST_METHOD"] == "HEAD":
        return _Reader()
    return _Kernel(connection)


def coalesced(pieces: Iterable[Piece], way: _Reader | _Kernel) -> Iterator[bytes]:
    """Small pieces joined: each that goes out costs a system call, and each join a copy."""
    try:
        yield from _coalesced(pieces, way)
    finally:
        way.release()


def _coalesced(pieces: Iterable[Piece], way: _Reader | _Kernel) -> Iterator[bytes]:
    pending: list[bytes] = []
    size = 0
    for piece in pieces:
        if isinstance(piece, LocalFile):
            with piece.file:
                way.hold()
                # Even if it is empty: gunicorn sends the head of the answer for it.
                yield b"".join(pending)
                pending, size = [], 0
                yield from way.send(piece)
            continue
        if len(piece) >= _ALONE:
            if pending:
                yield b"".join(pending)
                pending, size = [], 0
            yield piece
            continue
        pending.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            yield b"".join(pending)
            pending, size = [], 0
    if pending:
        yield b"".join(pending)
