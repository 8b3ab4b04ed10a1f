"""Rendered resources as the parts of one message (PS3.18 8.7.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from flask import Response

from dicomweb_server.http.answers import stream_answer
from dicomweb_server.http.conditions import with_etag
from dicomweb_server.http.resources import base
from dicomweb_server.ps318.accept import Offer
from dicomweb_server.ps318.multipart import PART_END, MultipartEncoder
from dicomweb_server.services.presentable import Presentable
from dicomweb_server.services.rendering import RenderService


def picture_offers(
    service: RenderService, *, several: bool = False, parts: bool = False
) -> tuple[Offer, ...]:
    """Pictures as one file, where one can hold what is asked for, and as `parts`."""
    return _offers(service.media_types, service.animated, several=several, parts=parts)


@lru_cache(maxsize=64)
def _offers(
    media_types: tuple[str, ...], animated: frozenset[str], *, several: bool, parts: bool
) -> tuple[Offer, ...]:
    single = [each for each in media_types if each in animated or not several]
    files = tuple(Offer(each) for each in single)
    return files + (tuple(Offer(each, multipart=True) for each in media_types) if parts else ())


@dataclass(frozen=True, slots=True)
class RenderedPart:
    """What is rendered of one instance or frame, and the path of that alone."""

    content_type: str
    size: int
    pieces: Iterable[bytes]
    path: str


def picture_part(data: bytes, media_type: str, path: str) -> RenderedPart:
    """A picture."""
    return RenderedPart(media_type, len(data), (data,), path)


def document_part(form: Presentable, path: str) -> RenderedPart:
    """A video, document or text; raises `DicomError`."""
    content = form.open()
    return RenderedPart(form.content_type, content.size, content.read(0, content.size), path)


def parts_answer(parts: Iterator[RenderedPart], media_type: str, etag: str) -> Response:
    """One part after the other, each made when it is its turn."""
    encoder = MultipartEncoder()
    root = base()

    def pieces() -> Iterator[bytes]:
        for part in parts:
            location = f"{root}{part.path}"
            yield encoder.part_header(part.content_type, part.size, content_location=location)
            yield from part.pieces
            yield PART_END
        yield encoder.closing()

    answer = stream_answer(pieces(), encoder.content_type(media_type))
    return with_etag(answer, etag, weak=True) if etag else answer
