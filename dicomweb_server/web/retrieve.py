"""Retrieve instances (PS3.18 10.4.1.1.1): one, or those of a study or series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from flask import Response, g, request

from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import choose, stream_answer
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
from dicomweb_server.ps318.accept import ANY, Offer
from dicomweb_server.ps318.errors import NotAcceptable
from dicomweb_server.ps318.media_types import DICOM, OCTET_STREAM, ZIP
from dicomweb_server.ps318.multipart import PART_END, MultipartEncoder
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services import blobs
from dicomweb_server.services.retrieve import Delivery, RetrieveService
from dicomweb_server.web import archives, values

_BULK_DATA = Offer(OCTET_STREAM, multipart=True)
"""Of an instance resource it means the same as of its bulk data (PS3.18 table 10.4.4-1, note 2)."""


_NAMED = 10
"""Instances that a refusal names."""


def _syntax(
    service: RetrieveService, resource: Resource, page: Sequence[InstanceRecord]
) -> tuple[Offer, str | None]:
    """The form of the answer, and the transfer syntax that was negotiated."""
    many = Offer(DICOM, multipart=True, transfer_syntaxes=ANY, as_stored=True)
    offers = [many]
    if resource.instance is not None:
        one = Offer(DICOM, transfer_syntaxes=ANY, as_stored=True)
        # A range is of one file: multipart has none.
        offers.insert(0 if "HTTP_RANGE" in request.environ else 1, one)
    offers.append(Offer(ZIP, transfer_syntaxes=ANY, as_stored=True))
    match = choose([*offers, _BULK_DATA])
    if match.transfer_syntax in (None, "*"):
        return match.offer, match.transfer_syntax
    # A certain syntax is wanted: only now is it worth finding out which ones there are.
    possible = set(service.possible_syntaxes(resource, g.scope))
    # Instances without a syntax in common can still be had as they are stored.
    stored = [Offer(o.media_type, o.multipart, frozenset(), as_stored=True) for o in offers]
    refused = ""
    while True:
        exact = [
            Offer(o.media_type, o.multipart, frozenset({uid}))
            for o in offers
            for uid in sorted(possible)
        ]
        try:
            match = choose([*exact, *stored, _BULK_DATA])
        except NotAcceptable as error:
            raise NotAcceptable(f"{error}{refused}") from error
        wanted = match.transfer_syntax
        obstacles = service.obstacles(page, wanted) if wanted not in (None, "*") else ()
        if not obstacles:
            return match.offer, wanted
        possible.discard(wanted)
        names = ", ".join(record.sop_uid for record in obstacles[:_NAMED])
        more = "" if len(obstacles) <= _NAMED else f" and {len(obstacles) - _NAMED} more"
        refused += f" These instances cannot be transcoded to {wanted}: {names}{more}."


def retrieve(resource: Resource) -> Response:
    """The instances of a study or series, or one instance."""
    service = current_context().services.retrieve
    records = service.records(resource, g.scope)
    page = list(islice(records, COUNTED))
    if not page:
        raise missing(resource)
    note(resource, page)
    offer, syntax = _syntax(service, resource, page)
    set_timeout()
    if offer == _BULK_DATA:
        return values.bulk_data(resource)
    if offer.multipart or offer.media_type == ZIP:
        return _several(resource, page, records, (offer, syntax))
    if len(page) > 1:
        raise HttpError(
            409,
            f"{patients(page)} have an instance {resource.instance} each; "
            f"ask for multipart/related to get all of them",
        )
    return located(instance_answer(service.delivery(page[0], syntax)), resource.path)


def _several(
    resource: Resource,
    page: Sequence[InstanceRecord],
    more: Iterator[InstanceRecord],
    form: tuple[Offer, str | None],
) -> Response:
    """All instances of a resource in one message: `page` has the first ones, or all."""
    offer, syntax = form
    # The boundary is another one each time, so the tag is a weak one.
    etag = ""
    if len(page) < COUNTED:
        how = (offer.media_type, syntax or "", request.args.get("dicomdir", ""))
        etag = tag_of_records(page, *how)
        cached = not_modified(etag, weak=True)
        if cached is not None:
            return located(cached, resource.path)
    else:
        refuse_match()
    if offer.media_type == ZIP:
        answer = archives.answer(resource, syntax)
    else:
        answer = _multipart(page, more, syntax)
    return located(with_etag(answer, etag, weak=True) if etag else answer, resource.path)


def _multipart(
    page: Sequence[InstanceRecord], more: Iterator[InstanceRecord], syntax: str | None
) -> Response:
    service = current_context().services.retrieve
    parts = _Parts(service, MultipartEncoder(), base())
    deliveries = [service.delivery(record, syntax) for record in page]
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
            yield from parts.part(service.delivery(record, syntax), None)
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
