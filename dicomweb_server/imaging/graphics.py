"""Graphic annotations of a presentation state (PS3.3 C.10.5, C.10.7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw

from .displayed_area import DisplayedArea, Points
from .fonts import font_of, writable
from .header import Attributes, Header, items, number, numbers, text
from .image import Pixels
from .references import items_for

GRAPHIC_ANNOTATION = "00700001"
GRAPHIC_LAYERS = "00700060"
TEXT_OBJECTS, GRAPHIC_OBJECTS = "00700008", "00700009"
_WHITE = 65535
_ROUND = np.linspace(0, 2 * np.pi, 91)
_BETWEEN = np.linspace(0, 1, 12, endpoint=False)[:, None]


def draw_annotations(
    pixels: Pixels, state: Header, image: Header, area: DisplayedArea, font: str = ""
) -> Pixels:
    """A copy of what is displayed with the texts and graphics of a state, layer by layer."""
    found = list(items_for(state.attributes, GRAPHIC_ANNOTATION, image))
    found.sort(key=lambda item: layer_of(state.attributes, text(item, "00700002"))[0])
    for item in found:
        mask = Pillow.new("L", (area.width, area.height))
        draw = ImageDraw.Draw(mask)
        for graphic in items(item, GRAPHIC_OBJECTS):
            _draw_graphic(draw, graphic, area)
        for label in items(item, TEXT_OBJECTS):
            _draw_text(draw, label, area, font)
        value = layer_of(state.attributes, text(item, "00700002"))[1]
        pixels = paint(pixels, np.asarray(mask), value)
    return pixels


def layer_of(state: Attributes, name: str) -> tuple[float, float]:
    """(order, P-value) of a graphic layer; the last one, in white, if it does not say."""
    for layer in items(state, GRAPHIC_LAYERS):
        if text(layer, "00700002") == name:
            value = number(layer, "00700066")
            return number(layer, "00700062") or 0, _WHITE if value is None else value
    return float("inf"), _WHITE


def paint(pixels: Pixels, mask: NDArray[np.uint8], p_value: float) -> Pixels:
    """A copy with a P-value (0 to 65535) where a mask is 255, mixed where it is less."""
    value = min(max(p_value, 0), 65535) * np.iinfo(pixels.dtype).max / 65535
    share = mask / np.float32(255)
    if pixels.ndim == 3:
        share = share[..., None]
    painted: Pixels = np.rint(pixels + (value - pixels) * share).astype(pixels.dtype)
    return painted


def _points(item: Attributes, tag: str) -> Points:
    flat = numbers(item, tag)
    return np.array(flat[: len(flat) // 2 * 2], np.float64).reshape(-1, 2)


def _placed(points: Points, units: str, area: DisplayedArea) -> Points:
    """Points in pixels of what is displayed."""
    placed = area.place_displayed(points) if units == "DISPLAY" else area.place(points)
    # Far outside nothing is to be seen, and Pillow would count on.
    limit = 20 * max(area.width, area.height)
    return np.clip(np.nan_to_num(placed, nan=-limit), -limit, limit)


def _draw_graphic(draw: ImageDraw.ImageDraw, graphic: Attributes, area: DisplayedArea) -> None:
    kind = text(graphic, "00700023")
    # Of the frame, not of the result, where a circle may be none.
    outline = _outline(kind, _points(graphic, "00700022"))
    placed = _placed(outline, text(graphic, "00700005"), area)
    width = max(1, min(area.width, area.height) // 400)
    line = [(float(x), float(y)) for x, y in placed]
    if kind == "POINT":
        for x, y in line:
            draw.ellipse((x - 2 * width, y - 2 * width, x + 2 * width, y + 2 * width), fill=255)
    elif len(line) > 1:
        if text(graphic, "00700024") == "Y" and len(line) > 2:
            draw.polygon(line, fill=255)
        draw.line(line, fill=255, width=width, joint="curve")


def _outline(kind: str, points: Points) -> Points:
    """A line along the points of a graphic (C.10.5.1.2)."""
    if kind == "CIRCLE" and len(points) >= 2:
        radius = float(np.hypot(*(points[1] - points[0])))
        circle: Points = points[0] + radius * np.stack([np.cos(_ROUND), np.sin(_ROUND)], axis=-1)
        return circle
    if kind == "ELLIPSE" and len(points) >= 4:
        center = (points[0] + points[1]) / 2
        major, minor = (points[1] - points[0]) / 2, (points[3] - points[2]) / 2
        ellipse: Points = center + np.outer(np.cos(_ROUND), major) + np.outer(np.sin(_ROUND), minor)
        return ellipse
    if kind == "INTERPOLATED" and len(points) > 2:
        return _curve(points)
    return points


def _curve(points: Points) -> Points:
    """A Catmull-Rom curve through points; the standard leaves the kind of curve open."""
    closed = bool((points[0] == points[-1]).all())
    before, after = (points[-2], points[1]) if closed else (points[0], points[-1])
    every = np.vstack([before, points, after])
    pieces = []
    for a, b, c, d in zip(every, every[1:], every[2:], every[3:], strict=False):
        t = _BETWEEN
        pieces.append(
            b
            + t
            * ((c - a) / 2 + t * (a - 2.5 * b + 2 * c - d / 2 + t * (1.5 * (b - c) + (d - a) / 2)))
        )
    return np.vstack([*pieces, points[-1:]])


def _draw_text(
    draw: ImageDraw.ImageDraw, label: Attributes, area: DisplayedArea, path: str
) -> None:
    """Text in its box, or beside its anchor, with a line to the anchor if it is to be seen."""
    lines = text(label, "00700006").replace("\r\n", "\n").replace("\r", "\n")
    size = max(10, min(area.width, area.height) // 36)
    font = font_of(size, path)
    lines = writable(lines, font)
    units = text(label, "00700003")
    corners = [_placed(_points(label, tag), units, area) for tag in ("00700010", "00700011")]
    anchor = _placed(_points(label, "00700014"), text(label, "00700004"), area)
    if all(len(corner) for corner in corners):
        box = np.vstack([corner[:1] for corner in corners])
        (left, top), right = box.min(axis=0), box[:, 0].max()
        side = {"CENTER": "ma", "RIGHT": "ra"}.get(text(label, "00700012"), "la")
        x = {"ma": (left + right) / 2, "ra": right}.get(side, left)
        start = (float(x), float(top))
    elif len(anchor):
        side, start = "la", (float(anchor[0, 0]) + size / 2, float(anchor[0, 1]) - size / 2)
    else:
        return
    draw.multiline_text(start, lines, fill=255, font=font, anchor=side)
    if len(anchor) and text(label, "00700015") == "Y":
        x, y = float(anchor[0, 0]), float(anchor[0, 1])
        draw.line([start, (x, y)], fill=255)
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=255)
