"""JPEG XL (PS3.5, 8.2.15 and A.4.12)."""

from __future__ import annotations

from dataclasses import replace

from dicomweb_server.dicom.bitstreams import read_image_header
from dicomweb_server.imaging import Image, ImageFormat
from dicomweb_server.interfaces.codecs import CodecError, Encoded

from .samples import (
    Found,
    check_declared,
    has_photometric,
    has_whole_values,
    narrow,
    stored_values,
    to_words,
)

_FAMILY = "1.2.840.10008.1.2.4."
LOSSLESS, RECOMPRESSION, LOSSY = _FAMILY + "110", _FAMILY + "111", _FAMILY + "112"
SYNTAXES = frozenset((LOSSLESS, RECOMPRESSION, LOSSY))
_WHAT = "JPEG XL image"
_MOST_BITS = 16
_FAST = 1
"""Effort: ten times as fast as the next ones, for a few per cent more bytes."""
_EFFORT_LOSSY = 3


def decode(frame: bytes, syntax: str, form: ImageFormat, reduce: int) -> Image:
    """The pixels; the library gives colours as RGB, whatever they were coded as."""
    import imagecodecs

    header = read_image_header("image/jxl", lambda at, n: frame[at : at + n], 0, len(frame))
    found = Found(_WHAT, header.rows, header.columns, header.samples, header.precision)
    check_declared(found, form, len(frame))
    if header.precision > _MOST_BITS:
        raise CodecError(f"The {_WHAT} has {header.precision} bits; possible are {_MOST_BITS}.")
    pixels = imagecodecs.jpegxl_decode(frame, numthreads=1)
    return to_words(pixels, found, form, "RGB" if form.samples == 3 else form.photometric)


def can_encode(syntax: str, form: ImageFormat) -> bool:
    """PS3.5, table 8.2.15-1."""
    coded = has_photometric(form, "RGB") and has_whole_values(form)
    return coded and form.allocated in (8, 16) and not form.signed


def encode(image: Image, syntax: str, quality: int) -> Encoded:
    """Lossless, or in the colours XYB."""
    import imagecodecs

    form = image.format
    lossless = syntax == LOSSLESS
    pixels = narrow(stored_values(image), form.stored, signed=False)
    frame = imagecodecs.jpegxl_encode(
        pixels,
        distance=None if lossless else _distance(form, quality),
        effort=_FAST if lossless else _EFFORT_LOSSY,
        lossless=lossless,
        bitspersample=form.stored,
        planar=False,
        usecontainer=False,
        numthreads=1,
    )
    photometric = "XYB" if form.samples == 3 and not lossless else form.photometric
    return Encoded(bytes(frame), replace(form, planar=0, photometric=photometric))


def _distance(form: ImageFormat, quality: int) -> float:
    """1 for a quality of 90: hardly seen; less where grey values are windowed afterwards."""
    return max((100 - quality) / 10, 0.05) / 2 ** (max(form.stored - 8, 0) / 2)
