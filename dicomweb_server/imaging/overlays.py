"""Overlay planes (PS3.3 C.9.2, C.9.3; PS3.5 8.1.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dicomweb_server.dicom.errors import DicomError

from .header import Header, binary, number, numbers
from .image import Image, Pixels

Plane = NDArray[np.bool_]


class OverlayError(DicomError):
    """An overlay plane cannot be drawn: the sentence says which, and why."""


def burn(pixels: Pixels, image: Image, header: Header) -> Pixels:
    """A copy of a rendered frame, in the frame's own size, with its overlay planes in white.

    Raises:
        OverlayError: a plane has no size, or too few bits.
    """
    groups = list(overlay_groups(header))
    if not groups:
        return pixels
    drawn = pixels.copy()
    white = np.iinfo(pixels.dtype).max
    for group in groups:
        plane = overlay_plane(group, image, header)
        if plane is not None:
            drawn[on_frame(*plane, *pixels.shape[:2])] = white
    return drawn


def overlay_groups(header: Header) -> Iterator[str]:
    """The groups of a data set that hold a plane, "6000" to "601E"."""
    for group in range(0x6000, 0x6020, 2):
        if f"{group:04X}0100" in header.attributes or f"{group:04X}3000" in header.attributes:
            yield f"{group:04X}"


def overlay_plane(group: str, image: Image, header: Header) -> tuple[Plane, int, int] | None:
    """(pixels, row, column) of a plane for a frame: where its first pixel lies, from 0.

    None if the plane has no frame for the frame of the image.

    Raises:
        OverlayError: see `burn`.
    """
    attributes = header.attributes
    origin = numbers(attributes, group + "0050")
    row, column = (int(value) - 1 for value in origin) if len(origin) == 2 else (0, 0)
    if group + "3000" not in attributes:
        return _embedded(group, image, header), row, column
    number_of_frames = int(number(attributes, group + "0015") or 0)
    first = number(attributes, group + "0051")
    index = header.frame - int(first or 1)
    if number_of_frames == 0 or (number_of_frames == 1 and first is None):
        # Not the Multi-frame Overlay module: the plane is one for all frames.
        index, number_of_frames = 0, 1
    if not 0 <= index < number_of_frames:
        return None
    return _from_data(group, index, header), row, column


def _from_data(group: str, index: int, header: Header) -> Plane:
    rows = int(number(header.attributes, group + "0010") or 0)
    columns = int(number(header.attributes, group + "0011") or 0)
    if rows < 1 or columns < 1:
        raise OverlayError(f"The overlay ({group},3000) has no Overlay Rows or Columns.")
    data = binary(header.attributes, group + "3000", header.load)
    start, end = index * rows * columns, (index + 1) * rows * columns
    if len(data) * 8 < end:
        raise OverlayError(f"The overlay ({group},3000) has {len(data) * 8} bits of {end}.")
    held = np.frombuffer(data, "u1")[start // 8 : -(-end // 8)]
    bits = np.unpackbits(held, bitorder="little")[start % 8 :][: rows * columns]
    return bits.reshape(rows, columns).astype(bool)


def _embedded(group: str, image: Image, header: Header) -> Plane:
    """A plane in bits of the pixel data that no stored value uses (retired)."""
    position = int(number(header.attributes, group + "0102") or 0)
    pixels, form = image.pixels, image.format
    used = form.high_bit - form.stored < position <= form.high_bit
    if form.is_float or form.samples > 1 or not 0 <= position < form.allocated or used:
        return np.zeros((form.rows, form.columns), bool)
    word = np.dtype(f"u{pixels.dtype.itemsize}")
    raw = np.ascontiguousarray(pixels).view(word)
    plane: Plane = np.bitwise_and(raw, word.type(1 << position)) != 0
    return plane


def on_frame(plane: Plane, row: int, column: int, rows: int, columns: int) -> Plane:
    """A plane as a mask of the size of a frame: what lies outside is left out."""
    mask = np.zeros((rows, columns), bool)
    top, left = max(row, 0), max(column, 0)
    bottom, right = min(row + plane.shape[0], rows), min(column + plane.shape[1], columns)
    if top < bottom and left < right:
        mask[top:bottom, left:right] = plane[
            top - row : bottom - row, left - column : right - column
        ]
    return mask
