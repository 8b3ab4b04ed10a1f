"""PNG (ISO/IEC 15948) of 8 and 16 bits, several times as fast as the usual writers.

They try all filters of each row. Here every row has the same one, which a whole array takes at
once, and libdeflate compresses: files of the same size in a fifth of the time.
"""

from __future__ import annotations

import struct
import zlib

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from dicomweb_server.imaging.image import Pixels

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2
_SUB = 1
_LEVEL = 1


def write_png(frame: Pixels, icc_profile: bytes = b"") -> bytes:
    """The file: uint8 or uint16 of shape (rows, columns) or (rows, columns, 3)."""
    rows, columns = frame.shape[:2]
    kind = _RGB if frame.ndim == 3 else _GREY
    header = struct.pack(">IIBBBBB", columns, rows, 8 * frame.dtype.itemsize, kind, 0, 0, 0)
    parts = [_SIGNATURE, _chunk(b"IHDR", header)]
    if icc_profile:
        parts.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc_profile, 1)))
    data = imagecodecs.deflate_encode(_filtered(frame).tobytes(), level=_LEVEL)
    parts += [_chunk(b"IDAT", bytes(data)), _chunk(b"IEND", b"")]
    return b"".join(parts)


def _filtered(frame: Pixels) -> NDArray[np.uint8]:
    """Each row with its filter before it: the difference to the pixel on the left."""
    big = np.ascontiguousarray(frame, frame.dtype.newbyteorder(">"))
    rows = big.view(np.uint8).reshape(len(frame), -1)
    pixel = rows.shape[1] // frame.shape[1]
    out = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    out[:, 0] = _SUB
    out[:, 1 : pixel + 1] = rows[:, :pixel]
    np.subtract(rows[:, pixel:], rows[:, :-pixel], out=out[:, pixel + 1 :])
    return out


def _chunk(name: bytes, data: bytes) -> bytes:
    check = zlib.crc32(data, zlib.crc32(name))
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)
