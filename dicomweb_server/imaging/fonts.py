"""The font of burned-in texts, and which letters it has."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_INSTALLED = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf")


@lru_cache(32)
def font_of(size: int, path: str = "") -> Font:
    """The font of a file, else one of the system that has Latin, Greek and Cyrillic letters.

    Pillow's own where there is none of them.
    """
    for name in (path, *_INSTALLED) if path else _INSTALLED:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def writable(text: str, font: Font) -> str:
    """A text as the font can write it: Pillow's own has ASCII, so accents go, others become "?"."""
    if isinstance(font, ImageFont.FreeTypeFont) and font.getname()[0] != _own_name():
        return text
    plain = "".join(
        letter
        for letter in unicodedata.normalize("NFKD", text)
        if not unicodedata.combining(letter)
    )
    return plain.encode("ascii", "replace").decode("ascii")


@lru_cache(1)
def _own_name() -> str | None:
    own = ImageFont.load_default(10)
    return own.getname()[0] if isinstance(own, ImageFont.FreeTypeFont) else None
