"""Paths of the Studies resources (PS3.18, 10.1.1), relative to the base URL."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from dicomweb_server.ps318.errors import BadRequest

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*\Z")
_LONGEST_UID: Final = 64
_MOST_DIGITS: Final = 1000
"""Of a frame number: no object has so many frames, but whether it has is not asked here."""
_SAFE: Final = ":@!$&'()*+,;=~"  # what RFC 3986 lets stand in a segment


def is_uid(text: str) -> bool:
    """Whether a text is a UID: numbers and dots, at most 64 characters (PS3.5, 9.1).

    Zeros at the front of a number, which the standard forbids and devices write, are let pass.
    """
    return len(text) <= _LONGEST_UID and _UID.match(text) is not None


@lru_cache(maxsize=1024)
def segment(text: str) -> str:
    """A text as one segment of a path, percent-encoded."""
    encoded = quote(text, safe=_SAFE)
    # "." and ".." would be resolved away
    return encoded.replace(".", "%2E") if encoded in (".", "..") else encoded


@dataclass(frozen=True, slots=True)
class Resource:
    """A study, a series or an instance by its UIDs.

    Raises ValueError for an instance without its series.
    """

    study: str
    series: str | None = None
    instance: str | None = None

    def __post_init__(self) -> None:
        if self.instance is not None and self.series is None:
            raise ValueError("An instance is addressed below its series.")

    @property
    def path(self) -> str:
        """`studies/S`, `studies/S/series/E` or `studies/S/series/E/instances/I`."""
        path = f"studies/{segment(self.study)}"
        if self.series is not None:
            path += f"/series/{segment(self.series)}"
        if self.instance is not None:
            path += f"/instances/{segment(self.instance)}"
        return path

    def url(self, base_url: str) -> str:
        """The RetrieveURL (0008,1190). `base_url` with or without a slash at its end."""
        return f"{base_url.rstrip('/')}/{self.path}"

    def metadata(self) -> str:
        """Path of the metadata."""
        return f"{self.path}/metadata"

    def frames(self, numbers: Iterable[int] = ()) -> str:
        """Path of frames, counted from 1; without numbers of all frames."""
        listed = ",".join(map(str, numbers))
        return f"{self.path}/frames/{listed}" if listed else f"{self.path}/frames"

    def rendered(self, frame: int | None = None) -> str:
        """Path of the rendered resource, or of one rendered frame, counted from 1."""
        return f"{self.path if frame is None else self.frames([frame])}/rendered"

    def thumbnail(self, frame: int | None = None) -> str:
        """Path of the thumbnail, or of the thumbnail of one frame, counted from 1."""
        return f"{self.path if frame is None else self.frames([frame])}/thumbnail"

    def bulk(self, attribute_path: Iterable[str | int]) -> str:
        """Path of bulk data; `attribute_path`: a tag, or sequence, item (from 1), tag, ..."""
        steps = (segment(str(step).lower()) for step in attribute_path)
        return "/".join((self.path, "bulk", *steps))


def parse_frame_list(text: str) -> tuple[int, ...]:
    """The frame numbers of a list such as `1,3` (PS3.18, 10.4.1.1.6).

    `text` is percent-decoded. Frames count from 1; order and repetitions are kept. Raises
    BadRequest if an item is missing, no number, or 0.
    """
    numbers = list[int]()
    for item in text.split(","):
        digits = item.strip()
        usable = digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS
        number = int(digits) if usable else 0
        if number < 1:
            raise BadRequest(
                f"{item[:40]!r} in the frame list is not a frame number;"
                " possible are numbers from 1, separated by commas."
            )
        numbers.append(number)
    return tuple(numbers)
