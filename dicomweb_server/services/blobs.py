"""Reads the bytes of indexed instances, whatever storage they lie in."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from dicomweb_server.dicom.meta import meta_of
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.interfaces.storage import StorageError
from dicomweb_server.services.storages import Storages

CHUNK = 4 << 20
"""Bytes of one read of a download: below 1 MiB the overhead of a read shows."""
_INFLATED = 1 << 18

Read = Callable[[int, int], bytes]
"""`read(offset, length)`: bytes of a file, fewer only at its end."""


def local_path(storages: Storages, record: InstanceRecord) -> Path | None:
    """A file with exactly the bytes of the instance, if its storage has one."""
    return storages.of(record.blob).local_path(record.blob.key)


def cut(record: InstanceRecord, size: int) -> StorageError:
    """The error for a file that is shorter than the index says."""
    return StorageError(
        f"the file of the instance {record.sop_uid} has {size} bytes instead of {record.size}: "
        f"run `dicomweb-server check`"
    )


def reader(storages: Storages, record: InstanceRecord) -> Read:
    """Reads ranges of the stored file."""
    store, key = storages.of(record.blob), record.blob.key
    return lambda offset, length: store.read(key, offset, length)


def data_reader(storages: Storages, record: InstanceRecord) -> Read:
    """Reads ranges as `ParsedInstance` counts them: with a deflated data set inflated."""
    read = reader(storages, record)
    return inflated_reader(read, record.size) if record.deflated else read


def inflated_reader(read: Read, size: int) -> Read:
    """Reads ranges of a file of `size` bytes as if its data set were not deflated."""
    return lambda offset, length: b"".join(_inflated(read, size, offset, length))


def _inflated(read: Read, size: int, offset: int, length: int) -> Iterator[bytes]:
    """A range of the inflated stream: nothing but reading from the start finds it (PS3.5 A.5)."""
    position = meta_of(read, size).end
    if offset < position:
        head = read(offset, min(length, position - offset))
        yield head
        offset, length = offset + len(head), length - len(head)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    at, packed = position, b""
    while length > 0:
        packed = packed or read(position, _INFLATED)
        position += _INFLATED if packed and not inflater.unconsumed_tail else 0
        plain = inflater.decompress(inflater.unconsumed_tail or packed, _INFLATED)
        packed = b""
        if not plain and (inflater.eof or position >= size):
            return
        skip = min(max(offset - at, 0), len(plain))
        piece = plain[skip : skip + length]
        at += len(plain)
        offset, length = offset + len(piece), length - len(piece)
        yield piece


def stream(storages: Storages, record: InstanceRecord) -> Iterator[bytes]:
    """The stored file in large pieces; raises `BlobNotFound` before the first piece."""
    if record.size <= CHUNK:
        whole = storages.of(record.blob).read(record.blob.key, 0, record.size)
        if len(whole) < record.size:
            raise cut(record, len(whole))
        yield whole
        return
    left = record.size
    with storages.of(record.blob).open(record.blob.key) as file:
        while left > 0:
            chunk = file.read(min(CHUNK, left))
            if not chunk:
                raise cut(record, record.size - left)
            left -= len(chunk)
            yield chunk


def stream_range(read: Read, offset: int, length: int) -> Iterator[bytes]:
    """A range of a file in large pieces."""
    end = offset + length
    while offset < end:
        chunk = read(offset, min(CHUNK, end - offset))
        if not chunk:
            raise StorageError("a stored file is shorter than it was; `check` names it")
        offset += len(chunk)
        yield chunk
