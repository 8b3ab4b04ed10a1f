"""Studies and series rendered (PS3.18 10.4.1.1.3): what stands for all, or a part of each instance.

Pictures come first. Who takes none of them, or asks where there is none, gets videos, documents or
reports, whichever of them the first instance has that has one to the client's taste.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from flask import Response, g

from dicomweb_server.dicom import DicomError
from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import choose
from dicomweb_server.http.conditions import not_modified
from dicomweb_server.http.errors import HttpError
from dicomweb_server.http.pictures import in_type, presentable_answer, single_picture
from dicomweb_server.http.rendered_parts import (
    RenderedPart,
    document_part,
    parts_answer,
    picture_offers,
    picture_part,
)
from dicomweb_server.http.resources import (
    COUNTED,
    located,
    missing,
    note,
    resource_of,
    tag_of_version,
)
from dicomweb_server.http.silence import set_timeout
from dicomweb_server.http.warning import warn
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.ps318.accept import Offer
from dicomweb_server.ps318.errors import NotAcceptable
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services.frames import StoredImage
from dicomweb_server.services.presentable import Presentable
from dicomweb_server.services.rendering import Asked

log = logging.getLogger(__name__)


def rendered_many(resource: Resource, asked: Asked) -> Response:
    """What a study or a series looks like."""
    service = current_context().services.render
    first_of(resource)
    shown, without = service.pictures(resource, g.scope)
    offers = picture_offers(service, parts=True) if shown else ()
    try:
        offer = choose(offers).offer if offers else None
    except NotAcceptable:
        offer = None
    if offer is None:
        answer = _documents(resource, offers)
    elif offer.multipart:
        answer = _each_picture(resource, in_type(asked, offer.media_type))
        if without and answer.status_code == 200:
            warn(answer, f"{without} instances have no pictures and are left out")
    else:
        answer = _picture(resource, in_type(asked, offer.media_type))
    return located(answer, resource.rendered())


def first_of(resource: Resource) -> InstanceRecord:
    """The first instance of a resource, of which the listeners are told; raises `HttpError`."""
    records = current_context().services.retrieve.records(resource, g.scope)
    page = list(islice(records, COUNTED))
    if not page:
        raise missing(resource)
    note(resource, page)
    return page[0]


def of_representative(
    resource: Resource, make: Callable[[InstanceRecord, StoredImage], Response]
) -> Response | None:
    """What is made of the best picture that is not damaged; None if there is no picture.

    Raises what is the matter with the best one if none of those that are tried can be shown.
    """
    problem: Exception | None = None
    service = current_context().services.render
    for record, image in service.representatives(resource, g.scope):
        try:
            return make(record, image)
        except DicomError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return None


# --- pictures -----------------------------------------------------------------------------------


def _picture(resource: Resource, asked: Asked) -> Response:
    def make(record: InstanceRecord, image: StoredImage) -> Response:
        return single_picture(record, image, (1,), asked.view, asked.media_type, asked.quality)

    answer = of_representative(resource, make)
    if answer is None:
        raise HttpError(406, f"nothing in {resource.path} can be rendered as a picture")
    return answer


def _each_picture(resource: Resource, asked: Asked) -> Response:
    services = current_context().services

    def make(record: InstanceRecord) -> RenderedPart | None:
        image = services.frames.image(record)
        if image is None or not services.render.can_show(image):
            return None
        data = services.render.render(record, image, (1,), asked)
        return picture_part(data, asked.media_type, resource_of(record).rendered())

    return _each(resource, asked.media_type, repr(asked), make)


def _each(
    resource: Resource,
    media_type: str,
    how: str,
    make: Callable[[InstanceRecord], RenderedPart | None],
) -> Response:
    """A part of each instance that has one; damaged ones are left out.

    They are looked at while parts are sent, so their number takes no memory. A header tells how
    many of those at the beginning are damaged, the log names all of them.
    """
    services = current_context().services
    etag = tag_of_version(resource, how, "parts") or ""
    cached = not_modified(etag, weak=True)
    if cached is not None:
        return cached
    set_timeout()
    records = services.retrieve.records(resource, g.scope)
    damage = _Damage()
    answer = parts_answer(_whole_ones(make, records, damage), media_type, etag)
    if damage.count:
        warn(answer, f"{damage.count} instances cannot be rendered and are left out")
    return answer


@dataclass
class _Damage:
    """How many instances could not be rendered, and what was the matter with the first."""

    count: int = 0
    first: DicomError | None = None


def _whole_ones(
    make: Callable[[InstanceRecord], RenderedPart | None],
    records: Iterator[InstanceRecord],
    damage: _Damage,
) -> Iterator[RenderedPart]:
    """The parts. Raises what is the matter if there is none: nothing was sent then."""
    kept = 0
    for record in records:
        try:
            part = make(record)
        except DicomError as error:
            log.warning("instance %s is left out of its rendering: %s", record.sop_uid, error)
            damage.count += 1
            damage.first = damage.first or error
            continue
        if part is not None:
            kept += 1
            yield part
    if not kept:
        raise damage.first or HttpError(406, "there is nothing that can be rendered so")


# --- what is no picture -------------------------------------------------------------------------


def _documents(resource: Resource, offers: tuple[Offer, ...]) -> Response:
    """`offers`: what there is beside, to be named to who takes nothing of all that."""
    services = current_context().services
    seen = dict[Offer, None]()
    for record in services.retrieve.records(resource, g.scope):
        forms = services.presentable.of(record)
        own = [Offer(each.media_type, parts) for parts in (False, True) for each in forms]
        if not own:
            continue
        try:
            offer = choose(own).offer
        except NotAcceptable:
            seen |= dict.fromkeys(own)
            continue
        if offer.multipart:
            return _each_document(resource, offer.media_type)
        return presentable_answer(record, _named(forms, offer.media_type))
    possible = (*offers, *seen)
    if possible:
        choose(possible)  # which says that none of them is acceptable
    raise HttpError(406, f"nothing in {resource.path} can be rendered")


def _each_document(resource: Resource, media_type: str) -> Response:
    services = current_context().services

    def make(record: InstanceRecord) -> RenderedPart | None:
        forms = services.presentable.of(record)
        if not any(each.media_type == media_type for each in forms):
            return None
        return document_part(_named(forms, media_type), resource_of(record).rendered())

    return _each(resource, media_type, media_type, make)


def _named(forms: Sequence[Presentable], media_type: str) -> Presentable:
    return next(each for each in forms if each.media_type == media_type)
