"""The VOI transformation: the values of interest to grey (PS3.3 C.11.2)."""

from __future__ import annotations

import numpy as np

from .header import Attributes, Header, items, numbers, text, values
from .image import ImageFormat
from .luts import LUT_DESCRIPTOR, Lut, Numbers, read_lut, stored_range
from .modality import Modality, Rescale
from .view import Function, Window

WINDOW_CENTER = "00281050"
WINDOW_WIDTH = "00281051"
VOI_LUT_FUNCTION = "00281056"
VOI_LUT_SEQUENCE = "00283010"
FRAME_VOI_LUT = "00289132"
_FUNCTIONS: dict[str, Function] = {"LINEAR_EXACT": "linear-exact", "SIGMOID": "sigmoid"}

Voi = Lut | Window


def voi_of(header: Header, form: ImageFormat, modality: Modality) -> Voi | None:
    """What a data set names for a frame: the first LUT, else the first window that can be one.

    Of the frame or of all frames by Frame VOI LUT Sequence (C.7.6.16.2.10). None if there is
    neither.

    Raises:
        LutError: there is a LUT that cannot be used.
    """
    place = header.place(FRAME_VOI_LUT, VOI_LUT_SEQUENCE, WINDOW_CENTER)
    return voi_in(place, header, form, modality)


def voi_in(place: Attributes, header: Header, form: ImageFormat, modality: Modality) -> Voi | None:
    """What one data set or item names; see `voi_of`."""
    for item in items(place, VOI_LUT_SEQUENCE):
        if values(item, LUT_DESCRIPTOR):
            return read_lut(item, header.load, signed=_is_signed(form, modality))
    return window_in(place)


def window_in(place: Attributes) -> Window | None:
    """The first window of a data set or item whose center and width are numbers."""
    function = _FUNCTIONS.get(text(place, VOI_LUT_FUNCTION), "linear")
    for center, width in zip(
        numbers(place, WINDOW_CENTER), numbers(place, WINDOW_WIDTH), strict=False
    ):
        if width <= 0:
            continue
        # Below 1 the linear function has no meaning; data of small numbers come with such widths,
        # and mean the exact one.
        exact = function == "linear" and width < 1
        return Window(center, width, "linear-exact" if exact else function)
    return None


def _is_signed(form: ImageFormat, modality: Modality) -> bool:
    """Whether what the modality transformation makes may be negative (C.11.2.1.1)."""
    if isinstance(modality, Rescale):
        ends = modality(np.array(stored_range(form), np.float64))
        return bool(ends.min() < 0 and ends.max() < 65536 / 2)
    return False


def apply_voi(voi: Voi, inputs: Numbers) -> Numbers:
    """Grey from 0 to 1 for some values."""
    if isinstance(voi, Lut):
        return voi(inputs) / voi.top
    center, width = voi.center, voi.width
    if voi.function == "sigmoid":
        # Limits keep exp from overflowing; beyond them the result is 0 or 1 in any precision.
        return 1 / (1 + np.exp(np.clip(-4 * (inputs - center) / width, -700, 700)))
    if voi.function == "linear":
        if width == 1:
            return (inputs > center - 0.5).astype(np.float64)
        center, width = center - 0.5, width - 1
    return np.clip((inputs - center) / width + 0.5, 0, 1)
