"""Codec `imagecodecs`: RLE, JPEG, JPEG-LS, JPEG 2000, HTJ2K and JPEG XL by imagecodecs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dicomweb_server import hookimpl
from dicomweb_server.imaging import Image, ImageFormat
from dicomweb_server.interfaces.codecs import Codec, CodecError

_JPEG = "1.2.840.10008.1.2.4."
_FUNCTIONS = {
    **dict.fromkeys((_JPEG + "50", _JPEG + "51", _JPEG + "57", _JPEG + "70"), "jpeg8_decode"),
    **dict.fromkeys((_JPEG + "80", _JPEG + "81"), "jpegls_decode"),
    **dict.fromkeys((_JPEG + "90", _JPEG + "91", _JPEG + "92", _JPEG + "93"), "jpeg2k_decode"),
}


class ImagecodecsCodec(Codec):
    """Decodes with the functions of imagecodecs."""

    name = "imagecodecs"
    decodes = frozenset(_FUNCTIONS)

    def decode(
        self, frame: bytes | memoryview, transfer_syntax: str, form: ImageFormat, *, reduce: int = 0
    ) -> Image:
        """The pixels of a frame."""
        # Imported where it is used: the server itself decodes nothing.
        import imagecodecs

        function: Any = getattr(imagecodecs, _FUNCTIONS[transfer_syntax])
        try:
            pixels = function(frame)
        except RuntimeError as error:
            raise CodecError(f"The frame cannot be decoded: {error}.") from error
        if pixels.shape != form.shape:
            raise CodecError(f"The frame has the shape {pixels.shape}, declared is {form.shape}.")
        photometric = "RGB" if form.photometric.startswith("YBR") else form.photometric
        return Image(
            pixels.astype(form.dtype, copy=False), replace(form, planar=0, photometric=photometric)
        )


@hookimpl
def register_codecs() -> list[type[Codec]]:
    return [ImagecodecsCodec]
