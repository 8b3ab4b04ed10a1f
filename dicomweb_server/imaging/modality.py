"""The modality transformation: stored values to units such as Hounsfield's (PS3.3 C.11.1)."""

from __future__ import annotations

from dataclasses import dataclass

from .header import Header, items, number, text, values
from .image import ImageFormat
from .luts import LUT_DESCRIPTOR, Lut, Numbers, read_lut

RESCALE_INTERCEPT = "00281052"
RESCALE_SLOPE = "00281053"
RESCALE_TYPE = "00281054"
MODALITY_LUT_SEQUENCE = "00283000"
PIXEL_VALUE_TRANSFORMATION = "00289145"
_PROJECTIONS = frozenset(
    f"1.2.840.10008.5.1.4.1.1.12.{last}" for last in ("1", "2", "3", "1.1", "2.1")
)


@dataclass(frozen=True, slots=True)
class Rescale:
    """Slope, intercept and what the results are (Rescale Type)."""

    slope: float = 1.0
    intercept: float = 0.0
    unit: str = ""

    @property
    def is_identity(self) -> bool:
        """Whether results are the stored values."""
        return self.slope == 1 and self.intercept == 0

    def __call__(self, inputs: Numbers) -> Numbers:
        """The outputs of some inputs."""
        return inputs if self.is_identity else inputs * self.slope + self.intercept


Modality = Lut | Rescale


def modality_of(header: Header, form: ImageFormat) -> Modality:
    """The transformation that a data set names: a LUT, else slope and intercept.

    Of the frame or of all frames by Pixel Value Transformation Sequence (C.7.6.16.2.9).

    Raises:
        LutError: there is a LUT that cannot be used.
    """
    if not _is_for_display(header):
        return Rescale()
    for item in items(header.attributes, MODALITY_LUT_SEQUENCE):
        if values(item, LUT_DESCRIPTOR):
            return read_lut(item, header.load, signed=form.signed)
    place = header.place(PIXEL_VALUE_TRANSFORMATION, RESCALE_SLOPE, RESCALE_INTERCEPT)
    slope, intercept = number(place, RESCALE_SLOPE), number(place, RESCALE_INTERCEPT)
    # A slope of 0 would make every pixel the same: no data set means that.
    return Rescale(slope or 1.0, intercept or 0.0, text(place, RESCALE_TYPE))


def _is_for_display(header: Header) -> bool:
    """X-ray projections that are no longer linear keep a LUT back to intensities (C.8.7.1.1.2)."""
    relation = text(header.attributes, "00281040")
    of_projection = text(header.attributes, "00080016") in _PROJECTIONS
    return not (of_projection and relation in ("LOG", "DISP"))
