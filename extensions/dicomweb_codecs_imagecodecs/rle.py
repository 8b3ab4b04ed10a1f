"""RLE Lossless (PS3.5, annex G): a segment for each byte of a pixel, the highest first."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from struct import pack, unpack_from

import numpy as np

from dicomweb_server.imaging import Image, ImageFormat
from dicomweb_server.interfaces.codecs import CodecError, Encoded

from .samples import as_declared, check_size

RLE = "1.2.840.10008.1.2.5"
SYNTAXES = frozenset((RLE,))
_HEADER = 64
_MOST_SEGMENTS = 15


def decode(frame: bytes, syntax: str, form: ImageFormat, reduce: int) -> Image:
    """The pixels, colour by pixel."""
    import imagecodecs

    if form.allocated < 8:
        raise CodecError(f"RLE frames have whole bytes; declared is {form.allocated} bit.")
    check_size(form, len(frame), "RLE frame")
    size = form.allocated // 8
    pixels = form.rows * form.columns
    words = np.empty((pixels, form.samples, size), "u1")
    for number, segment in enumerate(_segments(frame, form.samples * size)):
        plane = imagecodecs.packbits_decode(segment, out=pixels)
        if len(plane) != pixels:
            raise CodecError(
                f"RLE segment {number + 1} has {len(plane)} bytes; declared are {pixels}."
            )
        sample, byte = divmod(number, size)
        words[:, sample, size - 1 - byte] = np.frombuffer(plane, "u1")
    now = replace(form, planar=0, photometric=as_declared(form))
    return Image(words.view(form.dtype).reshape(now.shape), now)


def _segments(frame: bytes, wanted: int) -> list[bytes]:
    """The segments that the header (G.5) tells of."""
    if len(frame) < _HEADER:
        raise CodecError(
            f"The RLE frame has {len(frame)} bytes, less than its header (PS3.5, G.5)."
        )
    count, *offsets = unpack_from("<16I", frame)
    if count != wanted:
        raise CodecError(
            f"The RLE frame has {count} segments; declared are {wanted} bytes a pixel."
        )
    bounds = [*offsets[:count], len(frame)]
    if bounds[0] < _HEADER or any(a >= b for a, b in pairwise(bounds)):
        raise CodecError("The segments of the RLE frame do not lie within it (PS3.5, G.5).")
    return [frame[a:b] for a, b in pairwise(bounds)]


def can_encode(syntax: str, form: ImageFormat) -> bool:
    """Whole bytes, as many in a pixel as the header has room for."""
    return form.allocated >= 8 and form.samples * form.allocated // 8 <= _MOST_SEGMENTS


def encode(image: Image, syntax: str, quality: int) -> Encoded:
    """Rows are encoded each for itself (G.3.1), segments have an even length (G.2)."""
    import imagecodecs

    form = image.format
    size = form.allocated // 8
    words = np.ascontiguousarray(image.pixels, form.dtype).view("u1")
    planes = words.reshape(form.rows, form.columns, form.samples, size)
    segments = []
    for sample in range(form.samples):
        for byte in reversed(range(size)):
            plane = np.array(planes[:, :, sample, byte], order="C")
            segment = bytes(imagecodecs.packbits_encode(plane, axis=-1))
            segments.append(segment + b"\0" * (len(segment) % 2))
    lengths = [len(segment) for segment in segments]
    offsets = [_HEADER + sum(lengths[:number]) for number in range(len(segments))]
    unused = [0] * (_MOST_SEGMENTS - len(segments))
    header = pack("<16I", len(segments), *offsets, *unused)
    return Encoded(header + b"".join(segments), replace(form, planar=0))
