"""Retrieve rendered resources and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4 and 8.7.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from flask import Response, request

from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import bytes_answer, choose
from dicomweb_server.http.conditions import not_modified
from dicomweb_server.http.errors import HttpError
from dicomweb_server.http.pictures import (
    check_numbers,
    in_type,
    presentable_answer,
    single_picture,
)
from dicomweb_server.http.rendered_parts import (
    RenderedPart,
    parts_answer,
    picture_offers,
    picture_part,
)
from dicomweb_server.http.resources import located, resource_of, tag_of_records, the_one
from dicomweb_server.http.silence import set_timeout
from dicomweb_server.http.views import quality_of, view_of
from dicomweb_server.imaging import View
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.ps318.accept import Offer
from dicomweb_server.ps318.errors import BadRequest
from dicomweb_server.ps318.paths import Resource, parse_frame_list
from dicomweb_server.services.frames import StoredImage
from dicomweb_server.services.presentable import Presentable
from dicomweb_server.services.rendering import Asked
from dicomweb_server.web.frames import refuse_video
from dicomweb_server.web.rendered_many import first_of, of_representative, rendered_many

_DEPTHS = {"8": False, "16": True}


def rendered(resource: Resource, listed: str | None = None) -> Response:
    """What the resource looks like: pictures, a video, a document, a text."""
    numbers = None if listed is None else parse_frame_list(listed)
    asked = _asked(_view())
    if resource.instance is None:
        return rendered_many(resource, asked)
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
    asked = replace(asked, media_type=choose(picture_offers(service)).offer.media_type)
    location = resource.thumbnail(None if listed is None else number)
    if resource.instance is not None:
        record = the_one(resource)
        image = current_context().services.frames.image(record)
        return located(_thumbnail(record, image, number, asked), location)
    first = first_of(resource)

    def make(record: InstanceRecord, image: StoredImage) -> Response:
        return _thumbnail(record, image, number, asked)

    answer = of_representative(resource, make)
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
        data = services.render.render(record, image, (number,), asked)
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


def _pictures(
    record: InstanceRecord, image: StoredImage, numbers: Sequence[int] | None, asked: Asked
) -> Response:
    """Frames of one image; without `numbers` all in an animation or parts, else the first."""
    service = current_context().services.render
    several = numbers is not None and len(numbers) > 1
    offer = choose(picture_offers(service, several=several, parts=True)).offer
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

    def parts() -> Iterator[RenderedPart]:
        for number in numbers:
            data = service.render(record, image, (number,), asked)
            yield picture_part(data, asked.media_type, where.rendered(number))

    return parts_answer(parts(), asked.media_type, etag)


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
