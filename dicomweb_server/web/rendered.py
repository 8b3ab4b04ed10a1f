"""Retrieve rendered resources and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4 and 8.7.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

from flask import Response, g, request

from dicomweb_server.dicom import DicomError
from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import bytes_answer, choose, stream_answer
from dicomweb_server.http.conditions import not_modified, with_etag
from dicomweb_server.http.errors import HttpError
from dicomweb_server.http.pictures import (
    check_numbers,
    in_type,
    presentable_answer,
    rendered_frames,
    single_picture,
)
from dicomweb_server.http.resources import (
    COUNTED,
    base,
    located,
    missing,
    note,
    resource_of,
    tag_of_records,
    tag_of_version,
    the_one,
)
from dicomweb_server.http.silence import set_timeout
from dicomweb_server.http.views import quality_of, view_of
from dicomweb_server.http.warning import warn
from dicomweb_server.imaging import View
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.ps318.accept import Match, Offer
from dicomweb_server.ps318.errors import BadRequest
from dicomweb_server.ps318.multipart import PART_END, MultipartEncoder
from dicomweb_server.ps318.paths import Resource, parse_frame_list
from dicomweb_server.services.frames import StoredImage
from dicomweb_server.services.presentable import Presentable
from dicomweb_server.services.rendering import Asked, RenderService
from dicomweb_server.web.frames import refuse_video

_DEPTHS = {"8": False, "16": True}


def rendered(resource: Resource, listed: str | None = None) -> Response:
    """What the resource looks like: pictures, a video, a document, a text."""
    numbers = None if listed is None else parse_frame_list(listed)
    asked = _asked(_view())
    if resource.instance is None:
        return _many(resource, asked)
    record = the_one(resource)
    image = current_context().services.frames.image(record)
    path = resource.rendered() if numbers is None else f"{resource.frames(numbers)}/rendered"
    if image is not None and not image.is_video:
        return located(_pictures(record, image, numbers, asked), path)
    if image is not None and numbers is not None:
        refuse_video(image, resource)
    if numbers is not None:
        raise HttpError(404, f"{resource.path} has no frames that could be rendered one by one")
    return located(_presented(record), path)


def thumbnail(resource: Resource, listed: str | None = None) -> Response:
    """A small picture that stands for the resource."""
    service = current_context().services.render
    view = _view()
    asked = _asked(view if view.viewport else replace(view, size=service.thumbnail))
    number = _single_frame(listed)
    asked = replace(asked, media_type=_picture_offer(service).offer.media_type)
    location = resource.thumbnail(None if listed is None else number)
    if resource.instance is not None:
        record = the_one(resource)
        image = current_context().services.frames.image(record)
        return located(_thumbnail(record, image, number, asked), location)
    first = _first(resource)

    def make(record: InstanceRecord, image: StoredImage) -> Response:
        return _thumbnail(record, image, number, asked)

    answer = _best(resource, make)
    return located(answer or _thumbnail(first, None, number, asked), location)


def _thumbnail(
    record: InstanceRecord, image: StoredImage | None, number: int, asked: Asked
) -> Response:
    """A small picture of a frame, or a word for what has none."""
    services = current_context().services
    etag = tag_of_records([record], "thumbnail", repr((number, asked)))
    cached = not_modified(etag)
    if cached is not None:
        return cached
    set_timeout()
    if image is None or not services.render.can_show(image):
        data = services.render.icon(services.presentable.label(record), asked)
    else:
        data = rendered_frames(record, image, (number,), asked)
    return bytes_answer(data, asked.media_type, etag)


def _view() -> View:
    view = view_of(request.args)
    depth = request.args.get("bitdepth", "8")
    if depth not in _DEPTHS:
        raise BadRequest(f"bitdepth={depth[:40]!r} must be 8 or 16.")
    return replace(view, deep=_DEPTHS[depth])


def _asked(view: View) -> Asked:
    return Asked(view, "", quality_of(request.args))


def _single_frame(listed: str | None) -> int:
    numbers = (1,) if listed is None else parse_frame_list(listed)
    if len(numbers) > 1:
        raise BadRequest(f"a thumbnail is of one frame, {len(numbers)} are named")
    return numbers[0]


# --- pictures -----------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _offers(
    media_types: tuple[str, ...], animated: frozenset[str], *, several: bool, parts: bool
) -> tuple[Offer, ...]:
    """As one file, where one can hold what is asked for, and as `parts`."""
    single = [each for each in media_types if each in animated or not several]
    files = tuple(Offer(each) for each in single)
    return files + (tuple(Offer(each, multipart=True) for each in media_types) if parts else ())


def _picture_offer(service: RenderService, *, several: bool = False, parts: bool = False) -> Match:
    return choose(_offers(service.media_types, service.animated, several=several, parts=parts))


def _pictures(
    record: InstanceRecord, image: StoredImage, numbers: Sequence[int] | None, asked: Asked
) -> Response:
    """Frames of one image; without `numbers` all in an animation or parts, else the first."""
    service = current_context().services.render
    several = numbers is not None and len(numbers) > 1
    offer = _picture_offer(service, several=several, parts=True).offer
    if not offer.multipart:
        view, quality = asked.view, asked.quality
        return single_picture(record, image, numbers, view, offer.media_type, quality)
    if numbers is None:
        numbers = range(1, image.frame_count + 1)
    asked = in_type(asked, offer.media_type)
    etag = tag_of_records([record], repr((list(numbers), asked)))
    cached = not_modified(etag, weak=True)
    if cached is not None:
        return cached
    set_timeout()
    check_numbers(image, numbers)
    where = resource_of(record)
    parts = (_Part(record, image, number, where.rendered(number)) for number in numbers)
    return _parts(service, parts, asked, etag)


@dataclass(frozen=True, slots=True)
class _Part:
    record: InstanceRecord
    image: StoredImage
    number: int
    path: str


def _parts(service: RenderService, parts: Iterator[_Part], asked: Asked, etag: str) -> Response:
    encoder = MultipartEncoder()
    root = base()

    def pieces() -> Iterator[bytes]:
        for part in parts:
            data = service.render(part.record, part.image, (part.number,), asked)
            location = f"{root}{part.path}"
            yield encoder.part_header(asked.media_type, len(data), content_location=location)
            yield data
            yield PART_END
        yield encoder.closing()

    answer = stream_answer(pieces(), encoder.content_type(asked.media_type))
    return with_etag(answer, etag, weak=True) if etag else answer


# --- studies and series -------------------------------------------------------------------------


def _many(resource: Resource, asked: Asked) -> Response:
    """A picture of each instance as parts, or the one that stands for all."""
    service = current_context().services.render
    offer = _picture_offer(service, parts=True).offer
    asked = in_type(asked, offer.media_type)
    if offer.multipart:
        return located(_all(resource, asked), resource.rendered())
    _first(resource)

    def make(record: InstanceRecord, image: StoredImage) -> Response:
        return single_picture(record, image, (1,), asked.view, offer.media_type, asked.quality)

    answer = _best(resource, make)
    if answer is None:
        raise HttpError(406, f"nothing in {resource.path} can be rendered as a picture")
    return located(answer, resource.rendered())


def _all(resource: Resource, asked: Asked) -> Response:
    """Instances are looked at while they are sent, so their number takes no memory."""
    services = current_context().services
    _first(resource)
    etag = tag_of_version(resource, repr(asked)) or ""
    cached = not_modified(etag, weak=True)
    if cached is not None:
        return cached
    set_timeout()
    shown, left_out = services.render.pictures(resource, g.scope)
    if not shown:
        raise HttpError(406, f"nothing in {resource.path} can be rendered as {asked.media_type}")
    records = services.retrieve.records(resource, g.scope)
    images = ((record, services.frames.image(record)) for record in records)
    parts = (
        _Part(record, image, 1, resource_of(record).rendered())
        for record, image in images
        if image is not None and services.render.can_show(image)
    )
    answer = _parts(services.render, parts, asked, etag)
    if left_out:
        warn(answer, f"{left_out} instances have no pictures and are left out")
    return answer


def _first(resource: Resource) -> InstanceRecord:
    """The first instance of a resource, of which the listeners are told; raises `HttpError`."""
    records = current_context().services.retrieve.records(resource, g.scope)
    page = list(islice(records, COUNTED))
    if not page:
        raise missing(resource)
    note(resource, page)
    return page[0]


def _best(
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


# --- what is no picture -------------------------------------------------------------------------


def _presented(record: InstanceRecord) -> Response:
    """A video or document as it is stored, or a report as text."""
    services = current_context().services
    found = services.presentable.of(record)
    if not found:
        raise HttpError(406, f"the instance {record.sop_uid} has nothing that can be rendered")
    offers = tuple(Offer(each.media_type) for each in found)
    media_type = choose(offers).offer.media_type
    chosen: Presentable = next(each for each in found if each.media_type == media_type)
    return presentable_answer(record, chosen)
