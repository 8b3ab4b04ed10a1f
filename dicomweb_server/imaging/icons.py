"""Pictures that stand for what cannot be shown as one: documents, reports, videos."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from .image import Image, ImageFormat

_SIDE = 256
_PAPER, _INK, _GROUND = 235, 70, 0


@lru_cache(maxsize=16)
def icon(label: str) -> Image:
    """A sheet of paper with a label of a few letters: 256 x 256 pixels, MONOCHROME2."""
    picture = Picture.new("L", (_SIDE, _SIDE), _GROUND)
    draw = ImageDraw.Draw(picture)
    draw.polygon([(56, 20), (160, 20), (200, 60), (200, 236), (56, 236)], fill=_PAPER)
    draw.polygon([(160, 20), (160, 60), (200, 60)], fill=_INK)
    font = ImageFont.load_default(size=44 if len(label) < 5 else 30)
    draw.text((128, 150), label, fill=_INK, font=font, anchor="mm")
    return Image(np.array(picture), ImageFormat(_SIDE, _SIDE))
