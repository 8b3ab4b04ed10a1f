"""Frames that are not compressed (PS3.5 8.1.1, 8.2): bytes to arrays, and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dicomweb_server.dicom.errors import DicomError

from .image import Image, ImageFormat, Pixels


def unpack(
    data: bytes | memoryview, form: ImageFormat, *, bit_offset: int = 0, big_endian: bool = False
) -> Image:
    """The array of a native frame.

    Args:
        data: the bytes of the frame; of one-bit frames those that its first and last bit lie in.
        bit_offset: how many low bits of the first byte belong to the frame before it.
        big_endian: whether words are in big endian.

    Returns:
        the pixels by colour, so Planar Configuration is 0; pixels that share their colour
        (YBR_FULL_422) have it each (YBR_FULL).

    Raises:
        DicomError: there are too few bytes.
    """
    wanted = -(-(bit_offset + form.frame_bits) // 8)
    if len(data) < wanted:
        raise DicomError(f"A frame has {len(data)} bytes of {wanted}.")
    if form.allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, "u1", wanted), bitorder="little")
        flat = bits[bit_offset : bit_offset + form.frame_bits]
    else:
        word = form.dtype.newbyteorder(">") if big_endian else form.dtype
        flat = np.frombuffer(data, word, form.frame_bits // form.allocated)
        flat = flat.astype(form.dtype, copy=False)
    if form.is_halved:
        return _shared_colour(flat, form)
    if form.samples > 1 and form.planar == 1:
        planes = flat.reshape(form.samples, form.rows, form.columns)
        return Image(np.moveaxis(planes, 0, -1), replace(form, planar=0))
    return Image(flat.reshape(form.shape), form)


def _shared_colour(flat: Pixels, form: ImageFormat) -> Image:
    """Y1 Y2 Cb Cr for each two pixels (PS3.3 C.7.6.3.1.2)."""
    pairs = flat.reshape(-1, 4)
    full = np.empty((len(pairs), 2, 3), flat.dtype)
    full[:, :, 0] = pairs[:, :2]
    full[:, :, 1:] = pairs[:, None, 2:]
    photometric = form.photometric.replace("_422", "")
    whole = replace(form, photometric=photometric, planar=0)
    return Image(full.reshape(whole.shape), whole)


def pack(image: Image) -> bytes:
    """The bytes of a native frame in little endian, colour by pixel; one-bit frames from bit 0."""
    if image.format.allocated == 1:
        return np.packbits(image.pixels.reshape(-1), bitorder="little").tobytes()
    return np.ascontiguousarray(image.pixels, image.format.dtype).tobytes()
