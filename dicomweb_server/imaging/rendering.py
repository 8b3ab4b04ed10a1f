"""From a decoded frame to what a browser shows: the whole pipeline (PS3.4 N.2)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .annotation import annotate
from .colour import to_rgb
from .geometry import fit, pixel_aspect
from .grey import show_grey, transformation_of
from .header import Attributes, Header, Load, nothing
from .icc import convert, output_profile
from .image import Image, Pixels
from .luts import look_up, stored
from .overlays import burn
from .palette import is_supplemental, palette_table
from .view import View

_GREY = ("MONOCHROME1", "MONOCHROME2")


def render(
    image: Image, attributes: Attributes, frame: int, how: View, load: Load = nothing
) -> Pixels:
    """A frame as it is shown.

    Stored bits, modality LUT, VOI LUT, presentation LUT, palette, colour space; then overlays,
    colour management, square pixels, region and size, annotation (PS3.4 N.2.1, N.2.2).

    Args:
        image: the decoded frame.
        attributes: its data set in the DICOM JSON model.
        frame: its number, from 1.
        how: what is asked for.
        load: gives the little endian bytes of a value by what its `BulkDataURI` says;
            `bulk_values` names those that may be asked for.

    Returns:
        uint8 of shape (rows, columns) for grey and (rows, columns, 3) for colour; uint16 of shape
        (rows, columns) for grey when `how.deep`.

    Raises:
        DicomError: the frame cannot be shown; the sentence says why.
    """
    header = Header(attributes, frame, load)
    pixels = _shown(image, header, how)
    if how.overlays:
        pixels = burn(pixels, image, header)
    pixels = convert(pixels, header, how)
    pixels = fit(pixels, pixel_aspect(header), how)
    return np.ascontiguousarray(annotate(pixels, header, how))


def icc_profile(
    pixels: Pixels, attributes: Attributes, frame: int, how: View, load: Load = nothing
) -> bytes:
    """The ICC profile to embed beside what `render` made, b"" for none (PS3.18 8.3.5.1.5)."""
    return output_profile(pixels, Header(attributes, frame, load), how)


def _shown(image: Image, header: Header, how: View) -> Pixels:
    """Grey or RGB, in the size of the frame."""
    form = image.format
    if form.samples == 1 and form.photometric in _GREY:
        if is_supplemental(header) and not form.is_float and form.stored <= 16:
            return _supplemental(image, header, how)
        return show_grey(image, transformation_of(image, header, how))
    return colours(image, header)


def colours(image: Image, header: Header) -> Pixels:
    """RGB as uint8 of a frame of 3 samples or of PALETTE COLOR, in the size of the frame."""
    form = image.format
    if form.samples == 1 and form.photometric == "PALETTE COLOR":
        table, _ = palette_table(header, form)
        return look_up(table, image.pixels, form)
    return to_rgb(image)


def _supplemental(image: Image, header: Header, how: View) -> Pixels:
    """Grey below the first value that the palette maps, colours from there (C.7.6.19)."""
    grey = show_grey(image, transformation_of(image, header, replace(how, deep=False)))
    table, first = palette_table(header, image.format)
    coloured = look_up(table, image.pixels, image.format)
    mapped = stored(image.pixels, image.format) >= first
    return np.where(mapped[..., None], coloured, grey[..., None])
