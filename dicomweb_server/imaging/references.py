"""What a presentation state says of which image (PS3.3 C.11.11, and the items of its modules)."""

from __future__ import annotations

from collections.abc import Iterator

from .header import Attributes, Header, items, numbers, text

SOP_INSTANCE_UID = "00080018"
REFERENCED_SERIES = "00081115"
REFERENCED_IMAGES = "00081140"
REFERENCED_SOP_INSTANCE = "00081155"
REFERENCED_FRAMES = "00081160"


def is_referenced(state: Attributes, header: Header) -> bool:
    """Whether a presentation state is for a frame."""
    series = items(state, REFERENCED_SERIES)
    images = [image for each in series for image in items(each, REFERENCED_IMAGES)]
    return any(_is(image, header) for image in images)


def first_frame(state: Attributes, sop_instance_uid: str) -> int:
    """The first frame of an image that a presentation state is for; 1 where it names none."""
    for series in items(state, REFERENCED_SERIES):
        for image in items(series, REFERENCED_IMAGES):
            if text(image, REFERENCED_SOP_INSTANCE) == sop_instance_uid:
                return min(map(int, numbers(image, REFERENCED_FRAMES)), default=1)
    return 1


def items_for(state: Attributes, sequence: str, header: Header) -> Iterator[Attributes]:
    """The items of a module's sequence that are for a frame; those without references are."""
    for item in items(state, sequence):
        images = items(item, REFERENCED_IMAGES)
        if not images or any(_is(image, header) for image in images):
            yield item


def _is(image: Attributes, header: Header) -> bool:
    frames = numbers(image, REFERENCED_FRAMES)
    same = text(image, REFERENCED_SOP_INSTANCE) == text(header.attributes, SOP_INSTANCE_UID)
    return same and (not frames or header.frame in frames)
