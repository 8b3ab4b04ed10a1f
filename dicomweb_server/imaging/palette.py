"""Palette colour look-up tables (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .header import Header, binary, text, values
from .image import ImageFormat, Pixels
from .luts import LutError, all_stored, descriptor, words

_DESCRIPTORS = ("00281101", "00281102", "00281103")
_DATA = ("00281201", "00281202", "00281203")
_SEGMENTED = ("00281221", "00281222", "00281223")
_COLORS = ("red", "green", "blue")
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2

Words = NDArray[np.uint16]


def has_palette(header: Header) -> bool:
    """Whether a data set has descriptors of a palette."""
    return all(values(header.attributes, tag) for tag in _DESCRIPTORS)


def is_supplemental(header: Header) -> bool:
    """Whether the palette colours some values of a grey image (C.8.16.2.1.1.1, C.7.6.19)."""
    presentation = text(header.attributes, "00089205")
    return presentation in ("COLOR", "MIXED") and has_palette(header)


def palette_table(header: Header, form: ImageFormat) -> tuple[Pixels, int]:
    """The colour of each stored value, in the order of its bits, and the first value mapped.

    Returns:
        uint8 of shape (2 ** Bits Stored, 3). Values outside of the table have the colour of its
        first or last entry. Entries are of 8 bits if none is greater than 255, whatever their
        descriptor says, for many are written so.

    Raises:
        LutError: a table is missing or cannot be used.
    """
    if form.is_float or form.stored > 16:
        raise LutError(f"A palette has colours for 16 bits at most, not for {form.stored}.")
    tables = [_table(header, number, form) for number in range(3)]
    shift = 8 if max(int(entries.max()) for entries, _ in tables) > 255 else 0
    every = all_stored(form)
    columns = []
    for entries, first in tables:
        index = np.clip(every - first, 0, len(entries) - 1).astype(np.intp)
        columns.append((entries >> shift).astype(np.uint8)[index])
    return np.stack(columns, axis=-1), tables[0][1]


def _table(header: Header, number: int, form: ImageFormat) -> tuple[Words, int]:
    """The entries of one colour, and the first value mapped."""
    count, first, bits = descriptor(header.attributes, _DESCRIPTORS[number], signed=form.signed)
    if bits not in (8, 16):
        raise LutError(f"The {_COLORS[number]} palette has entries of {bits} bits, not 8 or 16.")
    data = binary(header.attributes, _DATA[number], header.load)
    if data:
        return words(data, count), first
    segments = binary(header.attributes, _SEGMENTED[number], header.load)
    if not segments:
        raise LutError(f"The {_COLORS[number]} palette has no data.")
    return expand(segments, bits, count), first


def expand(data: bytes, bits: int, count: int) -> Words:
    """The entries of a segmented palette: discrete, linear and indirect segments (C.7.9.2).

    Raises:
        LutError: the segments do not make `count` entries.
    """
    units = np.frombuffer(data, "u1" if bits == 8 else "<u2", len(data) * 8 // bits)
    made = _segments(units, bits, 0, None, [], count, indirect=True)
    if len(made) < count:
        raise LutError(f"A segmented palette makes {len(made)} entries of {count}.")
    return np.array(made[:count], np.uint16)


def _segments(
    units: NDArray[Any],
    bits: int,
    position: int,
    number: int | None,
    made: list[int],
    count: int,
    *,
    indirect: bool,
) -> list[int]:
    """Adds the entries of `number` segments from a position; of all without a number."""
    while len(made) < count and number != 0 and position + 1 < len(units):
        kind, length = int(units[position]), int(units[position + 1])
        position += 2
        if kind == _DISCRETE:
            made += [int(unit) for unit in units[position : position + length]]
            position += length
        elif kind == _LINEAR and made and position < len(units):
            made += _line(made[-1], int(units[position]), length)
            position += 1
        elif kind == _INDIRECT and indirect:
            size = 32 // bits
            offset = int.from_bytes(units[position : position + size].tobytes(), "little")
            start = offset * 8 // bits
            _segments(units, bits, start, length, made, count, indirect=False)
            position += size
        else:
            raise LutError(f"A segmented palette has a segment of type {kind} where none can be.")
        number = None if number is None else number - 1
    return made


def _line(start: int, end: int, length: int) -> list[int]:
    """The entries after `start`, the last of which is `end` (C.7.9.2.2)."""
    return [start + round((end - start) * step / length) for step in range(1, length + 1)]
