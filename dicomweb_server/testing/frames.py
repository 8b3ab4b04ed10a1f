"""Makers of frames: of every format that the Image Pixel module (PS3.3 C.7.6.3) knows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dicomweb_server.imaging import Image, ImageFormat

_BITS = ((1, 1), (8, 8), (8, 7), (8, 2), (16, 16), (16, 12), (16, 10), (16, 8), (32, 32), (32, 20))
_COLOURS = ("RGB", "YBR_FULL")
ROWS, COLUMNS = 37, 41


def make_format(
    stored: int = 8,
    *,
    allocated: int | None = None,
    rows: int = ROWS,
    columns: int = COLUMNS,
    signed: bool = False,
    photometric: str = "MONOCHROME2",
) -> ImageFormat:
    """A format; three samples if the Photometric Interpretation is of colours."""
    word = 1 if stored == 1 else 8 if stored <= 8 else 16 if stored <= 16 else 32
    samples = 3 if photometric in _COLOURS or photometric.startswith("YBR") else 1
    return ImageFormat(
        rows, columns, samples, allocated or word, stored, stored - 1, signed, photometric
    )


def formats() -> Iterator[ImageFormat]:
    """Formats of all bits, signs and colours, and of images of one pixel, row and column."""
    for allocated, stored in _BITS:
        for signed in (False, True)[: 1 if allocated == 1 else 2]:
            for photometric in ("MONOCHROME2", "PALETTE COLOR", *_COLOURS):
                yield make_format(
                    stored, allocated=allocated, signed=signed, photometric=photometric
                )
    yield make_format(12, photometric="MONOCHROME1")
    for rows, columns in ((1, 1), (1, 100), (100, 1), (3, 2), (130, 67)):
        for stored, photometric in ((8, "RGB"), (12, "MONOCHROME2")):
            yield make_format(stored, rows=rows, columns=columns, photometric=photometric)


def make_image(form: ImageFormat, *, noise: bool = False) -> Image:
    """A smooth image over the whole range of Bits Stored, or noise; the same one every time."""
    chance = np.random.default_rng(form.rows * form.columns + form.stored)
    last = (1 << form.stored) - 1
    if noise:
        numbers = chance.integers(0, last + 1, form.shape)
    else:
        down, across = np.mgrid[: form.rows, : form.columns]
        wave = (np.sin(across / 7) + np.cos(down / 5) + 2) / 4
        planes = [np.clip(wave + 0.1 * sample, 0, 1) for sample in range(form.samples)]
        numbers = np.stack(planes, -1).reshape(form.shape)
        numbers = np.rint(numbers * last).astype(np.int64)
    if form.signed:
        numbers = numbers - (1 << (form.stored - 1))
    return Image(np.ascontiguousarray(numbers.astype(form.dtype)), form)


def describe_format(form: ImageFormat) -> str:
    """A name for a test."""
    sign = "s" if form.signed else "u"
    return f"{form.photometric}-{sign}{form.stored}of{form.allocated}-{form.rows}x{form.columns}"
