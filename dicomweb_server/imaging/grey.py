"""Grey frames, from stored values to what a display shows (PS3.4 N.2.1), by one table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .default_window import default_window
from .header import Header, text
from .image import Image, ImageFormat, Pixels
from .luts import Lut, Numbers, all_stored, look_up, stored
from .modality import Modality, modality_of
from .view import View
from .voi import Voi, apply_voi, voi_of

PRESENTATION_LUT_SHAPE = "20500020"
_TABLE_BITS = 16


@dataclass(frozen=True, slots=True)
class Transformation:
    """All that becomes of a stored value.

    Attributes:
        modality, voi: see there.
        presentation: a presentation LUT, whose inputs are what `voi` makes, spread over its
            entries (PS3.3 C.11.6.1).
        inverse: whether the greatest value is black.
        deep: 16 bits instead of 8.
    """

    modality: Modality
    voi: Voi
    presentation: Lut | None = None
    inverse: bool = False
    deep: bool = False

    def __call__(self, values: Numbers) -> Pixels:
        """Grey as uint8, or as uint16 if deep; what is no number (NaN) is black."""
        shown = apply_voi(self.voi, self.modality(values))
        if self.presentation is not None:
            entries = len(self.presentation.data) // 2
            inputs = shown * (entries - 1) + self.presentation.first
            shown = self.presentation(inputs) / self.presentation.top
        if self.inverse:
            shown = 1 - shown
        top, word = (65535, np.uint16) if self.deep else (255, np.uint8)
        return np.rint(np.nan_to_num(shown, nan=0) * top).astype(word)


def choose_window(image: Image, header: Header, how: View) -> Voi:
    """The VOI transformation of a frame (PS3.3 C.11.2).

    That of the request, else that of the data set, else `default_window`. To show the frames of a
    series or of an animation alike, choose once and give the window to each in its `View`.

    Raises:
        LutError: the data set has a LUT that cannot be used.
    """
    return _voi(image, header, how, modality_of(header, image.format))


def _voi(image: Image, header: Header, how: View, modality: Modality) -> Voi:
    if how.window is not None:
        return how.window
    named = None
    if how.default_window == "Standard":
        named = voi_of(header, image.format, modality)
    return named or default_window(image, header, modality, how.default_window)


def transformation_of(image: Image, header: Header, how: View) -> Transformation:
    """What the data set and the request make of the stored values of a frame."""
    modality = modality_of(header, image.format)
    voi = _voi(image, header, how, modality)
    return Transformation(modality, voi, None, is_inverse(header, image.format), how.deep)


def is_inverse(header: Header, form: ImageFormat) -> bool:
    """Whether the least value is white: by Presentation LUT Shape, else by MONOCHROME1.

    (PS3.3 C.7.6.1, C.7.6.3.1.2; in images of both they mean the same inversion.)
    """
    shape = text(header.attributes, PRESENTATION_LUT_SHAPE)
    if shape in ("IDENTITY", "INVERSE"):
        return shape == "INVERSE"
    return form.photometric == "MONOCHROME1"


def show_grey(image: Image, transformation: Transformation) -> Pixels:
    """The pixels of a grey frame, (rows, columns), as uint8, or as uint16 if deep."""
    form = image.format
    if form.is_float or form.stored > _TABLE_BITS:
        return transformation(stored(image.pixels, form).astype(np.float64))
    table = grey_table(transformation, form.stored, form.signed)
    return look_up(table, image.pixels, form)


@lru_cache(64)
def grey_table(transformation: Transformation, bits: int, signed: bool) -> Pixels:
    """What each stored value of up to 16 bits becomes, in the order of its bits."""
    form = ImageFormat(1, 1, 1, 16, bits, bits - 1, signed)
    table = transformation(all_stored(form))
    table.flags.writeable = False
    return table
