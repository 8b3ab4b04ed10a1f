"""multipart/related bodies (PS3.18, 8.6.1.2; RFC 2046, 5.1; RFC 2387): headers and writing.

The decoder lives in `multipart_decoder`; its names are importable from here too.
"""

import uuid
from collections.abc import Iterable, Mapping
from typing import Final

from dicomweb_server.ps318.errors import BadRequest, UnsupportedMediaType
from dicomweb_server.ps318.media_types import (
    MULTIPART_RELATED,
    MediaType,
    format_media_type,
    parse_media_type,
)
from dicomweb_server.ps318.multipart_decoder import (
    End,
    Event,
    Garbage,
    MultipartDecoder,
    PartData,
    PartEnd,
    PartStart,
)

__all__ = [
    "PART_END",
    "End",
    "Event",
    "Garbage",
    "MultipartDecoder",
    "MultipartEncoder",
    "PartData",
    "PartEnd",
    "PartStart",
    "boundary_of",
    "root_type_of",
]

PART_END: Final = b"\r\n"
"""What follows the bytes of every part."""

_LONGEST_BOUNDARY_READ = 200
_LONGEST_BOUNDARY_WRITTEN = 70
_NOT_IN_HEADERS = frozenset("\r\n\0")


def boundary_of(content_type: str | None) -> bytes:
    """The boundary that a `Content-Type` names.

    RFC 2046 allows 1 to 70 characters; up to 200 are read, for some clients send more.
    Raises UnsupportedMediaType if it is not multipart/related, BadRequest if the boundary is
    missing or unusable.
    """
    boundary = _related(content_type).get("boundary")
    if not boundary:
        raise BadRequest(
            f"Content-Type {content_type!r} names no boundary; add boundary=... to it."
        )
    try:
        encoded = boundary.encode("latin-1")
    except UnicodeEncodeError:
        encoded = b""
    if not 1 <= len(encoded) <= _LONGEST_BOUNDARY_READ or not _NOT_IN_HEADERS.isdisjoint(boundary):
        raise BadRequest(
            f"The boundary of Content-Type has {len(boundary)} characters or strange ones;"
            " possible are 1 to 70 visible ASCII characters."
        )
    return encoded


def root_type_of(content_type: str | None) -> MediaType | None:
    """The `type` parameter of a multipart/related `Content-Type`, or None if it has none.

    Raises UnsupportedMediaType if it is not multipart/related, BadRequest if `type` is no media
    type.
    """
    text = _related(content_type).get("type")
    return parse_media_type(text) if text else None


def _related(content_type: str | None) -> MediaType:
    found = parse_media_type(content_type) if content_type else None
    if found is None or found.essence != MULTIPART_RELATED:
        raise UnsupportedMediaType(
            f"Content-Type is {content_type!r}; possible is"
            ' multipart/related; type="application/dicom"; boundary=...'
        )
    return found


class MultipartEncoder:
    """Writes the frame around parts: `part_header()`, the bytes, `PART_END`, ..., `closing()`.

    It keeps no state between calls: parts may be of any number, and their headers be made in
    advance.
    """

    def __init__(self, boundary: str | None = None) -> None:
        """`boundary`: 1 to 70 visible ASCII characters, but none of `",;\\`; None: a random one.

        Raises ValueError for any other.
        """
        self.boundary = uuid.uuid4().hex if boundary is None else boundary
        if not 1 <= len(self.boundary) <= _LONGEST_BOUNDARY_WRITTEN or not all(
            "!" <= each <= "~" and each not in '"\\;,' for each in self.boundary
        ):
            raise ValueError(f"{boundary!r} is no boundary: 1 to 70 visible ASCII characters.")
        self._delimiter = b"--" + self.boundary.encode("ascii")

    def content_type(self, type_: str, parameters: Iterable[tuple[str, str]] = ()) -> str:
        """The `Content-Type` of a message whose parts have the media type `type_`.

        `type` is always quoted and the boundary never, for so real clients expect them.
        """
        text = format_media_type(f'{MULTIPART_RELATED}; type="{type_}"', parameters)
        return f"{text}; boundary={self.boundary}"

    def part_header(
        self,
        content_type: str,
        content_length: int | None = None,
        *,
        content_location: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """The delimiter and headers of one part, up to and with the empty line.

        `content_length`: bytes of the part, None if unknown. Raises ValueError if a value holds a
        line break.
        """
        fields = {} if content_location is None else {"Content-Location": content_location}
        fields["Content-Type"] = content_type
        if content_length is not None:
            fields["Content-Length"] = str(content_length)
        fields["MIME-Version"] = "1.0"
        fields.update(headers or {})
        lines = [f"{name}: {value}\r\n" for name, value in fields.items()]
        text = "".join(lines)
        if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
            raise ValueError(f"A header of a part holds a line break or NUL: {fields!r}")
        return b"%b\r\n%b\r\n" % (self._delimiter, text.encode("utf-8"))

    def closing(self) -> bytes:
        """The last delimiter; a message without parts consists of it alone."""
        return self._delimiter + b"--"

    def content_length(self, parts: Iterable[tuple[bytes, int]]) -> int:
        """Bytes of the whole message, from each part's `part_header()` and its number of bytes."""
        around = sum(len(header) + size + len(PART_END) for header, size in parts)
        return around + len(self.closing())
