"""Studies and series rendered (PS3.18 10.4.1.1.3): what stands for all, or a part of each instance.

Pictures come first. Who prefers videos, documents or reports, or asks where there is no picture,
gets those of the first instance that has what the client likes best.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from flask import Response, g, request

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
from dicomweb_server.ps318.accept import Offer, accepted_ranges
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
    pictures = picture_offers(service, parts=True) if shown else ()
    others = _other_offers(resource) if without and (not shown or _names_others()) else ()
    if not (pictures or others):
        raise HttpError(406, f"nothing in {resource.path} can be rendered")
    offer = _preferred(pictures, others)
    if offer in others:
        answer = _document(resource, offer)
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


def _preferred(pictures: tuple[Offer, ...], others: tuple[Offer, ...]) -> Offer:
    """What the client likes best; a picture where it likes one as much, as browsers do."""
    match = choose((*pictures, *others))
    if match.offer in others and pictures and "accept" not in request.args:
        with contextlib.suppress(NotAcceptable):
            picture = choose(pictures)
            if picture.media_range.q >= match.media_range.q:
                return picture.offer
    return match.offer


def _names_others() -> bool:
    """Whether the client speaks of anything but pictures, so that others are worth a look."""
    header = request.environ.get("HTTP_ACCEPT", "")
    for text in (header, request.args.get("accept", "")):
        for each in accepted_ranges(text) if text.strip() else ():
            essence = each.essence
            if essence == "multipart/related":
                essence = each.get("type") or "*/*"
            if not essence.startswith(("image/", "*/")):
                return True
    return False


def _other_offers(resource: Resource) -> tuple[Offer, ...]:
    """The forms of all instances that are no pictures, those of the first ones first."""
    services = current_context().services
    found = dict[str, None]()
    for record in services.retrieve.records(resource, g.scope):
        found |= dict.fromkeys(each.media_type for each in services.presentable.of(record))
    return tuple(Offer(each, parts) for parts in (False, True) for each in found)


def _document(resource: Resource, offer: Offer) -> Response:
    """That of the first instance that has it, or of each one."""
    services = current_context().services
    if offer.multipart:
        return _each_document(resource, offer.media_type)
    for record in services.retrieve.records(resource, g.scope):
        forms = services.presentable.of(record)
        if any(each.media_type == offer.media_type for each in forms):
            return presentable_answer(record, _named(forms, offer.media_type))
    raise missing(resource)  # it was deleted meanwhile


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
