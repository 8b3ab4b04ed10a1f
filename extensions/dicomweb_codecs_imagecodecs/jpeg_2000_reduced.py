"""JPEG 2000 and HTJ2K at a half, a fourth, ... of their rows and columns, out of fewer subbands.

imagecodecs has no such thing with OpenJPEG; Pillow has.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np

from dicomweb_server.imaging import ImageFormat
from dicomweb_server.imaging.image import Pixels

from .samples import INDEXED, Found

_COD, _SOT = 0xFF52, 0xFF90
_LEVELS = 9
"""Where the decomposition levels stand behind the marker COD (T.800, A.6.1)."""


def reduced(stream: bytes, found: Found, form: ImageFormat, reduce: int) -> Pixels | None:
    """Fewer rows and columns; None where that cannot be, or the bit stream is damaged.

    Indices cannot be averaged, nor can numbers whose sign the bit stream does not know.
    """
    bits = 16 if found.precision > 8 else 8
    possible = found.precision <= 16 if found.samples == 1 else found.precision == bits == 8
    alike = bool(found.signed) == form.signed and form.photometric != INDEXED
    halvings = min(reduce, _levels(stream))
    while not (_agrees(found.rows, halvings) and _agrees(found.columns, halvings)):
        halvings -= 1
    if not (halvings > 0 and possible and alike and found.samples in (1, 3)):
        return None
    values = _decoded(stream, halvings)
    if values is None or values.dtype.itemsize * 8 != bits:
        return None
    # Pillow gives the highest bits of a word, and numbers with a sign moved to begin with 0.
    values = values >> (bits - found.precision)
    if not found.signed:
        return values
    moved = values.astype(np.int32) - (1 << (found.precision - 1))
    return moved.astype(f"<i{bits // 8}")


def _agrees(length: int, halvings: int) -> bool:
    """Whether Pillow, which rounds, expects as many pixels as there are (T.800, B-15)."""
    step = 1 << halvings
    return (length + step // 2) // step == -(-length // step)


def _decoded(stream: bytes, halvings: int) -> Pixels | None:
    from PIL import Image as Pillow

    try:
        with Pillow.open(BytesIO(stream), formats=("JPEG2000",)) as image:
            image.reduce = halvings  # type: ignore[method-assign, assignment] # Pillow wants so
            image.load()
            return np.asarray(image) if image.mode in ("L", "I;16", "RGB") else None
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError):
        return None  # decoding all of it tells what is wrong


def _levels(stream: bytes) -> int:
    """How often rows and columns can be halved, as the main header (T.800, A.3) says."""
    at = 2
    while at + _LEVELS < len(stream):
        marker = int.from_bytes(stream[at : at + 2])
        if marker == _COD:
            return stream[at + _LEVELS]
        if marker == _SOT or marker >> 8 != 0xFF:
            break
        at += 2 + int.from_bytes(stream[at + 2 : at + 4])
    return 0
