"""Encapsulated frames that are uncompressed or deflated (PS3.5, A.4.11 and A.4.13)."""

from __future__ import annotations

import zlib
from dataclasses import replace

from dicomweb_server.imaging import Image, ImageFormat, pack, unpack
from dicomweb_server.interfaces.codecs import CodecError, Encoded

from .samples import check_size

UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"
SYNTAXES = frozenset((UNCOMPRESSED, DEFLATED_FRAME))
_LEVEL = 6


def decode(frame: bytes, syntax: str, form: ImageFormat, reduce: int) -> Image:
    """The pixels; a bit stream of another length than declared is an error."""
    wanted = -(-form.frame_bits // 8)
    if syntax == DEFLATED_FRAME:
        check_size(form, len(frame), "deflated frame")
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        # One byte more than wanted shows what is too long; one is padding (PS3.5, 8.2).
        frame = inflater.decompress(frame, wanted + 2)
    if not wanted <= len(frame) <= wanted + 1:
        raise CodecError(f"The frame has {len(frame)} bytes; declared are {wanted}.")
    return unpack(frame, form)


def can_encode(syntax: str, form: ImageFormat) -> bool:
    """Everything that whole pixels can be."""
    return not form.is_halved


def encode(image: Image, syntax: str, quality: int) -> Encoded:
    """The bytes of a native frame, deflated or not."""
    frame = pack(image)
    if syntax == DEFLATED_FRAME:
        deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        frame = deflater.compress(frame) + deflater.flush()
    return Encoded(frame, replace(image.format, planar=0))
