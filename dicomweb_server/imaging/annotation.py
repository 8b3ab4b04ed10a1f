"""Texts burned into a rendered frame (PS3.18 8.3.5.1.1)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from .fonts import Font, font_of, writable
from .header import Header, values
from .image import Pixels
from .view import View

_LONGEST = 60
_LINE = 1.25
_PATIENT = (("", "00100020"), ("", "00100030"), ("", "00100040"))
_TECHNIQUE = (
    ("", "00080060"),
    ("", "00080020"),
    ("", "0008103E"),
    ("kVp ", "00180060"),
    ("mAs ", "00181152"),
    ("TR ", "00180080"),
    ("TE ", "00180081"),
    ("TI ", "00180082"),
    ("mm ", "00180050"),
)


def annotate(pixels: Pixels, header: Header, how: View) -> Pixels:
    """A copy of a rendered frame with the texts of `how.annotation`, white with black borders.

    "patient" is at the top: name, ID, birth date, sex. "technique" is at the bottom: modality,
    date, description of the series, and how it was acquired.
    """
    if not how.annotation:
        return pixels
    rows, columns = pixels.shape[:2]
    size = max(8, min(rows, columns) // 32)
    font = font_of(size, how.font)
    white, black = (Pillow.new("L", (columns, rows)) for _ in range(2))
    if "patient" in how.annotation:
        _write(white, black, _patient(header), size // 2, size, font)
    if "technique" in how.annotation:
        lines = _lines(header, _TECHNIQUE)
        top = rows - size // 2 - round(len(lines) * size * _LINE)
        _write(white, black, lines, top, size, font)
    return _blend(pixels, np.asarray(white), np.asarray(black))


def _patient(header: Header) -> list[str]:
    names = [name for name in values(header.attributes, "00100010") if isinstance(name, dict)]
    spelled = [
        str(name.get("Alphabetic") or name.get("Ideographic") or "").replace("^", " ").strip()
        for name in names[:1]
    ]
    return [*filter(None, spelled), *_lines(header, _PATIENT)]


def _lines(header: Header, wanted: Iterable[tuple[str, str]]) -> list[str]:
    found = ((before, values(header.attributes, tag)[:1]) for before, tag in wanted)
    return [(before + _plain(value[0]))[:_LONGEST] for before, value in found if value]


def _plain(value: object) -> str:
    """A value as people write it: "004.000000E+03" is 4000."""
    text = str(value).strip()
    if "." not in text and "E" not in text.upper():
        return text
    try:
        return f"{float(text):.7g}"
    except ValueError:
        return text


def _write(
    white: Pillow.Image, black: Pillow.Image, lines: list[str], top: int, size: int, font: Font
) -> None:
    """Lines one by one: Pillow moves those of several by the width of their border."""
    border = max(1, white.height // 300)
    for mask, stroke in ((black, border), (white, 0)):
        draw = ImageDraw.Draw(mask)
        for number, line in enumerate(lines):
            place = (size // 2, top + round(number * size * _LINE))
            draw.text(
                place, writable(line, font), fill=255, font=font, anchor="la", stroke_width=stroke
            )


def _blend(pixels: Pixels, white: Pixels, black: Pixels) -> Pixels:
    top = np.iinfo(pixels.dtype).max
    bright, dark = white / np.float32(255), black / np.float32(255)
    if pixels.ndim == 3:
        bright, dark = bright[..., None], dark[..., None]
    mixed = pixels * (1 - dark)
    mixed += (top - mixed) * bright
    return np.rint(mixed).astype(pixels.dtype)
