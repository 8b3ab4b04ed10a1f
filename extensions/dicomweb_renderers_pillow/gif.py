"""GIF 89a of one or many frames, each of which is encoded and forgotten before the next is taken.

Pillow makes the single frames; its own animations keep all of them in memory until the end.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image

from dicomweb_server.imaging.image import Pixels

_SCREEN = 13
_EXTENSION, _DESCRIPTOR = 0x21, 0x2C
_TABLE = 0x80
_FOR_EVER = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
# Browsers slow down what is faster than this.
_LEAST_HUNDREDTHS = 2


def write_gif(frames: Iterator[Pixels], seconds_per_frame: float) -> bytes:
    """The file, an animation that repeats for ever if there are several frames."""
    hundredths = min(max(round(seconds_per_frame * 100), _LEAST_HUNDREDTHS), 65535)
    out = io.BytesIO()
    for number, frame in enumerate(frames):
        if number == 0:
            rows, columns = frame.shape[:2]
            out.write(b"GIF89a" + struct.pack("<HHBBB", columns, rows, 0x70, 0, 0) + _FOR_EVER)
        out.write(struct.pack("<BBBBHBB", 0x21, 0xF9, 4, 0x04, hundredths, 0, 0))
        out.write(_image(frame))
    out.write(b"\x3b")
    return out.getvalue()


def _image(frame: Pixels) -> bytes:
    """Image descriptor, colour table and data of a frame."""
    single = io.BytesIO()
    _paletted(frame).save(single, "GIF", optimize=False)
    data = single.getvalue()
    flags = data[10]
    position = _SCREEN + _table_size(flags)
    table = data[_SCREEN:position]
    while data[position] == _EXTENSION:
        position = _behind_blocks(data, position + 2)
    own = data[position + 9]
    start = position + 10
    if own & _TABLE:
        end = start + _table_size(own)
        table, flags, start = data[start:end], own, end
    interlaced = own & 0x40
    described = data[position : position + 9] + bytes([_TABLE | interlaced | flags & 7])
    return described + table + data[start : _behind_blocks(data, start + 1)]


def _paletted(frame: Pixels) -> Image.Image:
    """At most 256 colours; grey is exact, in colour frames too."""
    if frame.ndim == 3 and (frame == frame[..., :1]).all():
        frame = np.ascontiguousarray(frame[..., 0])
    picture = Image.fromarray(frame)
    return picture if frame.ndim == 2 else picture.quantize(256, Image.Quantize.MEDIANCUT)


def _table_size(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & _TABLE else 0


def _behind_blocks(data: bytes, position: int) -> int:
    while data[position]:
        position += data[position] + 1
    return position + 1
