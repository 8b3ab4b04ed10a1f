"""One instance as `application/dicom` (PS3.18 10.4.1.1.1 and 9.4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flask import Response, request

from dicomweb_server.dicom.transfer_syntaxes import is_uid
from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import file_answer, ranged_answer, stream_answer
from dicomweb_server.http.conditions import not_modified, with_etag
from dicomweb_server.http.pieces import LocalFile, WrongSize
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.ps318.media_types import DICOM
from dicomweb_server.services import blobs
from dicomweb_server.services.retrieve import Delivery


def content_type_of(delivery: Delivery) -> str:
    """The media type with the transfer syntax.

    What no UID names must not reach a header, wherever it was stored before.
    """
    syntax = delivery.target
    return f"{DICOM}; transfer-syntax={syntax}" if is_uid(syntax) else DICOM


def open_part(
    path: Path | None, record: InstanceRecord, part: tuple[int, int] | None = None
) -> LocalFile | None:
    """The file of an instance, or `part` (offset, size) of it; None if there is none.

    Raises `StorageError` when it has not the bytes that it must have.
    """
    if path is None:
        return None
    try:
        return LocalFile.open(path, record.size, part)
    except FileNotFoundError:
        return None
    except WrongSize as error:
        raise blobs.cut(record, error.found) from error


def instance_answer(delivery: Delivery) -> Response:
    """One file: sent by the kernel, as a range, or converted on the way."""
    service = current_context().services.retrieve
    record = delivery.record
    syntax = delivery.target if is_uid(delivery.target) else ""
    etag = f"{record.row:x}-{record.blob.key[-32:]}-{syntax}-{delivery.as_stored:d}"
    cached = not_modified(etag)
    if cached is not None:
        return cached
    content_type = content_type_of(delivery)
    if not delivery.as_stored:
        delivered, content = service.at_best(delivery)
        return with_etag(stream_answer(content, content_type_of(delivered)), etag)
    path = blobs.local_path(service.storages, record)
    if path is not None and "HTTP_RANGE" not in request.environ:
        try:
            answer = with_etag(file_answer(path, content_type, size=record.size), etag)
            answer.headers["Accept-Ranges"] = "bytes"
            return answer
        except FileNotFoundError:
            pass  # the storage says what is wrong
        except WrongSize as error:
            raise blobs.cut(record, error.found) from error
    read = blobs.reader(service.storages, record)

    def stream(offset: int, length: int) -> Iterator[bytes]:
        return blobs.stream_range(read, offset, length)

    return ranged_answer(stream, record.size, content_type, etag)
