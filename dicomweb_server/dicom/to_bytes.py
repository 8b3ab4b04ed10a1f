"""From an element of the DICOM JSON model (PS3.18, F.2) to the bytes of its value (PS3.5, 6.2).

The way back from what `values` does. What cannot be a value of its VR is a `DicomError` that names
the element; nothing is left out or guessed.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from struct import error, pack
from typing import Any, Final

from pydicom.valuerep import format_number_as_ds

from .errors import DicomError
from .tags import describe
from .values import BULK_VRS

Text = Callable[[str], bytes]
"""Encodes text in the character set of the data set; raises `UnicodeEncodeError`."""

NUMBERS: Final = {
    "US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d",
}  # fmt: skip
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_SINGLE: Final = frozenset(("LT", "ST", "UT", "UR"))
_CODES: Final = frozenset(("AE", "AS", "CS", "DA", "DT", "TM", "UI", "DS", "IS"))
_SHOWN: Final = 60
_LONGEST_DS: Final = 16


class ValueWriter:
    """Writes values in one byte order and character set.

    `order`: as struct spells it. `text`: of the VRs that Specific Character Set affects.
    """

    def __init__(self, order: str, text: Text) -> None:
        self._order = order
        self._text = text

    def write(self, path: str, key: str, vr: str, element: Mapping[str, Any]) -> bytes:
        """The value of an element that is neither a sequence nor bulk data, of even length.

        Args:
            path, key: where it is, for messages: see `tags.describe`.
            vr: its value representation.
            element: of the DICOM JSON model, with "Value", "InlineBinary" or neither.

        Raises:
            DicomError: the value is none of its VR.
        """
        try:
            return self._padded(vr, self._value(vr, element))
        except UnicodeEncodeError as problem:
            raise DicomError(
                f"{describe(path, key)} holds {problem.object[problem.start : problem.end][:8]!r}, "
                f"which its character set does not have."
            ) from problem
        except (ValueError, TypeError, error, OverflowError) as problem:
            shown = element.get("Value", element.get("InlineBinary"))
            raise DicomError(
                f"{describe(path, key)} is {str(shown)[:_SHOWN]!r}, which is no value of the VR "
                f"{vr}: {problem}."
            ) from problem

    @staticmethod
    def _padded(vr: str, value: bytes) -> bytes:
        return value + (b"\0" if vr == "UI" or vr in BULK_VRS else b" ") * (len(value) % 2)

    def _value(self, vr: str, element: Mapping[str, Any]) -> bytes:
        inline, values = element.get("InlineBinary"), element.get("Value")
        if inline is not None:
            if values is not None:
                raise ValueError("it has both Value and InlineBinary")
            return inline_binary(vr, inline)
        if not values:
            return b""
        if not isinstance(values, list):
            raise ValueError("Value must be a list")
        if vr in BULK_VRS:
            raise ValueError("possible are BulkDataURI and InlineBinary")
        return self._listed(vr, values)

    def _listed(self, vr: str, values: Sequence[Any]) -> bytes:
        if vr in NUMBERS:
            return self._numbers(vr, values)
        if vr == "AT":
            return b"".join(map(self._tag, values))
        if vr == "PN":
            return b"\\".join(map(self._name, values))
        if vr in _SINGLE and len(values) > 1:
            raise ValueError(f"{vr} has one value")
        texts = [_as_text(vr, value) for value in values]
        if vr not in _SINGLE and any("\\" in text for text in texts):
            raise ValueError("a backslash would part the value in two")
        whole = "\\".join(texts)
        return whole.encode("ascii") if vr in _CODES else self._text(whole)

    def _numbers(self, vr: str, values: Sequence[Any]) -> bytes:
        convert = float if vr in ("FL", "FD") else _whole
        return pack(f"{self._order}{len(values)}{NUMBERS[vr]}", *map(convert, values))

    def _tag(self, value: Any) -> bytes:
        if not isinstance(value, str) or len(value) != 8:
            raise ValueError("a tag is eight hexadecimal digits")
        return pack(f"{self._order}HH", int(value[:4], 16), int(value[4:], 16))

    def _name(self, value: Any) -> bytes:
        if value is None:
            return b""
        if isinstance(value, str):  # some clients forget the groups
            value = {"Alphabetic": value}
        if not isinstance(value, Mapping) or not value.keys() <= set(_GROUPS):
            raise ValueError(f"a name is an object with some of {', '.join(_GROUPS)}")
        groups = [_as_text("PN", value.get(group)) for group in _GROUPS]
        if any("\\" in group or "=" in group for group in groups):
            raise ValueError("a group of a name holds neither = nor a backslash")
        return self._text("=".join(groups).rstrip("="))


def inline_binary(vr: str, text: Any) -> bytes:
    """The bytes of an InlineBinary (PS3.18, F.2.7); raises ValueError for what is none."""
    if vr not in BULK_VRS:
        raise ValueError("InlineBinary is for OB, OD, OF, OL, OV, OW and UN")
    if not isinstance(text, str):
        raise ValueError("InlineBinary must be text in base64")
    try:
        return b64decode("".join(text.split()), validate=True)
    except binascii.Error as problem:
        raise ValueError(f"InlineBinary must be base64 ({problem})") from problem


def _whole(value: Any) -> int:
    """A number, also as text, as 64 bit ones may come (PS3.18, F.2.3)."""
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("a whole number was expected")
    if value is None or isinstance(value, bool):
        raise ValueError("a number was expected")
    return int(value)


def _as_text(vr: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if vr in ("DS", "IS") and isinstance(value, int | float) and not isinstance(value, bool):
        return _number_text(vr, value)
    raise ValueError("text was expected")


def _number_text(vr: str, value: float) -> str:
    if vr == "IS":
        return str(_whole(value))
    text = repr(value)
    return text if len(text) <= _LONGEST_DS else format_number_as_ds(float(value))
