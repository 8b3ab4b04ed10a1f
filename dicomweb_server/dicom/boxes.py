"""Boxes of the ISO base media file format (ISO/IEC 14496-12, 4.2; JP2: T.800, I.4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .errors import DicomError
from .stream_bytes import StreamBytes


@dataclass(frozen=True, slots=True)
class Box:
    """One box; its content lies from `start` to `end`, and `missing` bytes of it are not there."""

    kind: bytes
    start: int
    end: int
    missing: int = 0


def boxes(data: StreamBytes, start: int, end: int, what: str) -> Iterator[Box]:
    """The boxes that lie one behind the other; content is not read.

    A box that is longer than what is there ends with it: its file may have been cut.

    Raises:
        DicomError: what lies there are no boxes.
    """
    at = start
    while end - at >= 8:  # what is shorter is padding
        size, kind, head = data.number(at, 4, what), data.get(at + 4, 4, what), 8
        if size == 1:
            size, head = data.number(at + 8, 8, what), 16
        if size and size < head:
            raise DicomError(
                f"The {what} has a box of {size} bytes at byte {at}; possible are {head} and more."
            )
        stop = min(at + size, end) if size else end
        yield Box(kind, min(at + head, end), stop, max(at + size - end, 0))
        at = stop


def find_box(data: StreamBytes, box: Box, path: tuple[bytes, ...], what: str) -> Box | None:
    """The first box at a path of kinds within `box`, None if there is none."""
    found: Box | None = box
    for kind in path:
        if found is None:
            return None
        inside = boxes(data, found.start, found.end, what)
        found = next((each for each in inside if each.kind == kind), None)
    return found
