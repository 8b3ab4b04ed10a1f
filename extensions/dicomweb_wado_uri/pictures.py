"""Retrieve Rendered Instance (PS3.18 9.5): a picture, or what else an instance looks like."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from dicomweb_server.http import HttpError, current_context, current_scope, warn
from dicomweb_server.http.pictures import presentable_answer, single_picture
from dicomweb_server.http.resources import note, resource_of
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.ps318.charsets import negotiate_charset
from dicomweb_server.ps318.errors import BadRequest, NotAcceptable
from dicomweb_server.ps318.media_types import JPEG
from dicomweb_server.ps318.paths import Resource
from dicomweb_wado_uri.burned_in import UNCHECKED, check_burned_in
from dicomweb_wado_uri.query import Parameters, PictureQuery, listed, wants_anonymous

_NUMBER_OF_FRAMES = "00280008"
_PRESENTATION_STATES = "1.2.840.10008.5.1.4.1.1.11."


def picture_types() -> list[str]:
    """The media types of pictures, the default of PS3.18 9.3 first."""
    return sorted(current_context().services.render.media_types, key=lambda each: each != JPEG)


def picture(
    record: InstanceRecord, image: Any, parameters: Parameters, media_type: str
) -> Response:
    """One frame, or all of them in a media type that moves if none is named.

    `image` is what `services.frames.image` found.
    """
    anonymous = wants_anonymous(parameters)
    query = PictureQuery.of(parameters)
    if anonymous and query.presentation is not None:
        raise NotAcceptable(
            "A presentation state may draw names, so that anonymize=yes excludes presentationUID."
        )
    state = None if query.presentation is None else _state(record, query.presentation)
    # Of a state that shows several frames there is one picture (9.5.3.3).
    frame = query.frame
    _check_frame(image, frame)
    checked = not anonymous or check_burned_in(record)
    form = image.form
    view = query.view(form.rows, form.columns, anonymous=anonymous)
    numbers = None if frame is None else (frame,)
    if state is not None:
        # Which one is the state's affair: `frameNumber` must not stand beside it (9.5.2.3).
        numbers = (current_context().services.render.frame_by(record, state),)
    answer = single_picture(record, image, numbers, view, media_type, query.quality, state)
    if not checked:
        warn(answer, UNCHECKED)
    if anonymous and query.annotation:
        warn(answer, "annotation was ignored, since anonymize=yes was asked for")
    return answer


def _state(record: InstanceRecord, uids: tuple[str, str]) -> InstanceRecord:
    """The presentation state, which is in the study of its image; raises 400 (9.5.2.3)."""
    series, instance = uids
    found: list[InstanceRecord] = []
    if series.isprintable() and instance.isprintable():
        resource = Resource(record.study_uid, series, instance)
        found = list(current_context().services.retrieve.records(resource, current_scope()))
    found = [each for each in found if each.patient_id == record.patient_id]
    if not found or not found[0].sop_class_uid.startswith(_PRESENTATION_STATES):
        raise BadRequest(
            f"presentationUID is {instance[:80]!r}, and the study of the image has no such "
            f"presentation state in the series {series[:80]!r}."
        )
    note(resource_of(found[0]), found[:1])
    return found[0]


def _check_frame(image: Any, frame: int | None) -> None:
    """Raise 400 for a frame that there cannot be (9.5.2.1), `DicomError` for one that is cut."""
    if frame is None:
        image.pixels.frame(1)
        return
    count = image.frame_count
    if count == 1 and _NUMBER_OF_FRAMES not in image.attributes:
        raise BadRequest("frameNumber is for multi-frame images, and this is none; leave it out.")
    if frame > count:
        raise BadRequest(f"frameNumber is {frame}; possible are 1 to {count}.")
    image.pixels.frame(frame)


def presented(record: InstanceRecord, forms: Any, parameters: Parameters, chosen: str) -> Response:
    """A video, a document or a report. `forms` are what `services.presentable.of` found."""
    form = next(each for each in forms if each.media_type == chosen)
    if wants_anonymous(parameters) and not chosen.startswith("video/"):
        raise HttpError(
            406,
            f"{chosen} cannot be anonymized; possible is contentType=application/dicom, whose "
            f"content is replaced",
        )
    if form.charset:
        header = request.environ.get("HTTP_ACCEPT_CHARSET")
        negotiate_charset(header, query=listed(parameters, "charset"))
    return presentable_answer(record, form)
