"""JPEG-LS (PS3.5, 8.2.3 and A.4.3), lossless and near-lossless."""

from __future__ import annotations

from dataclasses import replace

from dicomweb_server.imaging import Image, ImageFormat
from dicomweb_server.imaging.image import Pixels
from dicomweb_server.interfaces.codecs import CodecError, Encoded

from .jpeg_markers import SOF_JPEG_LS, read_markers
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

LOSSLESS = "1.2.840.10008.1.2.4.80"
NEAR_LOSSLESS = "1.2.840.10008.1.2.4.81"
SYNTAXES = frozenset((LOSSLESS, NEAR_LOSSLESS))
_WHAT = "JPEG-LS image"
_LONGEST_CODE, _HEADERS = 4, 4096


def decode(frame: bytes, syntax: str, form: ImageFormat, reduce: int) -> Image:
    """The pixels, colour by pixel whatever the interleave mode of the scans is."""
    import imagecodecs

    markers = read_markers(frame, _WHAT)
    if markers.sof != SOF_JPEG_LS:
        raise CodecError(f"The {_WHAT} is a JPEG image; the transfer syntax is {syntax}.")
    samples = len(markers.names)
    found = Found(_WHAT, markers.rows, markers.columns, samples, markers.precision)
    check_declared(found, form, len(frame))
    return to_words(imagecodecs.jpegls_decode(frame), found, form, as_declared(form))


def can_encode(syntax: str, form: ImageFormat) -> bool:
    """PS3.5, table 8.2.3-1. An error around zero would become one of all bits of a negative."""
    lossless = syntax == LOSSLESS
    coded = has_photometric(form, "RGB", "YBR_FULL", palette=lossless)
    allocated = form.allocated in (8, 16) and (lossless or not form.signed)
    return coded and allocated and has_whole_values(form)


def encode(image: Image, syntax: str, quality: int) -> Encoded:
    """The library has whole bytes as precision only, so these are Bits Stored then."""
    form = image.format
    bits = 8 if form.stored <= 8 else 16
    pixels = narrow(stored_values(image), bits, signed=False)
    near = None if syntax == LOSSLESS else _near(form, quality)
    now = replace(form, stored=bits, high_bit=bits - 1, planar=0)
    return Encoded(_encode(pixels, near), now)


def _encode(pixels: Pixels, near: int | None) -> bytes:
    import imagecodecs

    try:
        return bytes(imagecodecs.jpegls_encode(pixels, near))
    except RuntimeError:
        # Noise takes more than the library counts on: never above LIMIT bits (T.87, A.2.1).
        longest = _LONGEST_CODE * pixels.nbytes + _HEADERS
        return bytes(imagecodecs.jpegls_encode(pixels, near, out=longest))


def _near(form: ImageFormat, quality: int) -> int:
    """The greatest error of a sample: 2 of 255 for a quality of 90, more where there are more."""
    near = max((100 - quality) // 5, 1) << max((form.stored - 8) // 2, 0)
    return min(near, (1 << form.stored) // 8)
