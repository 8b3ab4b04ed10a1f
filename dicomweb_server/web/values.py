"""Bulk data and pixel data (PS3.18 10.4.1.1.5 and 10.4.1.1.6): one value, or all of a resource."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from flask import Response, g, request

from dicomweb_server.dicom import PixelData
from dicomweb_server.dicom.transcode import CONVERTIBLE_SYNTAXES
from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import choose, ranged_answer, stream_answer
from dicomweb_server.http.conditions import not_modified, with_etag
from dicomweb_server.http.errors import HttpError
from dicomweb_server.http.resources import (
    COUNTED,
    base,
    located,
    note,
    patients,
    resource_of,
    tag_of_records,
    tag_of_version,
)
from dicomweb_server.http.silence import set_timeout
from dicomweb_server.http.touched import is_noting
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.ps318.accept import Offer
from dicomweb_server.ps318.errors import NotAcceptable
from dicomweb_server.ps318.media_types import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    OCTET_STREAM,
    media_type_of,
)
from dicomweb_server.ps318.multipart import PART_END, MultipartEncoder
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services import Services, blobs
from dicomweb_server.services.bulk import BulkService, BulkValue
from dicomweb_server.web import pixel_values
from dicomweb_server.web.pixel_values import Form, PixelParts, form_of


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
    located_at = resource.bulk(path.split("/"))
    if value.compressed:
        return located(_pixels_value(value.record, path), located_at)
    many = Offer(OCTET_STREAM, multipart=True)
    one = Offer(OCTET_STREAM)
    # A range is of one value: multipart has none.
    offers = [one, many] if "HTTP_RANGE" in request.environ else [many, one]
    multipart = choose(offers).offer.multipart
    set_timeout()
    form = "parts" if multipart else "one"
    etag = f"{value.record.row:x}-{value.record.blob.key[-32:]}-{value.parts[0][0]:x}-{form}"
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


def _pixels_value(record: InstanceRecord, path: str) -> Response:
    service = current_context().services.frames
    image = service.image(record)
    if image is None:
        raise HttpError(404, f"the instance {record.sop_uid} has no value at {path} any more")
    set_timeout()
    return pixel_values.value(service, record, image, path)


def _bulk_parts(value: BulkValue, location: str) -> Response:
    service = current_context().services.bulk
    encoder = MultipartEncoder()
    head = encoder.part_header(OCTET_STREAM, value.size, content_location=location)

    def pieces() -> Iterator[bytes]:
        yield head
        yield from service.part(value, 0)
        yield PART_END
        yield encoder.closing()

    length = encoder.content_length([(head, value.size)])
    return stream_answer(pieces(), encoder.content_type(OCTET_STREAM), length=length)


def bulk_data(resource: Resource) -> Response:
    """All bulk values of a study, series or instance, each under its BulkDataURI."""
    services = current_context().services
    etag = tag_of_version(resource, "bulkdata")
    found = services.bulk.everything(resource, g.scope)
    first = next(found, None)
    if etag is None or first is None:
        raise HttpError(404, f"{resource.path} is not there, or has no bulk data")
    if is_noting():
        note(resource, islice(current_context().index.instances(resource, g.scope), COUNTED))
    forms = _forms(resource)
    values = _acceptable(chain([first], found))
    location = f"{resource.path}/bulkdata"
    etag = "-".join((etag, *(forms[uid].syntax for uid in sorted(forms))))
    cached = not_modified(etag, weak=True)
    if cached is not None:
        return located(cached, location)
    set_timeout()
    encoder = MultipartEncoder()
    parts = PixelParts(services.frames, encoder, base(), forms)
    value = first[1]
    media_type = parts.form(value.record).media_type if value.compressed else OCTET_STREAM
    answer = stream_answer(_values(services.bulk, parts, values), encoder.content_type(media_type))
    return located(with_etag(answer, etag, weak=True), location)


def _forms(resource: Resource) -> dict[str, Form]:
    """How Pixel Data of each compressed transfer syntax go out; raises NotAcceptable."""
    context = current_context()
    stored = context.index.transfer_syntaxes(resource, g.scope)
    service = context.services.frames
    return {uid: form_of(service, uid) for uid in sorted(stored - CONVERTIBLE_SYNTAXES)}


def _acceptable(values: Iterator[tuple[str, BulkValue]]) -> Iterable[tuple[str, BulkValue]]:
    """The values, if the client takes what those are that are not compressed Pixel Data."""
    try:
        choose([Offer(OCTET_STREAM, multipart=True)])
    except NotAcceptable:
        found = list(values)
        if not all(value.compressed for _, value in found):
            raise
        return found
    return values


def _values(
    service: BulkService, parts: PixelParts, values: Iterable[tuple[str, BulkValue]]
) -> Iterator[bytes]:
    encoder = parts.encoder
    for path, value in values:
        if value.compressed:
            yield from parts.of(value.record, path)
            continue
        location = f"{parts.root}{resource_of(value.record).bulk(path.split('/'))}"
        yield encoder.part_header(OCTET_STREAM, value.size, content_location=location)
        yield from service.part(value, 0)
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
    note(resource, (record for record, _ in found))
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
    found: Sequence[tuple[InstanceRecord, PixelData]],
    base: str,
) -> Iterator[bytes]:
    stored = {record.transfer_syntax for record, _ in found}
    parts = PixelParts(services.frames, encoder, base, {uid: Form(uid) for uid in stored})
    for record, pixels in found:
        if pixels.encapsulated:
            yield from parts.of(record, pixels.tag)
            continue
        value = services.bulk.native(record, pixels)
        # The URI that the metadata name (PS3.18 10.4.3.3.6).
        location = f"{base}{resource_of(record).bulk([pixels.tag])}"
        yield encoder.part_header(OCTET_STREAM, value.size, content_location=location)
        yield from services.bulk.part(value, 0)
        yield PART_END
    yield encoder.closing()
