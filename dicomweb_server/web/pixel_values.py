"""Compressed Pixel Data as parts of an answer: frames in their media type, or decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flask import Response, request

from dicomweb_server.dicom.transfer_syntaxes import is_uid
from dicomweb_server.http.answers import choose, ranged_answer, stream_answer
from dicomweb_server.http.conditions import not_modified, with_etag
from dicomweb_server.http.resources import base, resource_of, tag_of_records
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.ps318.accept import Offer
from dicomweb_server.ps318.media_types import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    format_media_type,
    is_video,
    media_type_of,
)
from dicomweb_server.ps318.multipart import PART_END, MultipartEncoder
from dicomweb_server.services.frames import FrameService, StoredImage
from dicomweb_server.services.pixel_values import Unit, units


@dataclass(frozen=True, slots=True)
class Form:
    """How compressed Pixel Data go out: in which transfer syntax, and whether as parts."""

    syntax: str
    multipart: bool = True

    @property
    def media_type(self) -> str:
        return media_type_of(self.syntax)

    @property
    def content_type(self) -> str:
        """With the transfer syntax, unless that is the default (PS3.18 8.7.3.3.2)."""
        named = self.syntax != EXPLICIT_VR_LITTLE_ENDIAN and is_uid(self.syntax)
        return format_media_type(
            self.media_type, [("transfer-syntax", self.syntax)] if named else []
        )


def form_of(service: FrameService, stored: str, singles: frozenset[str] = frozenset()) -> Form:
    """What the client takes of Pixel Data that are stored in a transfer syntax.

    Who takes anything gets the default, application/octet-stream, if it can be decoded.

    Args:
        singles: the transfer syntaxes in which there is but one thing to send.

    Raises:
        NotAcceptable: nothing of it; the sentence names what is possible.
    """
    native = service.decodes(stored) and not is_video(stored)
    syntaxes = (EXPLICIT_VR_LITTLE_ENDIAN, stored) if native else (stored,)
    offers = [
        Offer(media_type_of(uid), multipart, frozenset({uid}), as_stored=uid == stored)
        for uid in syntaxes
        for multipart in ((True, False) if uid in singles else (True,))
    ]
    if "HTTP_RANGE" in request.environ:  # a range is of one value
        offers.sort(key=lambda offer: offer.multipart)
    chosen = choose(offers).offer
    uids = chosen.transfer_syntaxes
    syntax = next(iter(uids)) if isinstance(uids, frozenset) else stored
    return Form(syntax, chosen.multipart)


def value(service: FrameService, record: InstanceRecord, image: StoredImage, path: str) -> Response:
    """The answer for the BulkDataURI of compressed Pixel Data."""
    one = image.pixels.number_of_frames == 1 or image.is_video or not image.pixels.frames_known
    singles = {EXPLICIT_VR_LITTLE_ENDIAN, *([image.transfer_syntax] if one else ())}
    form = form_of(service, image.transfer_syntax, frozenset(singles))
    etag = tag_of_records([record], path, form.syntax, "parts" if form.multipart else "one")
    cached = not_modified(etag, weak=form.multipart)
    if cached is not None:
        return cached
    found = units(service, image, form.syntax)
    if not form.multipart:
        return ranged_answer(found[0].read, found[0].size, form.content_type, etag)
    encoder = MultipartEncoder()
    root = base()
    heads = [_head(encoder, record, unit, form, (root, path)) for unit in found]
    sizes = zip(heads, (unit.size for unit in found), strict=True)

    def pieces() -> Iterator[bytes]:
        for start, unit in zip(heads, found, strict=True):
            yield from _part(start, unit)
        yield encoder.closing()

    length = encoder.content_length(sizes)
    answer = stream_answer(pieces(), encoder.content_type(form.media_type), length=length)
    return with_etag(answer, etag, weak=True)


def _head(
    encoder: MultipartEncoder,
    record: InstanceRecord,
    unit: Unit,
    form: Form,
    names: tuple[str, str],
) -> bytes:
    """The header of a part: a frame has an address of its own, all of them that of the value."""
    root, path = names
    resource = resource_of(record)
    below = resource.frames([unit.frame]) if unit.frame else resource.bulk(path.split("/"))
    return encoder.part_header(form.content_type, unit.size, content_location=f"{root}{below}")


def _part(start: bytes, unit: Unit) -> Iterator[bytes]:
    yield start
    yield from unit.read(0, unit.size)
    yield PART_END


@dataclass(frozen=True, slots=True)
class PixelParts:
    """Writes compressed Pixel Data as parts; `forms`: how, by their transfer syntax.

    While they are sent there is no request to ask any more: `root` is the base URL.
    """

    service: FrameService
    encoder: MultipartEncoder
    root: str
    forms: Mapping[str, Form]

    def form(self, record: InstanceRecord) -> Form:
        """How the Pixel Data of an instance go out."""
        return self.forms.get(record.transfer_syntax) or Form(record.transfer_syntax)

    def of(self, record: InstanceRecord, path: str) -> Iterator[bytes]:
        """The parts of one instance, whose Pixel Data have a path."""
        image = self.service.image(record)
        if image is None:
            return
        form = self.form(record)
        for unit in units(self.service, image, form.syntax):
            yield from _part(_head(self.encoder, record, unit, form, (self.root, path)), unit)
