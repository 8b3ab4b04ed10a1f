"""Retrieve Frames (PS3.18 10.4.1.1.6, 10.4.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat

from flask import Response, request

from dicomweb_server.dicom.transfer_syntaxes import is_uid
from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import bytes_answer, choose, ranged_answer, stream_answer
from dicomweb_server.http.conditions import not_modified, with_etag
from dicomweb_server.http.delivery import open_part
from dicomweb_server.http.errors import HttpError
from dicomweb_server.http.pictures import check_numbers
from dicomweb_server.http.pieces import LocalFile, Piece
from dicomweb_server.http.resources import base, located, tag_of_records, the_one
from dicomweb_server.http.silence import set_timeout
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.ps318.accept import Match, Offer
from dicomweb_server.ps318.errors import NotAcceptable
from dicomweb_server.ps318.media_types import (
    DEFAULT_TRANSFER_SYNTAXES,
    OCTET_STREAM,
    format_media_type,
    media_type_of,
)
from dicomweb_server.ps318.multipart import PART_END, MultipartEncoder
from dicomweb_server.ps318.paths import Resource, parse_frame_list
from dicomweb_server.services.frames import FrameService, StoredImage

_Found = tuple[InstanceRecord, StoredImage]
_USUAL, _RANGED = (True, False), (False, True)
_FEW = 64
_BY_KERNEL = 1 << 14
"""Bytes of a frame from which on the kernel sends it: to read and copy fewer is as quick."""


def frames(resource: Resource, listed: str | None) -> Response:
    """Frames of an instance; all of them when none is listed."""
    numbers = None if listed is None else parse_frame_list(listed)
    record, image = find_image(resource)
    service = current_context().services.frames
    refuse_video(image, resource)
    if numbers is None:
        numbers = tuple(range(1, image.frame_count + 1))
    check_numbers(image, numbers)
    form = _form(service, image, len(numbers))
    set_timeout()
    answer = _answer(service, (record, image), resource, numbers, form)
    return located(answer, resource.frames(() if listed is None else numbers))


def find_image(resource: Resource) -> tuple[InstanceRecord, StoredImage]:
    """The one instance that a resource names, and its pixel data; raises `HttpError`."""
    record = the_one(resource)
    image = current_context().services.frames.image(record)
    if image is None:
        raise HttpError(404, f"{resource.path} has no pixel data, so it has no frames")
    return record, image


def refuse_video(image: StoredImage, resource: Resource) -> None:
    """Raise `NotAcceptable` that points to the stream of a video: a frame of it is none."""
    if image.is_video:
        raise NotAcceptable(
            f"The frames of a video ({image.transfer_syntax}) cannot be had one by one. "
            f"Possible: the whole stream at {resource.rendered()} or {resource.bulk(['7fe00010'])},"
            f" ranges of bytes (Range) included."
        )


# --- what is sent -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Form:
    """How the frames go out."""

    syntax: str
    multipart: bool

    @property
    def media_type(self) -> str:
        return media_type_of(self.syntax)

    @property
    def content_type(self) -> str:
        """With the transfer syntax (PS3.18 8.7.3.5); what no UID names must not reach a header."""
        named = [("transfer-syntax", self.syntax)] if is_uid(self.syntax) else []
        return format_media_type(self.media_type, named)


def _form(service: FrameService, image: StoredImage, count: int) -> _Form:
    """The stored form when the client takes it, so that nothing is transcoded needlessly.

    A client that takes anything gets what every client understands: native frames.
    """
    syntax = image.delivered_as
    # A range is of one value: multipart has none.
    order = (True,) if count > 1 else _RANGED if "HTTP_RANGE" in request.environ else _USUAL
    stored = _offers((syntax,), order, as_stored=True)
    try:
        match = choose(stored)
    except NotAcceptable:
        match = None
    if match is not None and (image.is_native or _is_meant(match, image)):
        return _Form(syntax, match.offer.multipart)
    others = _offers(tuple(service.targets(image)), order, as_stored=False)
    match = choose((*others, *stored))
    syntaxes = match.offer.transfer_syntaxes
    chosen = next(iter(syntaxes)) if isinstance(syntaxes, frozenset) else syntax
    return _Form(chosen, match.offer.multipart)


def _is_meant(match: Match, image: StoredImage) -> bool:
    """Whether the client named the form, or a choice of forms, and not just anything.

    Octets without a transfer syntax are native ones, though some compressed ones are octets too.
    """
    if match.transfer_syntax is not None:
        return True
    if media_type_of(image.delivered_as) == OCTET_STREAM:
        return False
    essence = match.media_range.essence
    if essence == "multipart/related":
        essence = match.media_range.get("type") or "*/*"
    return essence != "*/*"


@lru_cache(maxsize=256)
def _offers(
    syntaxes: tuple[str, ...], order: tuple[bool, ...], *, as_stored: bool
) -> tuple[Offer, ...]:
    """Each syntax as multipart, or not: in that order.

    Where a media type has several syntaxes, its default comes first (PS3.18 8.7.3.3); for
    `image/*` the media types that most clients know do.
    """
    ordered = sorted(syntaxes, key=_rank)
    return tuple(
        Offer(media_type_of(uid), multipart, frozenset({uid}), as_stored)
        for uid in ordered
        for multipart in order
    )


_KNOWN_BY_MOST = (OCTET_STREAM, "image/jpeg", "image/jp2", "image/jls")


def _rank(uid: str) -> tuple[int, bool]:
    media_type = media_type_of(uid)
    known = media_type in _KNOWN_BY_MOST
    place = _KNOWN_BY_MOST.index(media_type) if known else len(_KNOWN_BY_MOST)
    return place, DEFAULT_TRANSFER_SYNTAXES.get(media_type) != uid


def _answer(
    service: FrameService,
    found: _Found,
    resource: Resource,
    numbers: Sequence[int],
    form: _Form,
) -> Response:
    record, image = found
    how = ("parts" if form.multipart else "one", form.syntax, str(service.limits.quality))
    etag = tag_of_records([record], *how, ",".join(map(str, numbers)))
    cached = not_modified(etag, weak=form.multipart)
    if cached is not None:
        return cached
    if not form.multipart:
        file = _open(service, found, numbers[0], form)
        if file is not None:
            return ranged_answer(file.part, file.size, form.content_type, etag)
        data = service.frame(image, numbers[0], form.syntax)
        return bytes_answer(data, form.content_type, etag)
    parts = _Parts(service, record, image, form, MultipartEncoder(), base(), resource)
    heads = parts.heads(numbers) if form.syntax == image.delivered_as else None
    answer = stream_answer(
        parts.all(numbers, heads),
        parts.encoder.content_type(form.media_type),
        length=None if heads is None else parts.length(numbers, heads),
    )
    return with_etag(answer, etag, weak=True)


def _open(service: FrameService, found: _Found, number: int, form: _Form) -> LocalFile | None:
    """The part of the file that is a frame as it goes out, where the kernel can send it."""
    record, image = found
    part = service.stored_range(image, number) if form.syntax == image.delivered_as else None
    if part is None or part[1] < _BY_KERNEL:
        return None
    return open_part(image.path, record, part)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Writes frames as parts; while they are sent there is no request to ask any more."""

    service: FrameService
    record: InstanceRecord
    image: StoredImage
    form: _Form
    encoder: MultipartEncoder
    base: str
    resource: Resource

    def _head(self, number: int, size: int) -> bytes:
        location = f"{self.base}{self.resource.frames([number])}"
        return self.encoder.part_header(self.form.content_type, size, content_location=location)

    def _size(self, number: int) -> int:
        return self.service.stored_size(self.image, number)

    def heads(self, numbers: Sequence[int]) -> Iterable[bytes]:
        """The headers of the parts with stored frames: those of a few are made only once."""
        made = (self._head(number, self._size(number)) for number in numbers)
        return tuple(made) if len(numbers) <= _FEW else made

    def length(self, numbers: Sequence[int], heads: Iterable[bytes]) -> int:
        """Bytes of the whole message with stored frames."""
        sizes = map(self._size, numbers)
        return self.encoder.content_length(zip(heads, sizes, strict=True))

    def all(self, numbers: Sequence[int], heads: Iterable[bytes] | None) -> Iterator[Piece]:
        """The message; one frame after the other is read, where there are `heads`, or made."""
        if heads is not None and len(numbers) > _FEW:
            heads = self.heads(numbers)
        for number, head in zip(numbers, heads or repeat(b""), strict=False):
            file = _open(self.service, (self.record, self.image), number, self.form)
            if file is not None:
                yield head
                yield file
            elif heads is not None:
                yield head
                yield from self.service.stored_pieces(self.image, number)
            else:
                data = self.service.frame(self.image, number, self.form.syntax)
                yield self._head(number, len(data))
                yield data
            yield PART_END
        yield self.encoder.closing()
