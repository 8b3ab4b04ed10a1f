"""Colour frames as RGB of 8 bits (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

import numpy as np
from PIL import Image as Pillow

from dicomweb_server.dicom.errors import DicomError

from .image import Image, ImageFormat, Pixels
from .luts import unsigned

_PARTIAL = np.array(
    [[0.2568, 0.5041, 0.0979], [-0.1482, -0.2910, 0.4392], [0.4392, -0.3678, -0.0714]]
)
_FROM_PARTIAL = np.linalg.inv(_PARTIAL).T.astype(np.float32)
_RGB = frozenset({"RGB", "YBR_ICT", "YBR_RCT", "XYB"})
_FULL = frozenset({"YBR_FULL", "YBR_FULL_422"})
_PARTIALS = frozenset({"YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_PARTIAL"})
_FOUR = frozenset({"ARGB", "CMYK"})


class ColourError(DicomError):
    """Samples and Photometric Interpretation do not tell what colours there are."""


def to_rgb(image: Image) -> Pixels:
    """RGB as uint8 of shape (rows, columns, 3).

    YBR_ICT, YBR_RCT and XYB are taken for RGB: their decoders make it (PS3.5 8.2.4, 8.2.18). More
    than 8 bits are cut to the highest 8, fewer are spread.

    Raises:
        ColourError: Photometric Interpretation does not belong to the samples.
    """
    form = image.format
    if form.samples not in (3, 4) or form.is_float:
        raise ColourError(_sentence(form))
    samples = eight_bits(image.pixels, form)
    if form.samples == 3 and form.photometric in _RGB:
        return samples
    if form.samples == 3 and form.photometric in _FULL:
        return np.asarray(Pillow.frombuffer("YCbCr", _size(form), samples.tobytes()).convert("RGB"))
    if form.samples == 3 and form.photometric in _PARTIALS:
        return _from_partial(samples)
    if form.samples == 4 and form.photometric == "ARGB":
        return np.ascontiguousarray(samples[..., 1:])
    if form.samples == 4 and form.photometric == "CMYK":
        return np.asarray(Pillow.frombuffer("CMYK", _size(form), samples.tobytes()).convert("RGB"))
    raise ColourError(_sentence(form))


def rgb_image(image: Image) -> Image:
    """`to_rgb` as an image."""
    return Image(to_rgb(image), image.format.as_rgb)


def eight_bits(pixels: Pixels, form: ImageFormat) -> Pixels:
    """Samples as uint8: the highest 8 bits of those stored."""
    raw: Pixels = unsigned(pixels, form)
    if form.stored > 8:
        raw = np.right_shift(raw, raw.dtype.type(form.stored - 8))
    if form.stored >= 8:
        return raw.astype(np.uint8, copy=False)
    table = np.rint(np.arange(1 << form.stored) * (255 / ((1 << form.stored) - 1)))
    spread: Pixels = np.take(table.astype(np.uint8), raw)
    return spread


def _size(form: ImageFormat) -> tuple[int, int]:
    return form.columns, form.rows


def _from_partial(samples: Pixels) -> Pixels:
    """YBR_PARTIAL: black is 16 and white 235."""
    moved = samples.astype(np.float32) - np.array([16, 128, 128], np.float32)
    rgb: Pixels = np.clip(np.rint(moved @ _FROM_PARTIAL), 0, 255)
    return rgb.astype(np.uint8)


def _sentence(form: ImageFormat) -> str:
    possible = sorted(_FOUR if form.samples == 4 else _RGB | _FULL | _PARTIALS)
    if form.samples == 1:
        possible = ["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"]
    return (
        f"Photometric Interpretation is {form.photometric!r} with {form.samples} samples; "
        f"possible are {', '.join(possible)}."
    )
