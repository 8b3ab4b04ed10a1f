"""Rotation, flip and displayed area of a presentation state (PS3.3 C.10.4, C.10.6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .geometry import pixel_aspect, resize
from .header import Header, number, numbers, text
from .image import Pixels
from .references import items_for
from .view import check_size

DISPLAYED_AREA_SELECTION = "0070005A"
_TOP_LEFT, _BOTTOM_RIGHT = "00700052", "00700053"
_LARGEST_FACTOR = 1000
Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DisplayedArea:
    """Which part of a frame is displayed, how it is turned, and how large it becomes.

    Attributes:
        left, top, right, bottom: edges of the part, in pixels of the frame; they may lie outside.
        turns: clockwise, by 90 degrees each; before the flip.
        flip: whether left and right are exchanged.
        width, height: of what is displayed, in pixels of the result.
    """

    left: int
    top: int
    right: int
    bottom: int
    turns: int
    flip: bool
    width: int
    height: int

    @classmethod
    def of(cls, state: Header, image: Header, rows: int, columns: int) -> DisplayedArea:
        """What a presentation state selects of a frame; the whole frame if it does not say.

        Raises:
            ViewError: the result would be too large.
        """
        attributes = state.attributes
        item = next(items_for(attributes, DISPLAYED_AREA_SELECTION, image), {})
        corners = [numbers(item, tag) for tag in (_TOP_LEFT, _BOTTOM_RIGHT)]
        if any(len(corner) != 2 for corner in corners):
            corners = [[1, 1], [columns, rows]]
        # The corners are those after turning: which is left and which is right must be seen.
        (left, right), (top, bottom) = (
            sorted(int(corner[axis]) for corner in corners) for axis in (0, 1)
        )
        turns = round((number(attributes, "00700042") or 0) / 90) % 4
        flip = text(attributes, "00700041") == "Y"
        check_size(right - left + 1, bottom - top + 1)
        across, down = right - left + 1.0, bottom - top + 1.0
        aspect = _aspect(item, image)
        across, down = (across, down * aspect) if aspect > 1 else (across / aspect, down)
        factor = number(item, "00700103") if text(item, "00700100") == "MAGNIFY" else None
        factor = factor if factor and 0 < factor <= _LARGEST_FACTOR else 1.0
        if turns % 2:
            across, down = down, across
        width, height = max(1, round(across * factor)), max(1, round(down * factor))
        check_size(width, height)
        return cls(left - 1, top - 1, right, bottom, turns, flip, width, height)

    def show(self, pixels: Pixels) -> Pixels:
        """The displayed part of a frame; black outside of it."""
        rows, columns = pixels.shape[:2]
        part = np.zeros(
            (self.bottom - self.top, self.right - self.left, *pixels.shape[2:]), pixels.dtype
        )
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.bottom, rows), min(self.right, columns)
        if top < bottom and left < right:
            inside = pixels[top:bottom, left:right]
            part[top - self.top : bottom - self.top, left - self.left : right - self.left] = inside
        turned = np.rot90(part, -self.turns)
        if self.flip:
            turned = turned[:, ::-1]
        return resize(np.ascontiguousarray(turned), self.height, self.width)

    def place(self, points: Points) -> Points:
        """Where points of the frame (x, y), 0 at its top left corner, lie in the result."""
        across, down = self.right - self.left, self.bottom - self.top
        x, y = points[:, 0] - self.left, points[:, 1] - self.top
        for _ in range(self.turns):
            x, y, across, down = down - y, x, down, across
        if self.flip:
            x = across - x
        return np.stack([x * self.width / across, y * self.height / down], axis=-1)

    def place_displayed(self, points: Points) -> Points:
        """Where points in fractions of the displayed area lie in the result."""
        return points * np.array([self.width, self.height], np.float64)


def _aspect(item: object, image: Header) -> float:
    """Height of a pixel by its width: of the displayed area, else of the image."""
    if isinstance(item, dict):
        for tag in ("00700101", "00700102"):
            pair = numbers(item, tag)
            if len(pair) == 2 and min(pair) > 0 and 0.05 <= pair[0] / pair[1] <= 20:
                return pair[0] / pair[1]
    return pixel_aspect(image)
