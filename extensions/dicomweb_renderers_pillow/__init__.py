"""Renderer `pillow`: rendered frames as JPEG, PNG and GIF by Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image

from dicomweb_server import hookimpl
from dicomweb_server.imaging.image import Pixels
from dicomweb_server.interfaces.renderers import Renderer, Rendering

_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF"}


class PillowRenderer(Renderer):
    """Writes what Pillow can."""

    name = "pillow"
    media_types = tuple(_FORMATS)
    animated = frozenset({"image/gif"})
    deep = frozenset({"image/png"})

    def write(self, frames: Iterator[Pixels], media_type: str, rendering: Rendering) -> bytes:
        """The file."""
        first, *more = (Image.fromarray(frame) for frame in frames)
        out = io.BytesIO()
        options = {"append_images": more, "save_all": True} if more else {}
        first.save(out, _FORMATS[media_type], quality=rendering.quality, **options)
        return out.getvalue()


@hookimpl
def register_renderers() -> list[type[Renderer]]:
    return [PillowRenderer]
