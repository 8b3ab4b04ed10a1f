"""Square pixels, regions and sizes (PS3.3 10.7.1.3, C.7.6.3.1.7; PS3.18 8.3.5.1.3)."""

from __future__ import annotations

import numpy as np
from PIL import Image as Pillow

from .header import Attributes, Header, numbers
from .image import Pixels
from .view import MAX_PIXELS, View, ViewError, Viewport, check_size

PIXEL_MEASURES = "00289110"
_SPACINGS = ("00280030", "00181164", "00182010", "00280034")
_PLAUSIBLE = 20

Box = tuple[float, float, float, float]


def pixel_aspect(header: Header) -> float:
    """Height of a pixel by its width.

    Of Pixel Spacing (of the frame by Pixel Measures Sequence), Imager Pixel Spacing, Nominal
    Scanned Pixel Spacing or Pixel Aspect Ratio. 1 where none tells, or what it tells is beyond all
    pixels that there are (1 to 20).
    """
    for place in (*header.macro(PIXEL_MEASURES), header.attributes):
        for tag in _SPACINGS:
            ratio = _ratio(place, tag)
            if ratio is not None:
                return ratio
    return 1.0


def _ratio(place: Attributes, tag: str) -> float | None:
    pair = numbers(place, tag)
    if len(pair) != 2 or min(pair) <= 0:
        return None
    ratio = pair[0] / pair[1]
    return ratio if 1 / _PLAUSIBLE <= ratio <= _PLAUSIBLE else None


def square_size(rows: int, columns: int, aspect: float) -> tuple[int, int]:
    """(rows, columns) with square pixels: the shorter side of a pixel is enlarged."""
    # Or the longer one is reduced, where that would become too large.
    if (aspect > 1) != (rows * columns * max(aspect, 1 / aspect) > MAX_PIXELS):
        return max(1, round(rows * aspect)), columns
    return rows, max(1, round(columns / aspect))


def fit(pixels: Pixels, aspect: float, how: View) -> Pixels:
    """The frame as large as it is to be shown.

    Args:
        pixels: uint8 or uint16 of shape (rows, columns) or (rows, columns, 3).
        aspect: see `pixel_aspect`.
        how: its `viewport`, else its `size`; neither leaves the frame as large as it is, with
            square pixels.
    """
    rows, columns = pixels.shape[:2]
    if how.viewport is not None:
        return _through(pixels, aspect, how.viewport)
    height, width = square_size(rows, columns, aspect)
    if how.size is not None and max(height, width) > how.size:
        scale = how.size / max(height, width)
        height, width = max(1, round(height * scale)), max(1, round(width * scale))
    return resize(pixels, height, width)


def _through(pixels: Pixels, aspect: float, viewport: Viewport) -> Pixels:
    """A region, as large as the viewport can hold it, in its middle, on black."""
    rows, columns = pixels.shape[:2]
    if not viewport.padded:
        return _within(pixels, aspect, viewport)
    high, wide = square_size(rows, columns, aspect)
    height, width = viewport.height or high, viewport.width or wide
    check_size(width, height)
    canvas = np.zeros((height, width, *pixels.shape[2:]), pixels.dtype)
    box = region(viewport, rows, columns)
    if box is None:
        return canvas
    across, down = box[2] - box[0], (box[3] - box[1]) * aspect
    scale = min(width / across, height / down)
    shown_width = min(width, max(1, round(across * scale)))
    shown_height = min(height, max(1, round(down * scale)))
    shown = _mirrored(resize(pixels, shown_height, shown_width, box), viewport)
    top, left = (height - shown_height) // 2, (width - shown_width) // 2
    canvas[top : top + shown_height, left : left + shown_width] = shown
    return canvas


def _within(pixels: Pixels, aspect: float, viewport: Viewport) -> Pixels:
    """A region, as large as the sides that are named allow; else with its own pixels, made square.

    Raises `ViewError` when nothing is in it.
    """
    rows, columns = pixels.shape[:2]
    box = region(viewport, rows, columns)
    if box is None:
        raise ViewError("The region has no pixels.")
    across, down = box[2] - box[0], (box[3] - box[1]) * aspect
    sides = ((viewport.width, across), (viewport.height, down))
    scales = [limit / side for limit, side in sides if limit is not None]
    scale = min(scales) if scales else max(1, 1 / aspect)
    width, height = max(1, round(across * scale)), max(1, round(down * scale))
    check_size(width, height)
    return _mirrored(resize(pixels, height, width, box), viewport)


def _mirrored(shown: Pixels, viewport: Viewport) -> Pixels:
    if (viewport.region_width or 0) < 0:
        shown = shown[:, ::-1]
    return shown[::-1] if (viewport.region_height or 0) < 0 else shown


def region(viewport: Viewport, rows: int, columns: int) -> Box | None:
    """(left, top, right, bottom) of a region within the frame; None if nothing of it is.

    Signs of `left` and `top` mean nothing: their absolute values count.
    """
    left, right = _clipped(viewport.left, viewport.region_width, columns)
    top, bottom = _clipped(viewport.top, viewport.region_height, rows)
    # A region of less than a hundredth of a pixel has no colour that could be told.
    return (left, top, right, bottom) if min(right - left, bottom - top) > 0.01 else None


def _clipped(start: float, length: float | None, whole: int) -> tuple[float, float]:
    start = abs(start)
    end = whole if length is None else start + abs(length)
    return min(start, whole), min(end, whole)


def resize(pixels: Pixels, height: int, width: int, box: Box | None = None) -> Pixels:
    """A region of an array in another size: bicubic, and antialiased where it becomes smaller."""
    rows, columns = pixels.shape[:2]
    box = box or (0, 0, columns, rows)
    whole = tuple(int(edge) for edge in box)
    if whole == box and (whole[3] - whole[1], whole[2] - whole[0]) == (height, width):
        return pixels[whole[1] : whole[3], whole[0] : whole[2]]
    check_size(width, height)
    deep = pixels.dtype == np.uint16
    source = Pillow.fromarray(pixels.astype(np.float32) if deep else np.ascontiguousarray(pixels))
    made = np.asarray(
        source.resize((width, height), Pillow.Resampling.BICUBIC, box, reducing_gap=3.0)
    )
    return np.clip(np.rint(made), 0, 65535).astype(np.uint16) if deep else made
