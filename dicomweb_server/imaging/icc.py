"""Colour management (PS3.3 C.11.15; PS3.18 8.3.5.1.5)."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms

from .header import Header, binary, items, text
from .icc_profiles import profile_named
from .image import Pixels
from .view import View, ViewError

ICC_PROFILE = "00282000"
COLOR_SPACE = "00282002"
OPTICAL_PATHS = "00480105"
_OPTICAL_PATH_ID = "00480106"
_IDENTIFICATION = "00480207"
_NAMED = {"SRGB": "srgb", "ADOBERGB": "adobergb", "ROMMRGB": "rommrgb"}
_TRANSFORMED = frozenset(_NAMED.values())


def input_profile(header: Header) -> bytes:
    """The ICC profile of a frame: of its optical path, else of the data set; b"" without one."""
    paths = items(header.attributes, OPTICAL_PATHS)
    wanted = {text(item, _OPTICAL_PATH_ID) for item in header.macro(_IDENTIFICATION)}
    chosen = [path for path in paths if text(path, _OPTICAL_PATH_ID) in wanted] or paths[:1]
    for place in (*chosen, header.attributes):
        if ICC_PROFILE in place:
            profile = binary(place, ICC_PROFILE, header.load)
            if profile:
                return profile
    name = _NAMED.get(text(header.attributes, COLOR_SPACE).upper())
    return profile_named(name) if name else b""


def convert(pixels: Pixels, header: Header, how: View) -> Pixels:
    """The pixels in the colour space that is asked for; grey ones have none.

    A frame without a profile is taken for sRGB.

    Raises:
        ViewError: the data set has a profile that cannot be used.
    """
    target = how.icc_profile
    if pixels.ndim == 2 or target not in _TRANSFORMED:
        return pixels
    source = input_profile(header) or profile_named("srgb")
    wanted = profile_named(target)
    if source == wanted:
        return pixels
    picture = Pillow.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(ImageCms.applyTransform(picture, _transform(source, wanted)))


def output_profile(pixels: Pixels, header: Header, how: View) -> bytes:
    """The profile to embed beside rendered pixels; b"" for none.

    "no" embeds none, "yes" that of the data set or else sRGB, the names of colour spaces theirs;
    without `iccprofile` that of the data set where it has one. Grey pixels have none.
    """
    if pixels.ndim == 2 or how.icc_profile == "no":
        return b""
    if how.icc_profile in _TRANSFORMED:
        return profile_named(how.icc_profile)
    profile = input_profile(header)
    if profile and _is_rgb(profile):
        return profile
    return profile_named("srgb") if how.icc_profile == "yes" else b""


@lru_cache(16)
def _is_rgb(profile: bytes) -> bool:
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (OSError, ImageCms.PyCMSError):
        return False
    return opened.profile.xcolor_space.strip() == "RGB"


@lru_cache(16)
def _transform(source: bytes, target: bytes) -> Any:
    try:
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(source)),
            ImageCms.ImageCmsProfile(io.BytesIO(target)),
            "RGB",
            "RGB",
        )
    except (OSError, ImageCms.PyCMSError) as error:
        raise ViewError(
            f"The ICC profile of the data set cannot be used ({error}); "
            "iccprofile=no renders without it."
        ) from error
