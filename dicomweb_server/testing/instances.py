"""What an index is given, made from DICOM files."""

from __future__ import annotations

import hashlib
from datetime import datetime

from dicomweb_server.dicom import DicomReader, ParsedInstance
from dicomweb_server.interfaces.index import BlobRef, NewInstance, Origin
from dicomweb_server.testing.dicom import make_instance, new_uid


def parse(data: bytes) -> ParsedInstance:
    """What the reader finds in a file."""
    reader = DicomReader()
    reader.feed(data)
    return reader.close()


def new_instance(
    data: bytes | None = None, *, key: str | None = None, storage: str = "default"
) -> NewInstance:
    """A file as `Index.add` takes it; its blob has a fresh key if none is given.

    The bytes are not stored anywhere: an index never reads them.
    """
    content = make_instance() if data is None else data
    return NewInstance(
        parsed=parse(content),
        blob=BlobRef(storage, key or new_uid()),
        size=len(content),
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
        sha256=hashlib.sha256(content).hexdigest(),
        received=datetime(2026, 1, 2, 3, 4, 5),
        origin=Origin("test", "192.0.2.1", "alice"),
    )
