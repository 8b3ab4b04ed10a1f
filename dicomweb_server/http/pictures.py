"""One instance as something to look at (PS3.18 8.7.4): a picture, a video, a document, a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flask import Response

from dicomweb_server.dicom import DicomError
from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import bytes_answer, ranged_answer
from dicomweb_server.http.conditions import not_modified
from dicomweb_server.http.errors import HttpError
from dicomweb_server.http.resources import tag_of_records
from dicomweb_server.http.silence import set_timeout
from dicomweb_server.imaging import View
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.ps318.errors import BadRequest
from dicomweb_server.services.frames import StoredImage
from dicomweb_server.services.presentable import Presentable
from dicomweb_server.services.rendering import Asked


def single_picture(
    record: InstanceRecord,
    image: StoredImage,
    numbers: Sequence[int] | None,
    view: View,
    media_type: str,
    quality: int,
    state: InstanceRecord | None = None,
) -> Response:
    """Frames as one file; without `numbers` the first, or all where the media type is animated.

    `state`: a presentation state that they are shown by.
    """
    if numbers is None:
        animated = current_context().services.render.animated
        last = image.frame_count if media_type in animated else 1
        numbers = range(1, last + 1)
    asked = in_type(Asked(view, media_type, quality), media_type)
    used = [record] if state is None else [record, state]
    etag = tag_of_records(used, repr((list(numbers), False, asked)))
    cached = not_modified(etag)
    if cached is not None:
        return cached
    set_timeout()
    data = current_context().services.render.render(record, image, numbers, asked, state)
    return bytes_answer(data, media_type, etag)


def in_type(asked: Asked, media_type: str) -> Asked:
    """The same in a media type; raises `BadRequest` if that cannot hold what is asked for."""
    deep = current_context().services.render.deep
    if asked.view.deep and media_type not in deep:
        raise BadRequest(
            f"bitdepth=16 is not possible in {media_type}; possible is it in "
            f"{', '.join(sorted(deep))}"
        )
    return replace(asked, media_type=media_type)


def check_numbers(image: StoredImage, numbers: Sequence[int]) -> None:
    """Raise `NoSuchFrame` or `FrameNotLocated` if a frame is not there."""
    for number in numbers:
        image.pixels.frame(number)


def presentable_answer(record: InstanceRecord, chosen: Presentable) -> Response:
    """A video or document as it is stored, or a report as text; raises `HttpError` (406)."""
    etag = tag_of_records([record], "rendered", chosen.media_type)
    cached = not_modified(etag)
    if cached is not None:
        return cached
    set_timeout()
    try:
        content = chosen.open()
    except DicomError as error:
        raise HttpError(406, str(error)) from error
    answer = ranged_answer(content.read, content.size, chosen.content_type, etag)
    # What a stranger stored must not run as a page of this server.
    answer.headers["Content-Security-Policy"] = (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'"
    )
    return answer
