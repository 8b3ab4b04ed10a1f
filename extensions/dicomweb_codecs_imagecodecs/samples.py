"""Samples between the words of a data set and those of a bit stream; what is declared of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dicomweb_server.imaging import Image, ImageFormat
from dicomweb_server.imaging.image import Pixels
from dicomweb_server.interfaces.codecs import CodecError

GREY = frozenset(("MONOCHROME1", "MONOCHROME2"))
INDEXED = "PALETTE COLOR"
_LARGE = 256 << 20
_MOST_BYTES_FROM_ONE = 4096


@dataclass(frozen=True, slots=True)
class Found:
    """What the header of a bit stream says; `signed` is None where it cannot say."""

    what: str
    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool | None = None


def check_declared(found: Found, form: ImageFormat, length: int) -> None:
    """Refuses a frame before it takes memory.

    PS3.5, 8.2: what the data set says must be consistent with the bit stream. A precision above
    Bits Stored is common and loses nothing while it fits into Bits Allocated.

    Raises:
        CodecError: with what was found and what is declared.
    """
    same = (found.rows, found.columns, found.samples) == (form.rows, form.columns, form.samples)
    if not same or found.precision > form.allocated:
        raise CodecError(
            f"The {found.what} has {_words(found)} of {found.precision} bits; declared are "
            f"{_words(form)} of {form.allocated} bits."
        )
    check_size(form, length, found.what)


def check_size(form: ImageFormat, length: int, what: str) -> None:
    """Refuses very large frames out of very few bytes: blank ones, or bombs."""
    if form.array_bytes > max(_LARGE, length * _MOST_BYTES_FROM_ONE):
        raise CodecError(
            f"The {what} has {length} bytes for {form.array_bytes} bytes of pixels; above "
            f"{_LARGE} of these, possible is one for {_MOST_BYTES_FROM_ONE}."
        )


def _words(of: Found | ImageFormat) -> str:
    return f"{of.rows} rows, {of.columns} columns and {of.samples} sample(s)"


def to_words(pixels: Pixels, found: Found, form: ImageFormat, photometric: str) -> Image:
    """Decoded samples as words of the declared Bits Allocated and sign.

    A bit stream without sign, or with fewer bits than a word, holds the low bits of numbers in
    two's complement (PS3.5, 8.1.1).
    """
    spare = 8 * pixels.dtype.itemsize - found.precision
    kind = np.dtype(pixels.dtype.str.replace("u", "i" if form.signed else "u"))
    if form.signed and found.signed is not True:
        pixels = pixels.view(kind)
        if spare:
            pixels = (pixels << spare) >> spare
    elif not form.signed and pixels.dtype.kind == "i":
        pixels = pixels.view(pixels.dtype.str.replace("i", "u"))
        if spare:
            pixels = pixels & pixels.dtype.type((1 << found.precision) - 1)
    rows, columns = pixels.shape[:2]
    now = replace(form, rows=rows, columns=columns, planar=0, photometric=photometric)
    if pixels.shape != now.shape:
        raise CodecError(f"The {found.what} has the shape {pixels.shape}, expected {now.shape}.")
    return Image(pixels.astype(form.dtype, copy=False), now)


def as_declared(form: ImageFormat) -> str:
    """Photometric Interpretation of colours that the bit stream does not transform.

    None of them shares colours between pixels, and what only another codec makes is not there.
    """
    if form.samples == 1:
        return form.photometric
    name = form.photometric.removesuffix("_422")
    return "RGB" if name in ("YBR_RCT", "YBR_ICT", "XYB") else name


def has_whole_values(form: ImageFormat) -> bool:
    """Whether pixels are the low bits of words, of one or three samples (PS3.5, 8.2)."""
    return form.high_bit == form.stored - 1 and form.samples in (1, 3)


def has_photometric(form: ImageFormat, *colours: str, palette: bool = False) -> bool:
    """Whether Photometric Interpretation is grey, or one of those for colours."""
    if form.samples == 1:
        return form.photometric in GREY or (palette and form.photometric == INDEXED)
    return form.samples == 3 and form.photometric in colours


def stored_values(image: Image) -> Pixels:
    """Pixels as numbers of Bits Stored.

    Raises:
        CodecError: something else lies in the bits above (overlays, PS3.5, 8.1.1).
    """
    form, pixels = image.format, image.pixels
    spare = form.allocated - form.stored if form.allocated > 1 else 0
    if not spare or not pixels.size:
        return pixels
    if form.signed:
        numbers = (pixels << spare) >> spare
        cut = pixels & pixels.dtype.type((1 << form.stored) - 1)
        lost = bool(((pixels != numbers) & (pixels != cut)).any())
    else:
        numbers, lost = pixels, bool(int(pixels.max()) >> form.stored)
    if lost:
        raise CodecError(
            f"The frame has bits above its {form.stored} Bits Stored, which would be lost; "
            "possible are uncompressed, deflated and RLE frames."
        )
    return numbers


def narrow(values: Pixels, bits: int, *, signed: bool) -> Pixels:
    """Numbers in the smallest words for so many bits; two's complement if those have no sign."""
    kind = container(bits, signed=signed)
    if not signed and values.dtype.kind == "i":
        values = values & values.dtype.type((1 << bits) - 1 if bits < 8 * values.itemsize else -1)
    # A copy: libraries look at strides, which mean nothing where there is one row or column.
    return np.array(values, kind, order="C")


def container(bits: int, *, signed: bool) -> np.dtype[Any]:
    """The smallest word for so many bits."""
    size = 1 if bits <= 8 else 2 if bits <= 16 else 4
    return np.dtype(f"<{'i' if signed else 'u'}{size}")
