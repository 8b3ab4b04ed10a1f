"""The query parameters of rendered resources (PS3.18 8.3.5.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, cast

from dicomweb_server.imaging import View, ViewError, Viewport, Window
from dicomweb_server.ps318.errors import BadRequest

_FUNCTIONS = ("linear", "linear-exact", "sigmoid")
DEFAULT_QUALITY = 90


def view_of(parameters: Mapping[str, str]) -> View:
    """How the client wants to see a frame; raises `BadRequest` that names the parameter."""
    try:
        annotation = annotation_of(parameters.get("annotation"))
        return View(
            window=_window(parameters.get("window")),
            viewport=_viewport(parameters.get("viewport")),
            icc_profile=cast(Any, parameters.get("iccprofile")),
            annotation=annotation,
            overlays="technique" in annotation,
        )
    except ViewError as error:
        raise BadRequest(str(error)) from error


def quality_of(parameters: Mapping[str, str], name: str = "quality") -> int:
    """The parameter `quality`, 1 to 100 (PS3.18 8.3.5.1.2)."""
    text = parameters.get(name)
    if text is None:
        return DEFAULT_QUALITY
    quality = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    if not 1 <= quality <= 100:
        raise BadRequest(f"{name}={text[:40]!r} must be a whole number from 1 to 100.")
    return quality


def annotation_of(text: str | None, name: str = "annotation") -> frozenset[str]:
    """The keywords of the parameter `annotation` (PS3.18 8.3.5.1.1).

    Raises `BadRequest` if there is none in the text: whoever names the parameter wants some.
    """
    if text is None:
        return frozenset()
    found = frozenset(each.strip() for each in text.split(",") if each.strip())
    if not found:
        raise BadRequest(f"{name} is empty; possible are patient, technique, or both.")
    return found


def _window(text: str | None) -> Window | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or parts[2].lower() not in _FUNCTIONS:
        raise BadRequest(
            f"window={text[:80]!r} must be center,width,function with one of the functions "
            f"{', '.join(_FUNCTIONS)}."
        )
    function = cast(Literal["linear"], parts[2].lower())
    return Window(number_of(parts[0], "window"), number_of(parts[1], "window"), function)


def _viewport(text: str | None) -> Viewport | None:
    """`vw,vh` or `vw,vh,sx,sy,sw,sh`; an empty item is a default (PS3.18 8.3.5.1.3)."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (2, 6):
        raise BadRequest(f"viewport={text[:80]!r} must be vw,vh or vw,vh,sx,sy,sw,sh.")
    numbers = [None if part == "" else number_of(part, "viewport") for part in parts]
    width, height = (_size(number, text) for number in numbers[:2])
    sx, sy, sw, sh = [*numbers[2:], None, None, None, None][:4]
    return Viewport(width, height, abs(sx or 0), abs(sy or 0), sw, sh)


def _size(number: float | None, text: str) -> int | None:
    if number is None:
        return None
    if number != int(number) or number < 1:
        raise BadRequest(f"viewport={text[:80]!r}: vw and vh must be whole numbers from 1.")
    return int(number)


def number_of(text: str, name: str) -> float:
    """A finite number; raises `BadRequest` that names the parameter."""
    try:
        number = float(text) if len(text) <= 32 and "_" not in text else float("nan")
    except ValueError:
        number = float("nan")
    if not math.isfinite(number):
        raise BadRequest(f"{name} has {text[:40]!r}, which is not a number.")
    return number
