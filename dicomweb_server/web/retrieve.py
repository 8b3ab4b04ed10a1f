"""Retrieve instances (PS3.18 10.4.1.1.1): one, or those of a study or series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from flask import Response, g, request

from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import stream_answer
from dicomweb_server.http.conditions import not_modified, refuse_match, with_etag
from dicomweb_server.http.delivery import content_type_of, instance_answer, open_part
from dicomweb_server.http.errors import HttpError
from dicomweb_server.http.pieces import Piece
from dicomweb_server.http.resources import (
    COUNTED,
    base,
    located,
    missing,
    note,
    patients,
    resource_of,
    tag_of_records,
)
from dicomweb_server.http.silence import set_timeout
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.ps318.accept import Offer
from dicomweb_server.ps318.media_types import DICOM, ZIP
from dicomweb_server.ps318.multipart import PART_END, MultipartEncoder
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services import blobs
from dicomweb_server.services.retrieve import Delivery, RetrieveService, Wanted
from dicomweb_server.web import archives, values
from dicomweb_server.web.negotiated import BULK_DATA, negotiated


def retrieve(resource: Resource) -> Response:
    """The instances of a study or series, or one instance."""
    service = current_context().services.retrieve
    records = service.records(resource, g.scope)
    page = list(islice(records, COUNTED))
    if not page:
        raise missing(resource)
    note(resource, page)
    offer, wanted = negotiated(resource, page)
    set_timeout()
    if offer == BULK_DATA:
        return values.bulk_data(resource)
    if offer.multipart or offer.media_type == ZIP:
        return _several(resource, page, records, (offer, wanted))
    if len(page) > 1:
        raise HttpError(
            409,
            f"{patients(page)} have an instance {resource.instance} each; "
            f"ask for multipart/related to get all of them",
        )
    return located(instance_answer(service.delivery(page[0], wanted)), resource.path)


def _several(
    resource: Resource,
    page: Sequence[InstanceRecord],
    more: Iterator[InstanceRecord],
    form: tuple[Offer, Wanted],
) -> Response:
    """All instances of a resource in one message: `page` has the first ones, or all."""
    offer, wanted = form
    # The boundary is another one each time, so the tag is a weak one.
    etag = ""
    if len(page) < COUNTED:
        how = (offer.media_type, str(wanted), request.args.get("dicomdir", ""))
        etag = tag_of_records(page, *how)
        cached = not_modified(etag, weak=True)
        if cached is not None:
            return located(cached, resource.path)
    else:
        refuse_match()
    if offer.media_type == ZIP:
        answer = archives.answer(resource, wanted)
    else:
        answer = _multipart(page, more, wanted)
    return located(with_etag(answer, etag, weak=True) if etag else answer, resource.path)


def _multipart(
    page: Sequence[InstanceRecord], more: Iterator[InstanceRecord], wanted: Wanted
) -> Response:
    service = current_context().services.retrieve
    parts = _Parts(service, MultipartEncoder(), base())
    deliveries = [service.delivery(record, wanted) for record in page]
    heads: list[bytes | None] = [None] * len(deliveries)
    length: int | None = None
    if len(page) < COUNTED and all(delivery.as_stored for delivery in deliveries):
        heads = [parts.head(delivery) for delivery in deliveries]
        sizes = (delivery.record.size for delivery in deliveries)
        length = parts.encoder.content_length(
            (head, size) for head, size in zip(heads, sizes, strict=True) if head is not None
        )

    def pieces() -> Iterator[Piece]:
        for delivery, head in zip(deliveries, heads, strict=True):
            yield from parts.part(delivery, head)
        for record in more:
            yield from parts.part(service.delivery(record, wanted), None)
        yield parts.encoder.closing()

    return stream_answer(pieces(), parts.encoder.content_type(DICOM), length=length)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Writes instances as parts, each of which says what it is (PS3.18 8.6.1.2, 8.7.9).

    While they are sent there is no request to ask any more: `base` is the base URL.
    """

    service: RetrieveService
    encoder: MultipartEncoder
    base: str

    def head(self, delivery: Delivery) -> bytes:
        """The header of a part."""
        return self.encoder.part_header(
            content_type_of(delivery),
            delivery.record.size if delivery.as_stored else None,
            content_location=resource_of(delivery.record).url(self.base),
        )

    def part(self, delivery: Delivery, head: bytes | None) -> Iterator[Piece]:
        """A whole part; `head` if it was made already."""
        if delivery.as_stored:
            path = blobs.local_path(self.service.storages, delivery.record)
            file = open_part(path, delivery.record)
            if file is not None:
                yield head or self.head(delivery)
                yield file
                yield PART_END
                return
        delivered, content = self.service.at_best(delivery)
        # The first bytes come before the header: a file that is gone must not leave half a part.
        first = next(content, b"")
        yield head or self.head(delivered)
        yield first
        yield from content
        yield PART_END
