"""JPEG 2000 and HTJ2K (PS3.5, 8.2.4, 8.2.14 and 10.18), encoded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dicomweb_server.imaging import Image, ImageFormat
from dicomweb_server.imaging.image import Pixels
from dicomweb_server.interfaces.codecs import Encoded

from .samples import container, has_photometric, has_whole_values, narrow, stored_values

_FAMILY = "1.2.840.10008.1.2.4."
LOSSLESS, ANY = _FAMILY + "90", _FAMILY + "91"
HT_LOSSLESS, HT_RPCL, HT_ANY = _FAMILY + "201", _FAMILY + "202", _FAMILY + "203"
PART_1 = frozenset((LOSSLESS, ANY))
HIGH_THROUGHPUT = frozenset((HT_LOSSLESS, HT_RPCL, HT_ANY))
_MOST_BITS = 24
"""Of OpenJPEG, measured: beyond, bits are lost; with mixed colours one bit earlier."""
_MOST_BITS_HT = 16
"""Beyond, OpenJPEG and what is built on it read nothing."""
_COMPONENTS = 42  # where Ssiz of the first one stands (T.800, A.5.1), and each third byte behind
_BASE_RESOLUTION = 64


def can_encode(syntax: str, form: ImageFormat) -> bool:
    """PS3.5, tables 8.2.4-1 and 8.2.14-1."""
    lossless = syntax not in (ANY, HT_ANY)
    coded = has_photometric(form, "RGB", "YBR_FULL", palette=lossless) and has_whole_values(form)
    if not coded or form.allocated not in (1, 8, 16, 32):
        return False
    if lossless:
        return form.stored <= (_MOST_BITS_HT if syntax in HIGH_THROUGHPUT else _mixed(form))
    return 8 <= form.allocated <= 16


def _mixed(form: ImageFormat) -> int:
    return _MOST_BITS - (form.samples == 3)


def encode(image: Image, syntax: str, quality: int) -> Encoded:
    """RGB is transformed, by integers if nothing may be lost."""
    lossless = syntax not in (ANY, HT_ANY)
    form = replace(image.format, planar=0)
    mixes = form.photometric == "RGB"
    if mixes:
        form = replace(form, photometric="YBR_RCT" if lossless else "YBR_ICT")
    values = stored_values(image)
    if syntax not in HIGH_THROUGHPUT:
        return Encoded(_part_1(values, form, quality, lossless=lossless, mixes=mixes), form)
    if lossless:
        return Encoded(_high_throughput(values, form, mixes=mixes), form)
    form = replace(form, stored=form.allocated, high_bit=form.allocated - 1)
    spare = image.format.allocated - image.format.stored
    return Encoded(_high_throughput_lossy(values, form, quality, spare, mixes=mixes), form)


def _part_1(
    values: Pixels, form: ImageFormat, quality: int, *, lossless: bool, mixes: bool
) -> bytes:
    import imagecodecs

    return bytes(
        imagecodecs.jpeg2k_encode(
            narrow(values, form.stored, signed=form.signed),
            None if lossless else _decibels(form, quality),
            codecformat="J2K",
            planar=False,
            bitspersample=form.stored,
            reversible=lossless,
            mct=mixes,
            numthreads=1,
        )
    )


def _decibels(form: ImageFormat, quality: int) -> int:
    """Signal to noise: 52 for a quality of 90; more where grey values are windowed afterwards."""
    return 30 + quality // 4 + 3 * max(form.stored - 8, 0)


def _high_throughput(values: Pixels, form: ImageFormat, *, mixes: bool) -> bytes:
    """A stream of Bits Stored, though the library takes whole bytes only.

    It codes numbers with a sign as they are, and those without less half of their range (T.800,
    G.1). So these are given as numbers with a sign, and the header says afterwards what they are.
    """
    import imagecodecs

    wide = values.astype(np.int64)
    if not form.signed:
        wide -= 1 << (form.stored - 1)
    pixels = np.ascontiguousarray(wide.astype(container(form.stored, signed=True)))
    # All that RPCL asks for (PS3.5, 10.18) does no harm to the others.
    levels = max(5, (max(form.rows, form.columns) // _BASE_RESOLUTION).bit_length())
    stream = bytearray(
        imagecodecs.htj2k_encode(
            pixels,
            reversible=True,
            planar=False,
            rgb=mixes,
            resolutions=levels,
            tlm=True,
            tilepart=imagecodecs.HTJ2K.TILEPART.RESOLUTIONS,
        )
    )
    sign = 0x80 if form.signed else 0
    for component in range(form.samples):
        stream[_COMPONENTS + 3 * component] = sign | (form.stored - 1)
    return bytes(stream)


def _high_throughput_lossy(
    values: Pixels, form: ImageFormat, quality: int, spare: int, *, mixes: bool
) -> bytes:
    """Quantization steps are parts of the range of a word, of which `spare` bits are empty."""
    import imagecodecs

    step = 2.0 ** -(1 + quality / 15) / 2 ** (spare + max(form.stored - spare - 8, 0) / 2)
    pixels = narrow(values, form.allocated, signed=form.signed)
    return bytes(
        imagecodecs.htj2k_encode(
            pixels, max(step, 1e-5), reversible=False, planar=False, rgb=mixes, tlm=True
        )
    )
