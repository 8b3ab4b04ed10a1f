"""Grayscale softcopy presentation states (PS3.3 A.33.1; PS3.4 N.2)."""

from __future__ import annotations

import numpy as np

from dicomweb_server.dicom.errors import DicomError

from .displayed_area import DisplayedArea
from .geometry import fit
from .graphics import draw_annotations, layer_of, paint
from .grey import PRESENTATION_LUT_SHAPE, Transformation, show_grey
from .header import Attributes, Header, Load, items, nothing, text, values
from .image import Image, Pixels
from .luts import Lut, read_lut, stored_range
from .modality import Modality, modality_of
from .overlays import on_frame, overlay_plane
from .references import is_referenced, items_for
from .rendering import colours
from .shutters import close
from .view import View, Window
from .voi import Voi, voi_in

SOFTCOPY_VOI_LUT = "00283110"
PRESENTATION_LUT = "20500010"
MASK_SUBTRACTION = "00286100"


class PresentationError(DicomError):
    """A presentation state cannot be applied: the sentence says why."""


def present(
    image: Image,
    attributes: Attributes,
    frame: int,
    state: Attributes,
    how: View,
    load: Load = nothing,
    load_state: Load = nothing,
) -> Pixels:
    """A frame as a presentation state shows it.

    The transformations of the state replace those of the image: what the state does not name is
    the identity, whatever the image has (PS3.4 N.2). Then shutter, activated overlay planes,
    rotation and flip, displayed area, graphic annotations; then `how.viewport` or `how.size`.

    Args:
        image, attributes, frame, load: as for `rendering.render`.
        state: the presentation state in the DICOM JSON model; `load_state` gives its values.
        how: its `window` comes before that of the state.

    Returns:
        as `rendering.render`. TRUE SIZE is shown like SCALE TO FIT: nobody knows the display.

    Raises:
        PresentationError: the state is not for the frame, or subtracts masks.
    """
    header, shown_by = Header(attributes, frame, load), Header(state, frame, load_state)
    if not is_referenced(state, header):
        raise PresentationError(f"The presentation state does not reference frame {frame}.")
    if items(state, MASK_SUBTRACTION):
        raise PresentationError("The presentation state subtracts a mask, which is not possible.")
    pixels = _pixels(image, header, shown_by, how)
    pixels = close(pixels, image, shown_by)
    pixels = _overlays(pixels, image, header, shown_by)
    area = DisplayedArea.of(shown_by, header, *pixels.shape[:2])
    pixels = draw_annotations(area.show(pixels), shown_by, header, area, how.font)
    return np.ascontiguousarray(fit(pixels, 1.0, how))


def _pixels(image: Image, header: Header, state: Header, how: View) -> Pixels:
    """Grey by the LUTs of the state; colours as they are."""
    form = image.format
    if form.samples > 1 or form.photometric == "PALETTE COLOR":
        return colours(image, header)
    modality = modality_of(state, form)
    voi = how.window or _voi(image, header, state, modality)
    table = _presentation_lut(state)
    inverse = text(state.attributes, PRESENTATION_LUT_SHAPE) == "INVERSE"
    return show_grey(image, Transformation(modality, voi, table, inverse, how.deep))


def _voi(image: Image, header: Header, state: Header, modality: Modality) -> Voi:
    """Of Softcopy VOI LUT (C.11.8), else the identity: all that the modality LUT can make."""
    for item in items_for(state.attributes, SOFTCOPY_VOI_LUT, header):
        named = voi_in(item, state, image.format, modality)
        if named is not None:
            return named
    if isinstance(modality, Lut):
        return Window(modality.top / 2, modality.top, "linear-exact")
    ends = modality(np.array(stored_range(image.format), np.float64))
    return Window(float(ends.mean()), float(abs(ends[1] - ends[0])), "linear-exact")


def _presentation_lut(state: Header) -> Lut | None:
    for item in items(state.attributes, PRESENTATION_LUT):
        if values(item, "00283002"):
            return read_lut(item, state.load, signed=False)
    return None


def _overlays(pixels: Pixels, image: Image, header: Header, state: Header) -> Pixels:
    """Planes that an Overlay Activation Layer names, of the state or of the image (C.11.7)."""
    for group in (f"{number:04X}" for number in range(0x6000, 0x6020, 2)):
        layer = text(state.attributes, group + "1001")
        source = state if group + "3000" in state.attributes else header
        if not layer or f"{group}0010" not in source.attributes:
            continue
        found = overlay_plane(group, image, source)
        if found is None:
            continue
        mask = on_frame(*found, *pixels.shape[:2]).astype(np.uint8) * np.uint8(255)
        pixels = paint(pixels, mask, layer_of(state.attributes, layer)[1])
    return pixels
