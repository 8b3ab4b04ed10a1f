"""Overlay planes inside of native Pixel Data (PS3.5 8.1.2, retired), taken out of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pydicom.dataset import Dataset

_GROUPS: Final = range(0x6000, 0x6020, 2)
_DATA, _POSITION = 0x3000, 0x0102
_ALLOCATED, _STORED, _HIGH = 0x00280100, 0x00280101, 0x00280102


def overlay_bits(header: Dataset) -> int:
    """The bits of a word of Pixel Data that are planes of group 60xx, and no pixel; 0 if none."""
    allocated, stored = _number(header, _ALLOCATED), _number(header, _STORED)
    high = _number(header, _HIGH)
    pixel = ((1 << stored) - 1) << max(high + 1 - stored, 0)
    if not stored or allocated % 8:
        return 0
    bits = 0
    for group in _GROUPS:
        if group << 16 | _DATA in header or group << 16 | _POSITION not in header:
            continue
        position = _number(header, group << 16 | _POSITION)
        bits |= 1 << position if position < allocated else 0
    return bits & ~pixel


def word_size(header: Dataset) -> int:
    """Bytes of a word of Pixel Data."""
    return _number(header, _ALLOCATED) // 8


def without_bits(pieces: Iterable[bytes], bits: int, size: int, order: str) -> Iterator[bytes]:
    """The same words with some bits as 0.

    Args:
        size: bytes of a word: 1, 2, 4 or 8; `order`: "<" or ">".
    """
    # Only who anonymizes such an object needs it.
    import numpy as np

    kind = np.dtype(f"{order}u{size}")
    kept = kind.type(~bits & ((1 << 8 * size) - 1))
    rest = b""
    for piece in pieces:
        data = rest + piece
        whole = len(data) // size * size
        rest = data[whole:]
        yield (np.frombuffer(data[:whole], kind) & kept).astype(kind).tobytes()
    yield rest


def _number(header: Dataset, tag: int) -> int:
    value = header[tag].value if tag in header else None
    return value if isinstance(value, int) else 0
