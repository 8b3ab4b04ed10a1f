"""Reads what rendering needs from a data set in the DICOM JSON model (PS3.18 F.2)."""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Attributes = Mapping[str, Any]
Load = Callable[[str], bytes]

SHARED_FUNCTIONAL_GROUPS = "52009229"
PER_FRAME_FUNCTIONAL_GROUPS = "52009230"
_INLINE = {"SS": "<i2", "US": "<u2", "OW": "<u2", "SL": "<i4", "UL": "<u4", "OB": "u1"}


def nothing(path: str) -> bytes:
    """A `Load` for headers whose values are all there."""
    return b""


def values(attributes: Attributes, tag: str) -> list[Any]:
    """The values of an element that are not empty."""
    found = attributes.get(tag, {}).get("Value") or ()
    return [value for value in found if value is not None and value != ""]


def numbers(attributes: Attributes, tag: str) -> list[float]:
    """The values of an element as finite numbers, strings (DS, IS) too; others are left out."""
    found = []
    for value in values(attributes, tag):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            continue
        if math.isfinite(number):
            found.append(number)
    return found


def number(attributes: Attributes, tag: str) -> float | None:
    """The first number of an element."""
    found = numbers(attributes, tag)
    return found[0] if found else None


def text(attributes: Attributes, tag: str) -> str:
    """The first value of an element as text without padding, "" if there is none."""
    found = values(attributes, tag)
    return str(found[0]).strip() if found else ""


def items(attributes: Attributes, tag: str) -> list[Attributes]:
    """The items of a sequence."""
    return [item for item in values(attributes, tag) if isinstance(item, Mapping)]


def binary(attributes: Attributes, tag: str, load: Load) -> bytes:
    """The value of an element as little endian bytes, wherever it is; b"" if there is none."""
    element = attributes.get(tag, {})
    if "BulkDataURI" in element:
        return load(str(element["BulkDataURI"]))
    if "InlineBinary" in element:
        return b64decode(element["InlineBinary"])
    found = values(attributes, tag)
    word = np.dtype(_INLINE.get(element.get("vr", ""), "<u2"))
    mask = (1 << 8 * word.itemsize) - 1
    whole = [int(value) & mask for value in found if isinstance(value, int)]
    return np.array(whole, f"<u{word.itemsize}").tobytes()


@dataclass(frozen=True, slots=True)
class Header:
    """A data set, the frame that is asked for, and how values outside of the header are had.

    Attributes:
        attributes: in the DICOM JSON model.
        frame: counted from 1.
        load: gives the little endian bytes of a value by what its `BulkDataURI` says.
    """

    attributes: Attributes
    frame: int = 1
    load: Load = nothing

    def macro(self, tag: str) -> list[Attributes]:
        """Items of a functional group macro's sequence: this frame's, else those of all frames.

        (PS3.3 C.7.6.16.1.1, C.7.6.16.1.2)
        """
        per_frame = items(self.attributes, PER_FRAME_FUNCTIONAL_GROUPS)
        if 0 < self.frame <= len(per_frame):
            found = items(per_frame[self.frame - 1], tag)
            if found:
                return found
        for shared in items(self.attributes, SHARED_FUNCTIONAL_GROUPS):
            found = items(shared, tag)
            if found:
                return found
        return []

    def place(self, macro: str, *tags: str) -> Attributes:
        """Where one of some elements stands: in a macro of the frame, else in the data set."""
        for item in self.macro(macro):
            if any(values(item, tag) for tag in tags):
                return item
        return self.attributes


def bulk_values(attributes: Attributes) -> Iterator[str]:
    """The `BulkDataURI` of every value, pixel data left out, that rendering may load.

    Look-up tables (0028,xxxx), ICC profiles and overlay planes (60xx,3000), at any depth.
    """
    for tag, element in attributes.items():
        if "BulkDataURI" in element:
            if tag.startswith("0028") or (tag.startswith("60") and tag.endswith("3000")):
                yield str(element["BulkDataURI"])
        elif element.get("vr") == "SQ":
            for item in items(attributes, tag):
                yield from bulk_values(item)
