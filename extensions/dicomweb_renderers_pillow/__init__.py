"""Renderer `pillow`: rendered frames as JPEG, PNG, GIF, WebP and JPEG XL."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.machinery import PathFinder
from importlib.util import find_spec

from dicomweb_server import hookimpl
from dicomweb_server.imaging.image import Pixels
from dicomweb_server.interfaces.renderers import Renderer, Rendering


def _has(package: str, part: str) -> bool:
    """Whether an installed library was built with one of its parts; nothing is imported."""
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    return places is not None and PathFinder.find_spec(part, list(places)) is not None


_WEBP = ("image/webp",) if _has("PIL", "_webp") else ()
_JPEG_XL = ("image/jxl",) if _has("imagecodecs", "_jpegxl") else ()


class PillowRenderer(Renderer):
    """Writes rendered media types of PS3.18 8.7.4, and WebP, with Pillow and imagecodecs."""

    name = "pillow"
    media_types = ("image/jpeg", "image/png", "image/gif", *_WEBP, *_JPEG_XL)
    animated = frozenset({"image/gif"})
    deep = frozenset({"image/png", *_JPEG_XL})

    def write(self, frames: Iterator[Pixels], media_type: str, rendering: Rendering) -> bytes:
        """The file."""
        # Imported where it is used: the server itself renders nothing.
        from .writing import write

        return write(self, frames, media_type, rendering)


@hookimpl
def register_renderers() -> list[type[Renderer]]:
    return [PillowRenderer]
