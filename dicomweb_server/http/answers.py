"""Answers: chosen by `Accept`, conditional, compressed, streamed, or a range of a file."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from flask import Response, request
from werkzeug.wsgi import wrap_file

from dicomweb_server.http.access import current_context
from dicomweb_server.http.conditions import PRIVATE, VARY, with_etag
from dicomweb_server.http.errors import HttpError
from dicomweb_server.http.pieces import FileRange, Piece, WrongSize, coalesced, sender
from dicomweb_server.http.repeatable import recording_of
from dicomweb_server.ps318.accept import Match, Offer, negotiate
from dicomweb_server.ps318.charsets import negotiate_charset
from dicomweb_server.ps318.media_types import format_media_type
from dicomweb_server.services.metadata import compressed_pieces
from dicomweb_server.settings import COMPRESSION

_COMPRESS_FROM = 2048
_BLOCK = 1 << 18
# Names of units have no case (RFC 9110, 14.1); longer numbers would only cost time.
_RANGE = re.compile(r"bytes=([0-9]{0,40})-([0-9]{0,40})\Z", re.IGNORECASE)


def choose(offers: Sequence[Offer]) -> Match:
    """What the client wants of what can be had (PS3.18 8.7.8); raises NotAcceptable."""
    environ = request.environ
    query = request.args.get("accept") if "accept=" in environ["QUERY_STRING"] else None
    return negotiate(environ.get("HTTP_ACCEPT"), offers, query_accept=query)


@dataclass(frozen=True, slots=True)
class TextForm:
    """The form of an answer of text: `charset` is "" unless the client asked for one by name."""

    offer: Offer
    charset: str

    @property
    def content_type(self) -> str:
        """The media type of the document, or of each part (PS3.18 8.7.9)."""
        named = [("charset", self.charset)] if self.charset else []
        return format_media_type(self.offer.media_type, named)


def choose_text(offers: Sequence[Offer]) -> TextForm:
    """As `choose`, for text: the character set is negotiated too (PS3.18 8.8.5).

    Raises NotAcceptable or BadRequest if the client does not take UTF-8.
    """
    match = choose(offers)
    header = request.environ.get("HTTP_ACCEPT_CHARSET")
    listed = (
        request.args.getlist("charset") if "charset=" in request.environ["QUERY_STRING"] else ()
    )
    query = ",".join(listed)
    return TextForm(
        match.offer,
        negotiate_charset(header, query=query, media_range=match.media_range) or "",
    )


def accepts_gzip() -> bool:
    """Whether the answer may be compressed."""
    accepted = request.environ.get("HTTP_ACCEPT_ENCODING", "")
    return (
        "gzip" in accepted
        and bool(request.accept_encodings["gzip"])
        and current_context().config[COMPRESSION]
    )


def json_answer(
    body: bytes, status: int = 200, media_type: str = "application/dicom+json"
) -> Response:
    """A JSON document, compressed when that pays."""
    answer = Response(status=status, content_type=media_type)
    answer.headers["Cache-Control"] = PRIVATE
    answer.headers["Vary"] = VARY
    if len(body) >= _COMPRESS_FROM and accepts_gzip():
        body = gzip.compress(body, 1, mtime=0)
        answer.headers["Content-Encoding"] = "gzip"
    answer.set_data(body)
    return answer


def file_answer(
    path: Path, media_type: str, *, encoding: str = "", size: int | None = None
) -> Response:
    """A whole file, sent by the kernel. Raises `FileNotFoundError`.

    `size`: bytes that it must have; `WrongSize` is raised when it has others.
    """
    file = path.open("rb")
    found = os.fstat(file.fileno()).st_size
    if size not in (None, found):
        file.close()
        raise WrongSize(found)
    answer = Response(
        wrap_file(request.environ, file, _BLOCK), content_type=media_type, direct_passthrough=True
    )
    answer.content_length = found
    if recording := recording_of(request.environ):
        recording.whole(FileRange(path, found, found))
    if encoding:
        answer.headers["Content-Encoding"] = encoding
    return answer


T = TypeVar("T")


def stream_answer(
    pieces: Iterable[Piece], content_type: str, *, length: int | None = None
) -> Response:
    """An answer that is made while it is sent. Its beginning is made before the headers go.

    What fails so early is an error with its status, and no message that breaks off.

    It has no ranges (RFC 9110, 14.3): a second request would make it anew.
    """
    environ = request.environ
    recording = recording_of(environ)
    iterator = iter(pieces) if recording is None else recording.follow(pieces)
    first = next(iterator, b"")
    chunks = coalesced(_chain(first, iterator), sender(environ, length))
    begun = next(chunks, b"")
    answer = Response(
        _chain(begun, chunks),
        content_type=content_type,
        direct_passthrough=True,
    )
    if length is not None:
        answer.content_length = length
    answer.headers["Cache-Control"] = PRIVATE
    answer.headers["Accept-Ranges"] = "none"
    return answer


def text_answer(pieces: Iterator[bytes], content_type: str) -> Response:
    """A text that is made, and compressed for who accepts it, while it is sent."""
    packed = accepts_gzip()
    answer = stream_answer(compressed_pieces(pieces) if packed else pieces, content_type)
    answer.headers["Vary"] = VARY
    if packed:
        answer.headers["Content-Encoding"] = "gzip"
    return answer


def _chain(first: T, rest: Iterator[T]) -> Iterator[T]:
    yield first
    yield from rest


def requested_range(size: int) -> tuple[int, int] | None:
    """(offset, length) of a `Range` header (RFC 9110 14.2); None: the whole is to be sent.

    Raises 416 when the range lies outside. Several ranges and other units are ignored.
    """
    # A range is defined for GET alone (RFC 9110, 14.2).
    header = request.environ.get("HTTP_RANGE") if request.method == "GET" else None
    match = _RANGE.match(header.replace(" ", "")) if header else None
    if match is None or match.group(1) == match.group(2) == "":
        return None
    first, last = match.groups()
    if not first:
        offset, end = max(size - int(last), 0), size
    else:
        offset = int(first)
        end = min(int(last) + 1, size) if last else size
    if last and first and int(last) < int(first):
        return None
    if offset >= size or offset >= end:
        sentence = f"the range {header} lies outside of the {size} bytes that there are"
        raise HttpError(416, sentence, {"Content-Range": f"bytes */{size}"})
    return offset, end - offset


def ranged_answer(
    read: Callable[[int, int], Iterator[Piece]], size: int, media_type: str, etag: str
) -> Response:
    """A value of known size, or the range of it that the client asked for.

    `read(offset, length)` yields the bytes, or the files with them. `If-Range` is heeded.
    """
    condition = request.environ.get("HTTP_IF_RANGE")
    wanted = requested_range(size) if condition in (None, f'"{etag}"') else None
    offset, count = wanted or (0, size)
    answer = stream_answer(read(offset, count), media_type, length=count)
    if wanted:
        answer.status_code = 206
        answer.headers["Content-Range"] = f"bytes {offset}-{offset + count - 1}/{size}"
    answer.headers["Accept-Ranges"] = "bytes"
    return with_etag(answer, etag)


def bytes_answer(data: bytes, media_type: str, etag: str) -> Response:
    """As `ranged_answer`, of what is in memory."""

    def read(offset: int, length: int) -> Iterator[bytes]:
        yield data[offset : offset + length]

    return ranged_answer(read, len(data), media_type, etag)
