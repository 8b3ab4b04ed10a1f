"""JPEG (PS3.5, 8.2.1 and A.4.1): DCT of 8 and 12 bits, and lossless of 2 to 16 bits."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np

from dicomweb_server.imaging import Image, ImageFormat
from dicomweb_server.imaging.image import Pixels
from dicomweb_server.interfaces.codecs import CodecError, Encoded

from .jpeg_markers import SOF_JPEG_LS, SOF_LOSSLESS, Markers, read_markers
from .samples import (
    Found,
    as_declared,
    check_declared,
    has_photometric,
    has_whole_values,
    narrow,
    stored_values,
    to_words,
)

_FAMILY = "1.2.840.10008.1.2.4."
BASELINE, EXTENDED = _FAMILY + "50", _FAMILY + "51"
LOSSLESS, LOSSLESS_SV1 = _FAMILY + "57", _FAMILY + "70"
SYNTAXES = frozenset((BASELINE, EXTENDED, LOSSLESS, LOSSLESS_SV1))
_WHAT = "JPEG image"
_MOST_HALVINGS = 3  # the DCT has eight rows


def decode(frame: bytes, syntax: str, form: ImageFormat, reduce: int) -> Image:
    """The pixels; colours are believed to be what the bit stream says, not the data set."""
    import imagecodecs

    markers = read_markers(frame, _WHAT)
    if markers.sof == SOF_JPEG_LS:
        raise CodecError(f"The {_WHAT} is a JPEG-LS image; the transfer syntax is {syntax}.")
    samples = len(markers.names)
    found = Found(_WHAT, markers.rows, markers.columns, samples, markers.precision)
    check_declared(found, form, len(frame))
    space, photometric = _colours(markers, form)
    guessed = samples == 1 or markers.says_ycbcr or markers.says_rgb
    if reduce > 0 and guessed and markers.precision == 8 and markers.sof != SOF_LOSSLESS:
        pixels = _reduced(frame, reduce)
    else:
        pixels = imagecodecs.jpeg8_decode(frame, **space)
    return to_words(pixels, found, form, photometric)


def _colours(markers: Markers, form: ImageFormat) -> tuple[dict[str, Any], str]:
    """How to decode the components, and what they are then.

    Lossless JPEG would lose something by a transformation of colours: it is left to the reader.
    """
    if form.samples == 1:
        return {}, form.photometric
    if form.samples == 4:
        return {"colorspace": "CMYK", "outcolorspace": "CMYK"}, form.photometric
    plain = {"colorspace": "RGB", "outcolorspace": "RGB"}
    if markers.sof == SOF_LOSSLESS:
        if markers.says_rgb or markers.adobe == 1:
            return plain, "RGB" if markers.says_rgb else "YBR_FULL"
        return plain, as_declared(form)
    declares_ycbcr = form.photometric.startswith("YBR")
    if markers.says_ycbcr or (declares_ycbcr and not markers.says_rgb):
        return {"colorspace": "YCBCR", "outcolorspace": "RGB"}, "RGB"
    return plain, "RGB"


def _reduced(frame: bytes, reduce: int) -> Pixels:
    """Fewer rows and columns, out of the low frequencies of the DCT."""
    from PIL import Image as Pillow

    factor = 1 << min(reduce, _MOST_HALVINGS)
    try:
        with Pillow.open(BytesIO(frame), formats=("JPEG",)) as image:
            width, height = image.size
            image.draft(None, (max(width // factor, 1), max(height // factor, 1)))
            return np.asarray(image)
    except (OSError, SyntaxError, Pillow.DecompressionBombError) as error:
        raise CodecError(f"The {_WHAT} cannot be decoded: {error}.") from error


def can_encode(syntax: str, form: ImageFormat) -> bool:
    """PS3.5, table 8.2.1-1."""
    if not has_whole_values(form):
        return False
    if syntax in (LOSSLESS, LOSSLESS_SV1):
        coded = has_photometric(form, "RGB", "YBR_FULL", palette=True)
        return coded and form.allocated in (8, 16) and form.stored >= 2
    if form.signed or not has_photometric(form, "RGB", "YBR_FULL"):
        return False
    twelve = form.allocated == 16 and form.stored <= 12 and form.samples == 1
    return form.allocated == 8 or (syntax == EXTENDED and twelve)


def encode(image: Image, syntax: str, quality: int) -> Encoded:
    """Lossless with the first predictor, or the DCT with colours of half the columns."""
    if syntax in (LOSSLESS, LOSSLESS_SV1):
        return _encode_lossless(image)
    import imagecodecs

    form = image.format
    bits = 8 if form.allocated == 8 else 12
    pixels = narrow(stored_values(image), bits, signed=False)
    colours: dict[str, Any] = {}
    photometric = form.photometric
    if form.samples == 3:
        space = "RGB" if photometric == "RGB" else "YCBCR"
        colours = {"colorspace": space, "outcolorspace": "YCBCR", "subsampling": "422"}
        photometric = "YBR_FULL_422"
    frame = imagecodecs.jpeg8_encode(pixels, quality, bitspersample=bits, **colours)
    now = replace(form, stored=bits, high_bit=bits - 1, planar=0, photometric=photometric)
    return Encoded(bytes(frame), now)


def _encode_lossless(image: Image) -> Encoded:
    import imagecodecs

    form = image.format
    pixels = narrow(stored_values(image), form.stored, signed=False)
    # YCbCr would be halved in columns; unknown colours are left alone, and unmarked.
    space = "RGB" if form.photometric == "RGB" else None
    if form.photometric == "YBR_FULL":
        space = "UNKNOWN"
    frame = imagecodecs.jpeg8_encode(
        pixels,
        lossless=True,
        predictor=1,
        bitspersample=form.stored,
        colorspace=space,
        outcolorspace=space,
    )
    return Encoded(bytes(frame), replace(form, planar=0))
