"""A window for frames of data sets that name none; the standard leaves it to the application."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .header import Header, number, numbers, text
from .image import Image, ImageFormat
from .luts import Numbers, all_stored, stored, stored_range, unsigned
from .modality import Modality, Rescale
from .view import DefaultWindow, Window

_SAMPLE = 1 << 19
_TAILS = (0.005, 0.995)
_SOFT_TISSUE = Window(40, 400)
_PADDING = {False: ("00280120", "00280121"), True: ("00280122", "00280124")}
_DOUBLE_PADDING = ("00280123", "00280125")


def default_window(
    image: Image, header: Header, modality: Modality, rule: DefaultWindow = "Standard"
) -> Window:
    """The window that shows what is in a frame.

    "MinMax" reaches from the least to the greatest value of the frame. "Standard", in this order:

    - segmentations (C.8.20) reach from 0 to Maximum Fractional Value, or 1;
    - unsigned values of up to 8 bits that are not rescaled are shown as they are;
    - CT in Hounsfield units: soft tissue, center 40 and width 400, if the frame has any of it;
    - PET and NM: from 0 to the greatest values;
    - all others: without 0.5 % of the pixels at either end.

    Pixel Padding Value and its range (C.7.5.1.1.2) do not count.
    """
    if rule == "MinMax":
        return _between(*_extremes(image, modality))
    form = image.format
    known = _known(header, form, modality)
    if known is not None:
        return known
    low, high = _percentiles(image, header, modality)
    kind = text(header.attributes, "00080060")
    if kind == "CT" and _is_hounsfield(modality) and low < 240 and high > -160:
        return _SOFT_TISSUE
    if kind in ("PT", "NM"):
        low = min(low, 0.0)
    return _between(low, high)


def _known(header: Header, form: ImageFormat, modality: Modality) -> Window | None:
    """A window that is known without a look at the pixels."""
    if text(header.attributes, "00620001") == "FRACTIONAL":
        return _between(0, number(header.attributes, "0062000E") or 255)
    if form.stored == 1 and not form.is_float:
        return _between(0, 1)
    plain = isinstance(modality, Rescale) and modality.is_identity
    if plain and form.stored <= 8 and not form.signed and not form.is_float:
        labels = text(header.attributes, "00620001") == "LABELMAP"
        return None if labels else _between(*stored_range(form))
    return None


def _is_hounsfield(modality: Modality) -> bool:
    """A CT that is rescaled is in HU unless it says otherwise (C.11.1.1.2)."""
    rescaled = isinstance(modality, Rescale) and not modality.is_identity
    return rescaled and modality.unit in ("", "HU")  # type: ignore[union-attr]


def _between(low: float, high: float) -> Window:
    """The window that makes `low` black and `high` white; a frame of one value is black."""
    width = high - low
    if not width > 0:
        width = 1.0
    return Window(low + width / 2, width, "linear-exact")


def _extremes(image: Image, modality: Modality) -> tuple[float, float]:
    pixels = stored(image.pixels, image.format)
    if image.format.is_float:
        pixels = pixels[np.isfinite(pixels)]
    if not pixels.size:
        return 0.0, 0.0
    if not isinstance(modality, Rescale):
        pixels = np.unique(pixels)
    else:
        pixels = np.array([pixels.min(), pixels.max()])
    made = modality(pixels.astype(np.float64))
    return float(made.min()), float(made.max())


def _percentiles(image: Image, header: Header, modality: Modality) -> tuple[float, float]:
    """The values below and above which 0.5 % of the pixels are."""
    form = image.format
    found, counts = _counted(image)
    wanted = _not_padding(found, header, form)
    # A frame of nothing but padding is shown as what it is.
    if wanted.any():
        found, counts = found[wanted], counts[wanted]
    if not found.size:
        return 0.0, 0.0
    made = modality(found)
    order = np.argsort(made, kind="stable")
    made, total = made[order], np.cumsum(counts[order])
    low, high = (np.searchsorted(total, total[-1] * tail) for tail in _TAILS)
    last = len(made) - 1
    if made[min(high, last)] <= made[min(low, last)]:
        return float(made[0]), float(made[-1])
    return float(made[min(low, last)]), float(made[min(high, last)])


def _counted(image: Image) -> tuple[Numbers, NDArray[Any]]:
    """The values of (a sample of) the pixels, and how many pixels have each."""
    form = image.format
    step = max(1, int((image.pixels.size / _SAMPLE) ** 0.5))
    sample = image.pixels[::step, ::step]
    if form.is_float or form.stored > 16:
        flat = stored(sample, form).reshape(-1).astype(np.float64)
        flat = flat[np.isfinite(flat)]
        return flat, np.ones(len(flat), np.int64)
    counts = np.bincount(unsigned(sample, form).reshape(-1), minlength=1 << form.stored)
    there = np.flatnonzero(counts)
    return all_stored(form)[there], counts[there]


def _not_padding(found: Numbers, header: Header, form: ImageFormat) -> NDArray[np.bool_]:
    """Which values are no padding (C.7.5.1.1.2)."""
    tags = _PADDING[form.is_float]
    if form.is_float and form.allocated == 64:
        tags = _DOUBLE_PADDING
    ends = [_of_sign(end, form) for tag in tags for end in numbers(header.attributes, tag)[:1]]
    if not numbers(header.attributes, tags[0]):
        return np.ones(len(found), bool)
    return (found < min(ends)) | (found > max(ends))


def _of_sign(value: float, form: ImageFormat) -> float:
    """A value that was written as an unsigned number among signed ones."""
    greatest = stored_range(form)[1]
    if form.signed and not form.is_float and value > greatest:
        return value - (1 << form.allocated)
    return value
