"""Display shutters (PS3.3 C.7.6.11, C.7.6.15)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw

from .header import Header, number, numbers, values
from .image import Image, Pixels
from .overlays import on_frame, overlay_plane

Mask = NDArray[np.bool_]

SHUTTER_SHAPE = "00181600"
SHUTTER_PRESENTATION_VALUE = "00181622"
SHUTTER_OVERLAY_GROUP = "00181623"
_EDGES = ("00181606", "00181608", "00181602", "00181604")


def close(pixels: Pixels, image: Image, state: Header) -> Pixels:
    """A frame in which all that a shutter hides has its Presentation Value, black by default."""
    shapes = [str(shape).strip() for shape in values(state.attributes, SHUTTER_SHAPE)]
    if not shapes:
        return pixels
    size = (pixels.shape[0], pixels.shape[1])
    seen = np.ones(size, bool)
    for shape in shapes:
        seen &= _seen(shape, size, image, state)
    p_value = number(state.attributes, SHUTTER_PRESENTATION_VALUE) or 0
    shut = pixels.copy()
    shut[~seen] = round(min(max(p_value, 0), 65535) * np.iinfo(pixels.dtype).max / 65535)
    return shut


def _seen(shape: str, size: tuple[int, int], image: Image, state: Header) -> Mask:
    rows, columns = np.ogrid[1 : size[0] + 1, 1 : size[1] + 1]
    if shape == "RECTANGULAR":
        edges = [number(state.attributes, tag) for tag in _EDGES]
        top, bottom, left, right = (
            default if edge is None else edge
            for edge, default in zip(edges, (1, size[0], 1, size[1]), strict=True)
        )
        inside: Mask = (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)
        return inside
    center, radius = numbers(state.attributes, "00181610"), number(state.attributes, "00181612")
    if shape == "CIRCULAR" and len(center) == 2 and radius:
        circle: Mask = np.hypot(rows - center[0], columns - center[1]) <= radius
        return circle
    if shape == "POLYGONAL":
        return _polygon(numbers(state.attributes, "00181620"), size)
    if shape == "BITMAP":
        return _bitmap(size, image, state)
    return np.ones(size, bool)


def _polygon(vertices: list[float], size: tuple[int, int]) -> Mask:
    """Inside of vertices that are given as row and column."""
    points = [(x - 1, y - 1) for y, x in zip(vertices[::2], vertices[1::2], strict=False)]
    mask = Pillow.new("1", (size[1], size[0]))
    if len(points) > 2:
        ImageDraw.Draw(mask).polygon(points, fill=1, outline=1)
    return np.asarray(mask, bool) if len(points) > 2 else np.ones(size, bool)


def _bitmap(size: tuple[int, int], image: Image, state: Header) -> Mask:
    """Where the overlay plane that Shutter Overlay Group names is not set."""
    group = int(number(state.attributes, SHUTTER_OVERLAY_GROUP) or 0)
    found = overlay_plane(f"{group:04X}", image, state)
    return np.ones(size, bool) if found is None else ~on_frame(*found, *size)
