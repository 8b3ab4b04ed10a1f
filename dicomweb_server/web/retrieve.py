"""WADO-RS (PS3.18 10.4): instances, their metadata, and bulk data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import orjson
from flask import Response, g, request

from dicomweb_server.dicom.transfer_syntaxes import is_uid
from dicomweb_server.dicom.xml_model import to_native_xml
from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import (
    LocalFile,
    Piece,
    WrongSize,
    accepts_gzip,
    choose,
    file_answer,
    json_answer,
    not_modified,
    ranged_answer,
    stream_answer,
    with_etag,
)
from dicomweb_server.http.errors import HttpError
from dicomweb_server.http.touched import is_noting, note_touched
from dicomweb_server.http.urls import base_url
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.interfaces.requests import Touched
from dicomweb_server.ps318.accept import ANY, Offer
from dicomweb_server.ps318.media_types import DICOM, DICOM_JSON, DICOM_XML, OCTET_STREAM, ZIP
from dicomweb_server.ps318.multipart import PART_END, MultipartEncoder
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query import parse_include_fields
from dicomweb_server.services import blobs
from dicomweb_server.services.bulk import BulkValue
from dicomweb_server.services.metadata import Version, compressed_pieces
from dicomweb_server.services.retrieve import Delivery, RetrieveService
from dicomweb_server.web import archives, body

_COUNTED = 5000
"""Instances whose sizes are added up for a Content-Length; longer answers go out without."""


def _base() -> str:
    return base_url(current_context().config, request.environ)


def _missing(resource: Resource) -> HttpError:
    return HttpError(404, f"there is no {resource.path}")


def _patients(records: Iterable[InstanceRecord]) -> str:
    """Whose instances these are."""
    return f"the patients {', '.join(repr(record.patient_id) for record in records)}"


# --- instances -----------------------------------------------------------------------------


def _syntax(service: RetrieveService, resource: Resource) -> tuple[Offer, str | None]:
    """The form of the answer, and the transfer syntax that was negotiated."""
    many = Offer(DICOM, multipart=True, transfer_syntaxes=ANY, as_stored=True)
    offers = [many]
    if resource.instance is not None:
        offers.append(Offer(DICOM, transfer_syntaxes=ANY, as_stored=True))
    offers.append(Offer(ZIP, transfer_syntaxes=ANY, as_stored=True))
    match = choose(offers)
    if match.transfer_syntax in (None, "*"):
        return match.offer, match.transfer_syntax
    # A certain syntax is wanted: only now is it worth finding out which ones there are.
    possible = service.possible_syntaxes(resource, g.scope)
    exact = [
        Offer(o.media_type, o.multipart, frozenset({uid}))
        for o in offers
        for uid in sorted(possible)
    ]
    # Instances without a syntax in common can still be had as they are stored.
    stored = [Offer(o.media_type, o.multipart, frozenset(), as_stored=True) for o in offers]
    match = choose([*exact, *stored])
    return match.offer, match.transfer_syntax


def _note(resource: Resource, records: Iterable[InstanceRecord]) -> None:
    """Tell who listens whose instances these are."""
    if is_noting():
        for patient_id in sorted({record.patient_id for record in records}):
            uids = (resource.study, resource.series or "", resource.instance or "")
            note_touched(Touched(*uids, patient_id))


def retrieve(resource: Resource) -> Response:
    """The instances of a study or series, or one instance."""
    service = current_context().services.retrieve
    records = service.records(resource, g.scope)
    page = list(islice(records, _COUNTED))
    if not page:
        raise _missing(resource)
    _note(resource, page)
    offer, syntax = _syntax(service, resource)
    body.set_timeout()
    if offer.media_type == ZIP:
        return archives.answer(resource, syntax)
    if offer.multipart:
        return _multipart(service, page, records, syntax)
    if len(page) > 1:
        raise HttpError(
            409,
            f"{_patients(page)} have an instance {resource.instance} each; "
            f"ask for multipart/related to get all of them",
        )
    return _single(service, service.delivery(page[0], syntax))


def _single(service: RetrieveService, delivery: Delivery) -> Response:
    record = delivery.record
    # What no UID names must not reach a header, wherever it was stored before.
    syntax = delivery.target if is_uid(delivery.target) else ""
    etag = f"{record.row:x}-{record.blob.key[-32:]}-{syntax}-{delivery.as_stored:d}"
    cached = not_modified(etag)
    if cached is not None:
        return cached
    content_type = f"{DICOM}; transfer-syntax={syntax}" if syntax else DICOM
    if not delivery.as_stored:
        return with_etag(stream_answer(service.content(delivery), content_type), etag)
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


def _multipart(
    service: RetrieveService,
    page: Sequence[InstanceRecord],
    more: Iterator[InstanceRecord],
    syntax: str | None,
) -> Response:
    encoder = MultipartEncoder()
    deliveries = [service.delivery(record, syntax) for record in page]
    length: int | None = None
    if len(page) < _COUNTED and all(delivery.as_stored for delivery in deliveries):
        length = encoder.content_length(
            (encoder.part_header(DICOM, d.record.size), d.record.size) for d in deliveries
        )

    def pieces() -> Iterator[Piece]:
        for delivery in deliveries:
            yield from _part(service, encoder, delivery)
        for record in more:
            yield from _part(service, encoder, service.delivery(record, syntax))
        yield encoder.closing()

    return stream_answer(pieces(), encoder.content_type(DICOM), length=length)


def _local_file(path: Path, record: InstanceRecord) -> LocalFile | None:
    """The file of an instance; None if it is gone. Raises `StorageError` when it is cut."""
    try:
        return LocalFile.open(path, record.size)
    except FileNotFoundError:
        return None
    except WrongSize as error:
        raise blobs.cut(record, error.found) from error


def _part(
    service: RetrieveService, encoder: MultipartEncoder, delivery: Delivery
) -> Iterator[Piece]:
    if delivery.as_stored:
        path = blobs.local_path(service.storages, delivery.record)
        if path is not None:
            file = _local_file(path, delivery.record)
            if file is not None:
                yield encoder.part_header(DICOM, file.size)
                yield file
                yield PART_END
                return
    size = delivery.record.size if delivery.as_stored else None
    content = iter(service.content_at_best(delivery))
    # The first bytes come before the header: a file that is gone must not leave half a part.
    first = next(content, b"")
    yield encoder.part_header(DICOM, size)
    yield first
    yield from content
    yield PART_END


# --- metadata ------------------------------------------------------------------------------

_METADATA = (
    Offer(DICOM_JSON),
    Offer(DICOM_XML, multipart=True),
)


def metadata(resource: Resource) -> Response:
    """The metadata of a study, series or instance."""
    offer = choose(_METADATA).offer
    context = current_context()
    service = context.services.metadata
    asked = parse_include_fields(request.args.getlist("includefield"), context.dictionary)
    fields = () if asked.all else asked.tags
    version = service.version(resource, g.scope, _base(), fields)
    if version is None:
        raise _missing(resource)
    if is_noting():
        _note(resource, islice(context.index.instances(resource, g.scope), _COUNTED))
    packed = offer.media_type != DICOM_XML and accepts_gzip()
    etag = version.digest(offer.media_type, "gzip" if packed else "")
    cached = not_modified(etag)
    if cached is not None:
        return cached
    body.set_timeout()
    if offer.media_type == DICOM_XML:
        return with_etag(_metadata_xml(version), etag)
    return with_etag(_metadata_json(version, packed=packed), etag)


def _metadata_json(version: Version, *, packed: bool) -> Response:
    service = current_context().services.metadata
    if version.resource.instance is not None:
        return json_answer(b"".join(service.array(version)))
    path = service.file(version, compressed=packed)
    if path is not None:
        with contextlib.suppress(FileNotFoundError):  # dropped to make room a moment ago
            return file_answer(path, DICOM_JSON, encoding="gzip" if packed else "")
    pieces = service.array(version)
    answer = stream_answer(compressed_pieces(pieces) if packed else pieces, DICOM_JSON)
    if packed:
        answer.headers["Content-Encoding"] = "gzip"
    return answer


def _metadata_xml(version: Version) -> Response:
    encoder = MultipartEncoder()
    context = current_context()
    keyword = context.dictionary.keyword

    def pieces() -> Iterator[bytes]:
        for _, text in context.services.metadata.objects(version):
            document = to_native_xml(orjson.loads(text), keyword)
            yield encoder.part_header(DICOM_XML, len(document)) + document + PART_END
        yield encoder.closing()

    return stream_answer(pieces(), encoder.content_type(DICOM_XML))


# --- bulk data -----------------------------------------------------------------------------


def bulk(resource: Resource, path: str) -> Response:
    """The value of one attribute."""
    service = current_context().services.bulk
    values = service.find(resource, path, g.scope)
    if not values:
        raise HttpError(404, f"{resource.path} has no value at {path}")
    _note(resource, [value.record for value in values])
    if len(values) > 1:
        raise HttpError(409, f"{_patients(v.record for v in values)} have it each")
    value = values[0]
    many = Offer(OCTET_STREAM, multipart=True)
    one = [Offer(OCTET_STREAM)] if len(value.parts) == 1 else []
    # A range is of one value: multipart has none.
    offers = [*one, many] if "HTTP_RANGE" in request.environ else [many, *one]
    multipart = choose(offers).offer.multipart
    body.set_timeout()
    form = "parts" if multipart else "one"
    etag = f"{value.record.row:x}-{value.record.blob.key[-32:]}-{value.parts[0][0]:x}-{form}"
    cached = not_modified(etag)
    if cached is not None:
        return cached
    if multipart:
        return with_etag(_bulk_parts(value, resource, path), etag)
    read = service.read(value)
    return ranged_answer(
        lambda offset, length: blobs.stream_range(read, offset, length),
        value.size,
        OCTET_STREAM,
        etag,
    )


def _bulk_parts(value: BulkValue, resource: Resource, path: str) -> Response:
    service = current_context().services.bulk
    encoder = MultipartEncoder()
    location = f"{_base()}{resource.bulk(path.split('/'))}"
    heads = [
        encoder.part_header(OCTET_STREAM, length, content_location=location)
        for _, length in value.parts
    ]
    length = encoder.content_length(
        (head, part[1]) for head, part in zip(heads, value.parts, strict=True)
    )

    def pieces() -> Iterator[bytes]:
        for number, head in enumerate(heads):
            yield head
            yield from service.part(value, number)
            yield PART_END
        yield encoder.closing()

    return stream_answer(pieces(), encoder.content_type(OCTET_STREAM), length=length)
