"""Bulk data and pixel data (PS3.18 10.4.1.1.5 and 10.4.1.1.6): one value, or all of a resource."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from flask import Response, g, request

from dicomweb_server.dicom import PixelData
from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import choose, ranged_answer, stream_answer
from dicomweb_server.http.conditions import not_modified, with_etag
from dicomweb_server.http.errors import HttpError
from dicomweb_server.http.resources import (
    base,
    located,
    note,
    patients,
    resource_of,
    tag_of_records,
    tag_of_version,
)
from dicomweb_server.http.silence import set_timeout
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.ps318.accept import Offer
from dicomweb_server.ps318.media_types import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    OCTET_STREAM,
    format_media_type,
    is_video,
    media_type_of,
)
from dicomweb_server.ps318.multipart import PART_END, MultipartEncoder
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services import Services, blobs
from dicomweb_server.services.bulk import BulkService, BulkValue


def bulk(resource: Resource, path: str) -> Response:
    """The value of one attribute."""
    service = current_context().services.bulk
    values = service.find(resource, path, g.scope)
    if not values:
        raise HttpError(404, f"{resource.path} has no value at {path}")
    note(resource, [value.record for value in values])
    if len(values) > 1:
        raise HttpError(409, f"{patients(v.record for v in values)} have it each")
    value = values[0]
    many = Offer(OCTET_STREAM, multipart=True)
    one = [Offer(OCTET_STREAM)] if len(value.parts) == 1 else []
    # A range is of one value: multipart has none.
    offers = [*one, many] if "HTTP_RANGE" in request.environ else [many, *one]
    multipart = choose(offers).offer.multipart
    set_timeout()
    form = "parts" if multipart else "one"
    etag = f"{value.record.row:x}-{value.record.blob.key[-32:]}-{value.parts[0][0]:x}-{form}"
    located_at = resource.bulk(path.split("/"))
    cached = not_modified(etag, weak=multipart)
    if cached is not None:
        return located(cached, located_at)
    if multipart:
        answer = with_etag(_bulk_parts(value, f"{base()}{located_at}"), etag, weak=True)
        return located(answer, located_at)
    read = service.read(value)
    answer = ranged_answer(
        lambda offset, length: blobs.stream_range(read, offset, length),
        value.size,
        OCTET_STREAM,
        etag,
    )
    return located(answer, located_at)


def _bulk_parts(value: BulkValue, location: str) -> Response:
    service = current_context().services.bulk
    encoder = MultipartEncoder()
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


def bulk_data(resource: Resource) -> Response:
    """All bulk values of a study, series or instance, each under its BulkDataURI."""
    choose([Offer(OCTET_STREAM, multipart=True)])
    service = current_context().services.bulk
    etag = tag_of_version(resource, "bulkdata")
    found = service.everything(resource, g.scope)
    first = next(found, None)
    if etag is None or first is None:
        raise HttpError(404, f"{resource.path} is not there, or has no bulk data")
    location = f"{resource.path}/bulkdata"
    cached = not_modified(etag, weak=True)
    if cached is not None:
        return located(cached, location)
    set_timeout()
    encoder = MultipartEncoder()
    pieces = _values(service, encoder, chain([first], found), base())
    answer = stream_answer(pieces, encoder.content_type(OCTET_STREAM))
    return located(with_etag(answer, etag, weak=True), location)


def _values(
    service: BulkService,
    encoder: MultipartEncoder,
    values: Iterable[tuple[str, BulkValue]],
    base: str,
) -> Iterator[bytes]:
    for path, value in values:
        location = f"{base}{resource_of(value.record).bulk(path.split('/'))}"
        for number, (_, length) in enumerate(value.parts):
            yield encoder.part_header(OCTET_STREAM, length, content_location=location)
            yield from service.part(value, number)
            yield PART_END
    yield encoder.closing()


def pixel_data(resource: Resource) -> Response:
    """The pixel data of a study, series or instance as it is stored.

    Native pixel data are one part for each instance, compressed ones a part for each frame, in
    the media type of their transfer syntax.
    """
    service = current_context().services.bulk
    found = list(service.pixel_data(resource, g.scope))
    if not found:
        raise HttpError(404, f"{resource.path} is not there, or has no pixel data")
    offers = {_media_type(record, pixels): _offer(record, pixels) for record, pixels in found}
    for offer in offers.values():
        choose([offer])  # each part goes out as it is stored, so each must be acceptable
    etag = tag_of_records((record for record, _ in found), "pixeldata")
    location = f"{resource.path}/pixeldata"
    cached = not_modified(etag, weak=True)
    if cached is not None:
        return located(cached, location)
    set_timeout()
    encoder = MultipartEncoder()
    pieces = _frames(current_context().services, encoder, found, base())
    answer = stream_answer(pieces, encoder.content_type(next(iter(offers))))
    return located(with_etag(answer, etag, weak=True), location)


def _media_type(record: InstanceRecord, pixels: PixelData) -> str:
    return media_type_of(record.transfer_syntax) if pixels.encapsulated else OCTET_STREAM


def _offer(record: InstanceRecord, pixels: PixelData) -> Offer:
    syntax = record.transfer_syntax if pixels.encapsulated else EXPLICIT_VR_LITTLE_ENDIAN
    media_type = _media_type(record, pixels)
    return Offer(media_type, multipart=True, transfer_syntaxes=frozenset({syntax}), as_stored=True)


def _frames(
    services: Services,
    encoder: MultipartEncoder,
    found: Iterable[tuple[InstanceRecord, PixelData]],
    base: str,
) -> Iterator[bytes]:
    for record, pixels in found:
        resource = resource_of(record)
        if not pixels.encapsulated:
            value = services.bulk.native(record, pixels)
            # The URI that the metadata name (PS3.18 10.4.3.3.6).
            location = f"{base}{resource.bulk([pixels.tag])}"
            yield encoder.part_header(OCTET_STREAM, value.size, content_location=location)
            yield from services.bulk.part(value, 0)
            yield PART_END
            continue
        read = blobs.data_reader(services.storages, record)
        for number, ranges in _encoded(record, pixels):
            location = f"{base}{resource.frames([number])}"
            length = sum(size for _, size in ranges)
            syntax = [("transfer-syntax", record.transfer_syntax)]
            content_type = format_media_type(_media_type(record, pixels), syntax)
            yield encoder.part_header(content_type, length, content_location=location)
            for offset, size in ranges:
                yield from blobs.stream_range(read, offset, size)
            yield PART_END
    yield encoder.closing()


def _encoded(
    record: InstanceRecord, pixels: PixelData
) -> Iterator[tuple[int, tuple[tuple[int, int], ...]]]:
    """Number and byte ranges of each frame; of all fragments if they cannot be told apart."""
    if is_video(record.transfer_syntax) or not pixels.frames_known:
        yield 1, tuple((part.offset, part.length) for part in pixels.fragments)
        return
    for number in range(1, pixels.number_of_frames + 1):
        yield number, tuple((part.offset, part.length) for part in pixels.frame(number))
