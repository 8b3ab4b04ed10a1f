"""Run lengths of RLE segments (PS3.5, G), counted without decoding them."""

from __future__ import annotations

from itertools import pairwise
from struct import unpack
from typing import Final

from .errors import DicomError
from .views import ReadRange

_HEADER: Final = 64
_NO_OPERATION: Final = 0x80
_BLOCK: Final = 1 << 16


def decoded_sizes(read: ReadRange, offset: int, length: int, wanted: int) -> list[int]:
    """Bytes that each segment of a frame yields (G.3.2 and G.5).

    Args:
        read: gives the bytes of the stream in which the frame lies at `offset`.
        wanted: bytes that a segment should yield; zeros behind them are padding.

    Raises:
        DicomError: the header names places outside of the frame.
    """
    count, *places = unpack("<16I", read(offset, _HEADER))
    edges = [*places[:count], length]
    if any(start > end for start, end in pairwise(edges)) or edges[0] != _HEADER:
        raise DicomError(
            f"The RLE header has segments at the bytes {', '.join(map(str, edges[:-1]))} of "
            f"{length}; possible are ascending places from {_HEADER} on (PS3.5, G.5)."
        )
    return [_decoded(read, offset + at, offset + end, wanted) for at, end in pairwise(edges)]


def _decoded(read: ReadRange, start: int, end: int, wanted: int) -> int:
    """Bytes that one segment yields: a run that ends too early counts as far as it goes."""
    size, at, control = 0, start, _NO_OPERATION
    while at < end:
        block = read(at, min(_BLOCK, end - at))
        position, stop = 0, len(block)
        while position < stop:
            control = block[position]
            if control < _NO_OPERATION:
                size += control + 1
                position += control + 2
            elif control > _NO_OPERATION:
                size += 257 - control
                position += 2
            else:
                position += 1
        at += position
    if at > end:
        size -= min(at - end, control + 1) if control < _NO_OPERATION else 257 - control
    more = size - wanted
    return wanted if more > 0 and _ends_in_zeros(read, start, end, 2 * more) else size


def _ends_in_zeros(read: ReadRange, start: int, end: int, count: int) -> bool:
    """Whether `count` zeros end a segment: two of them look like a run of one byte."""
    if count > end - start:
        return False
    return all(not any(read(at, min(_BLOCK, end - at))) for at in range(end - count, end, _BLOCK))
