"""Look-up tables (PS3.3 C.11.1.1, C.11.2.1.1), and tables of all stored values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomweb_server.dicom.errors import DicomError

from .header import Attributes, Load, binary, text, values
from .image import ImageFormat, Pixels

LUT_DESCRIPTOR = "00283002"
LUT_DATA = "00283006"

Numbers = NDArray[np.float64]


class LutError(DicomError):
    """A look-up table cannot be used: the sentence says which, and why."""


@dataclass(frozen=True, slots=True)
class Lut:
    """A look-up table. Hashable, so that what is made of it can be kept.

    Attributes:
        first: the input that is mapped to the first entry; what is below is too, and what is
            above the last entry's is mapped to the last.
        bits: of an entry, as the descriptor says.
        data: the entries as little endian words of 16 bits.
    """

    first: int
    bits: int
    data: bytes

    @property
    def entries(self) -> NDArray[np.uint16]:
        """The entries."""
        return np.frombuffer(self.data, "<u2")

    @property
    def top(self) -> int:
        """The greatest output: of the descriptor's bits, or greater if an entry is."""
        return int(max((1 << self.bits) - 1, self.entries.max()))

    def __call__(self, inputs: Numbers) -> Numbers:
        """The outputs of some inputs."""
        # NaN has no place in a table; it is taken for the least input.
        steps = np.nan_to_num(inputs - self.first, nan=0)
        index = np.clip(np.rint(steps), 0, len(self.data) // 2 - 1).astype(np.intp)
        return self.entries[index].astype(np.float64)


def descriptor(attributes: Attributes, tag: str, *, signed: bool) -> tuple[int, int, int]:
    """(entries, first value, bits) of a LUT Descriptor: 0 entries mean 65536.

    Args:
        signed: whether a first value that was written as an unsigned number is a signed one.

    Raises:
        LutError: there is none.
    """
    found = values(attributes, tag)
    possible = all(isinstance(value, int) and abs(value) <= 0xFFFF for value in found)
    if len(found) != 3 or not possible:
        raise LutError(
            f"The descriptor ({tag[:4]},{tag[4:]}) of a LUT is {str(found)[:99]}, "
            "not 3 numbers of 16 bits."
        )
    count, first, bits = found
    if signed and first > 32767:
        first -= 65536
    return (count & 0xFFFF) or 65536, first, bits


def words(data: bytes, count: int) -> NDArray[np.uint16]:
    """The entries of LUT Data: packed to bytes if there are too few for words (C.11.1.1.1).

    Raises:
        LutError: there are too few.
    """
    if len(data) >= 2 * count:
        return np.frombuffer(data, "<u2", count)
    if len(data) >= count:
        return np.frombuffer(data, "u1", count).astype("<u2")
    raise LutError(f"A LUT has {len(data)} bytes; its descriptor says that there are {count}.")


def read_lut(item: Attributes, load: Load, *, signed: bool) -> Lut:
    """The LUT of an item of Modality, VOI or Presentation LUT Sequence.

    Raises:
        LutError: the item holds none that can be used.
    """
    count, first, bits = descriptor(item, LUT_DESCRIPTOR, signed=signed)
    if not 1 <= bits <= 16:
        raise LutError(
            f"The LUT {text(item, '00283003')!r} has entries of {bits} bits, not of 8 to 16."
        )
    data = words(binary(item, LUT_DATA, load), count)
    return Lut(first, bits, data.astype("<u2").tobytes())


def stored(pixels: Pixels, form: ImageFormat) -> Pixels:
    """Stored values: Bits Stored up to High Bit, sign extended (PS3.5 8.1.1).

    What lies in other bits of a word, such as overlays, is taken away.
    """
    if form.is_float or form.stored == form.allocated:
        return pixels
    above = form.allocated - 1 - form.high_bit
    # Shifts drop the bits above and extend the sign of signed words at once.
    moved = np.left_shift(pixels, pixels.dtype.type(above)) if above else pixels
    below = form.allocated - form.stored
    values: Pixels = np.right_shift(moved, pixels.dtype.type(below))
    return values


def stored_range(form: ImageFormat) -> tuple[int, int]:
    """The least and the greatest stored value that the format can hold."""
    if form.signed:
        return -(1 << (form.stored - 1)), (1 << (form.stored - 1)) - 1
    return 0, (1 << form.stored) - 1


def all_stored(form: ImageFormat) -> Numbers:
    """Every stored value, in the order of its bits as an unsigned number."""
    every = np.arange(1 << form.stored, dtype=np.float64)
    if form.signed:
        every[1 << (form.stored - 1) :] -= 1 << form.stored
    return every


def unsigned(pixels: Pixels, form: ImageFormat) -> Pixels:
    """The bits of each stored value as an unsigned number."""
    word = np.dtype(f"u{pixels.dtype.itemsize}")
    raw = np.ascontiguousarray(pixels).view(word)
    if form.stored < form.allocated:
        below = form.high_bit + 1 - form.stored
        if below:
            raw = np.right_shift(raw, word.type(below))
        raw = np.bitwise_and(raw, word.type((1 << form.stored) - 1))
    return raw


def look_up(table: Pixels, pixels: Pixels, form: ImageFormat) -> Pixels:
    """The outputs of a table of `all_stored` for the pixels of a frame."""
    # Indices are in range by now: "clip" spares numpy the check, not a wrong result.
    return np.take(table, unsigned(pixels, form), axis=0, mode="clip")
