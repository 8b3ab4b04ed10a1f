"""From frames to files: each media type's writer, and what all of them check."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import chain

import imagecodecs
import numpy as np
from PIL import Image, ImageCms

from dicomweb_server.imaging.image import Pixels
from dicomweb_server.interfaces.renderers import Renderer, RendererError, Rendering

from .gif import write_gif
from .png import write_png

_FULL_CHROMA = 90
_LARGEST = {"image/jpeg": 65500, "image/webp": 16383}  # of libjpeg, and of the format
_JPEG_XL_EFFORT = 3
_WEBP_METHOD = 2


def write(
    renderer: Renderer, frames: Iterator[Pixels], media_type: str, rendering: Rendering
) -> bytes:
    """The file of a media type.

    Raises:
        RendererError: see `Renderer.write`.
    """
    if media_type not in renderer.media_types:
        raise RendererError(
            f"Frames cannot be written as {media_type!r}; "
            f"possible are {', '.join(renderer.media_types)}."
        )
    first = next(frames, None)
    if first is None:
        raise RendererError("There is no frame to write.")
    _check(renderer, first, media_type)
    if media_type in renderer.animated:
        return _gif(chain((first,), frames), rendering)
    if next(frames, None) is not None:
        raise RendererError(
            f"{media_type} holds one frame; several go into {', '.join(sorted(renderer.animated))}."
        )
    return _SINGLE[media_type](first, rendering)


def _check(renderer: Renderer, frame: Pixels, media_type: str) -> None:
    if frame.dtype != np.uint8 and media_type not in renderer.deep:
        raise RendererError(
            f"{media_type} holds 8 bits; 16 go into {', '.join(sorted(renderer.deep))}."
        )
    largest = _LARGEST.get(media_type, 65535)
    if max(frame.shape[:2]) > largest:
        raise RendererError(
            f"A frame of {frame.shape[1]} x {frame.shape[0]} pixels cannot be written as "
            f"{media_type}: at most {largest} are possible."
        )


def _jpeg(frame: Pixels, rendering: Rendering) -> bytes:
    """Grey stays grey; colours have their full resolution from quality 90 on."""
    out = io.BytesIO()
    chroma = "4:4:4" if rendering.quality >= _FULL_CHROMA else "4:2:0"
    Image.fromarray(frame).save(
        out,
        "JPEG",
        quality=rendering.quality,
        subsampling=chroma,
        icc_profile=rendering.icc_profile or None,
    )
    return out.getvalue()


def _png(frame: Pixels, rendering: Rendering) -> bytes:
    return write_png(frame, rendering.icc_profile)


def _gif(frames: Iterator[Pixels], rendering: Rendering) -> bytes:
    return write_gif((_in_srgb(each, rendering) for each in frames), rendering.seconds_per_frame)


def _webp(frame: Pixels, rendering: Rendering) -> bytes:
    out = io.BytesIO()
    Image.fromarray(frame).save(
        out,
        "WEBP",
        quality=rendering.quality,
        method=_WEBP_METHOD,
        icc_profile=rendering.icc_profile,
    )
    return out.getvalue()


def _jpeg_xl(frame: Pixels, rendering: Rendering) -> bytes:
    """Lossless at quality 100."""
    return bytes(
        imagecodecs.jpegxl_encode(
            np.ascontiguousarray(_in_srgb(frame, rendering)),
            level=rendering.quality,
            lossless=rendering.quality == 100,
            effort=_JPEG_XL_EFFORT,
            numthreads=1,
        )
    )


def _in_srgb(frame: Pixels, rendering: Rendering) -> Pixels:
    """Colours as a file without a profile means them."""
    if frame.ndim == 2 or not rendering.icc_profile:
        return frame
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(rendering.icc_profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(Image.fromarray(frame), source, target)
    except (OSError, ImageCms.PyCMSError) as error:
        raise RendererError(f"The ICC profile cannot be used: {error}.") from error
    return frame if converted is None else np.asarray(converted)


_SINGLE: dict[str, Callable[[Pixels, Rendering], bytes]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/webp": _webp,
    "image/jxl": _jpeg_xl,
}
