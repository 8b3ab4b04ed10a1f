"""ICC profiles of sRGB, Adobe RGB (1998) and ROMM RGB, made of their published definitions."""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Matrix = tuple[tuple[float, float, float], ...]

_WHITE = (0.9642, 1.0, 0.8249)
_STEPS = 1024
# Red, green and blue as XYZ under D50, to which ICC profiles adapt every white.
_PRIMARIES: dict[str, Matrix] = {
    "srgb": (
        (0.43607, 0.22249, 0.01392),
        (0.38515, 0.71687, 0.09708),
        (0.14307, 0.06061, 0.71410),
    ),
    "adobergb": (
        (0.60974, 0.31111, 0.01947),
        (0.20528, 0.62567, 0.06087),
        (0.14919, 0.06322, 0.74457),
    ),
    "rommrgb": (
        (0.79767, 0.28804, 0.0),
        (0.13519, 0.71188, 0.0),
        (0.03134, 0.00009, 0.82491),
    ),
}
_NAMES = {"srgb": "sRGB", "adobergb": "Adobe RGB (1998)", "rommrgb": "ROMM RGB"}


@lru_cache
def profile_named(name: str) -> bytes:
    """The profile (ICC.1, version 2.4) of "srgb", "adobergb" or "rommrgb"."""
    curve = _curve(name)
    red, green, blue = (_xyz(primary) for primary in _PRIMARIES[name])
    tags = {
        b"desc": _description(f"{_NAMES[name]} compatible"),
        b"cprt": b"text\0\0\0\0No copyright, use freely\0",
        b"wtpt": _xyz(_WHITE),
        b"rXYZ": red,
        b"gXYZ": green,
        b"bXYZ": blue,
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    return _file(tags)


def _file(tags: dict[bytes, bytes]) -> bytes:
    """Header, table of tags, and the tags; equal ones are there once."""
    table, body, places = b"", b"", dict[bytes, int]()
    start = 128 + 4 + 12 * len(tags)
    for signature, data in tags.items():
        if data not in places:
            places[data] = start + len(body)
            body += data + b"\0" * (-len(data) % 4)
        table += struct.pack(">4sII", signature, places[data], len(data))
    size = start + len(body)
    # A fixed date: the same request makes the same bytes.
    head = struct.pack(">I4xI4s4s4s6H4s", size, 0x02400000, b"mntr", b"RGB ", b"XYZ ",
                       2000, 1, 1, 0, 0, 0, b"acsp")  # fmt: skip
    illuminant = _xyz(_WHITE)[8:]
    head = head.ljust(68, b"\0") + illuminant
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _xyz(values: tuple[float, ...]) -> bytes:
    fixed = [round(value * 65536) for value in values]
    return struct.pack(">4s4x3i", b"XYZ ", *fixed)


def _description(text: str) -> bytes:
    ascii_text = text.encode("ascii") + b"\0"
    return struct.pack(">4s4xI", b"desc", len(ascii_text)) + ascii_text + b"\0" * 78


def _curve(name: str) -> bytes:
    """How samples become linear light."""
    steps = np.linspace(0, 1, _STEPS)
    if name == "adobergb":
        return struct.pack(">4s4xIH", b"curv", 1, round(2.19921875 * 256))
    linear: NDArray[np.float64]
    if name == "srgb":
        linear = np.where(steps <= 0.04045, steps / 12.92, ((steps + 0.055) / 1.055) ** 2.4)
    else:
        linear = np.where(steps < 1 / 32, steps / 16, steps**1.8)
    words = np.rint(linear * 65535).astype(">u2").tobytes()
    return struct.pack(">4s4xI", b"curv", _STEPS) + words
