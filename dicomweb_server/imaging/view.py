"""How a frame is to be shown: the query parameters of PS3.18 8.3.5.1 as values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from dicomweb_server.dicom.errors import DicomError

Function = Literal["linear", "linear-exact", "sigmoid"]
IccProfile = Literal["no", "yes", "srgb", "adobergb", "rommrgb"]
DefaultWindow = Literal["Standard", "MinMax"]

FUNCTIONS: tuple[Function, ...] = ("linear", "linear-exact", "sigmoid")
ICC_PROFILES: tuple[IccProfile, ...] = ("no", "yes", "srgb", "adobergb", "rommrgb")
MAX_PIXELS = 1 << 26
"""Of a rendered frame: what is asked for beyond that is refused."""


class ViewError(DicomError):
    """What is asked for cannot be shown; the sentence says what can be."""


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window (PS3.18 8.3.5.1.4, PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Attributes:
        center, width: in units of what the modality LUT makes.
        function: of VOI LUT Function: LINEAR, LINEAR_EXACT or SIGMOID.

    Raises:
        ViewError: the window cannot be one.
    """

    center: float
    width: float
    function: Function = "linear"

    def __post_init__(self) -> None:
        if self.function not in FUNCTIONS:
            raise ViewError(
                f"The function of a window is {self.function!r}; possible are {_listed(FUNCTIONS)}."
            )
        if not (math.isfinite(self.center) and math.isfinite(self.width)):
            raise ViewError("Center and width of a window must be finite numbers.")
        least = "at least 1" if self.function == "linear" else "greater than 0"
        if self.width <= 0 or (self.function == "linear" and self.width < 1):
            raise ViewError(
                f"The width of a {self.function} window is {self.width:g}; it must be {least}."
            )


@dataclass(frozen=True, slots=True)
class Viewport:
    """A region of the frame and the size that it is scaled to (PS3.18 8.3.5.1.3).

    Attributes:
        width, height: of the result, in pixels (`vw`, `vh`); None for those of the region.
        left, top: of the region, in pixels of the frame (`sx`, `sy`).
        region_width, region_height: of the region (`sw`, `sh`); negative ones mirror it, None
            reaches to the border.
        padded: whether the result is exactly as large, with black beside what is shown; else it is
            only as large as the region becomes within that size (PS3.18 9.5.2.5).

    Raises:
        ViewError: a number is not possible.
    """

    width: int | None = None
    height: int | None = None
    left: float = 0
    top: float = 0
    region_width: float | None = None
    region_height: float | None = None
    padded: bool = True

    def __post_init__(self) -> None:
        for name, size in (("width", self.width), ("height", self.height)):
            if size is not None and not 0 < size <= 65535:
                raise ViewError(f"The {name} of a viewport is {size}; possible is 1 to 65535.")
        check_size(self.width or 1, self.height or 1)
        region = (self.left, self.top, self.region_width or 0, self.region_height or 0)
        if not all(math.isfinite(value) for value in region):
            raise ViewError("The region of a viewport must be of finite numbers.")


@dataclass(frozen=True, slots=True)
class View:
    """How a frame is shown.

    Attributes:
        window: instead of the VOI transformation of the data set; grey frames only.
        viewport: region and size of the result.
        size: the longer side is not to be longer than this; never enlarges (thumbnails).
        default_window: where neither the request nor the data set names one: "Standard" chooses by
            modality and pixels. "MinMax" is the range of the frame, whatever the data set names.
        icc_profile: `iccprofile` of PS3.18 8.3.5.1.5. None keeps colours as they are, and names
            the profile of the data set where it has one.
        overlays: whether overlay planes (PS3.3 C.9.2) are burned in, in white.
        annotation: of "patient" and "technique", the texts to burn in (PS3.18 8.3.5.1.1).
        deep: grey frames as uint16.
        font: path of the TrueType font that texts are written in; "" chooses one.
    """

    window: Window | None = None
    viewport: Viewport | None = None
    size: int | None = None
    default_window: DefaultWindow = "Standard"
    icc_profile: IccProfile | None = None
    overlays: bool = False
    annotation: frozenset[str] = frozenset()
    deep: bool = False
    font: str = ""

    def __post_init__(self) -> None:
        if self.icc_profile is not None and self.icc_profile not in ICC_PROFILES:
            raise ViewError(
                f"iccprofile is {self.icc_profile!r}; possible are {_listed(ICC_PROFILES)}."
            )
        unknown = self.annotation - {"patient", "technique"}
        if unknown:
            raise ViewError(
                f"annotation has {', '.join(sorted(unknown))!r}; possible are patient, technique."
            )
        if self.size is not None and self.size < 1:
            raise ViewError(f"The size of a thumbnail is {self.size}; it must be at least 1.")


def check_size(width: int, height: int) -> None:
    """Refuses results of more than `MAX_PIXELS`."""
    if width * height > MAX_PIXELS:
        raise ViewError(
            f"A frame of {width} x {height} pixels is asked for; at most {MAX_PIXELS} are possible."
        )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
