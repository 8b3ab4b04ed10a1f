"""From the bytes of a value to its DICOM JSON element (PS3.18, F.2), one converter per VR.

Short values repeat, in the frames of an image and in the instances of a series. Their elements are
made once and shared, which spares memory and time; nobody changes an element.

A converter takes the value (never empty), the data set around it and the key of the element, and
returns ``{"vr": .., "Value": [..]}``, without "Value" if nothing but padding was there. What it had
to tolerate it notes on the data set. Numbers that JSON cannot hold are strings: "NaN", "Infinity",
"-Infinity" (PS3.18 leaves them open; these are what float() of Python and Number() of JavaScript
read back).
"""

import re
from collections.abc import Callable
from functools import lru_cache
from math import copysign
from struct import Struct
from typing import Any

from .allowance import FEW
from .charset import NAME_DELIMITERS, TEXT_DELIMITERS, VALUE_DELIMITERS
from .scope import Scope
from .tags import VRS

Element = dict[str, Any]
Converter = Callable[[bytes, Scope, str], Element]

BULK_VRS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
# Bytes per word, for VRs whose byte order depends on the transfer syntax.
WORD_SIZES = {
    "AT": 2, "FD": 8, "FL": 4, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2, "SL": 4, "SS": 2,
    "SV": 8, "UL": 4, "US": 2, "UV": 8,
}  # fmt: skip

_PADDING = " \0"
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_FORMATS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_DECIMAL = re.compile(rf"{_NUMBER}\Z", re.ASCII)
_DECIMALS = re.compile(rf"{_NUMBER}(?:\\{_NUMBER})*+\Z", re.ASCII)
_INTEGER = re.compile(r"([+-]?\d{1,18})(?:\.0*)?\Z", re.ASCII)
_SHARED = 1024  # elements of a VR that are kept for sharing
_SHORT = 32  # bytes of a value whose element is shared
_SHORT_DS = 128  # positions and orientations are long, and repeat
_NAME_VALUES = 4  # text values that take as much memory as a name
EMPTY: dict[str, Element] = {vr: {"vr": vr} for vr in sorted(VRS)}
"""Elements without a value."""


def _is_plain(raw: bytes) -> bool:
    """Whether the bytes are the same text in every character set."""
    return raw.isascii() and b"\x1b" not in raw


def _text(raw: bytes, scope: Scope, key: str, delimiters: re.Pattern[bytes]) -> str:
    if _is_plain(raw):
        return raw.decode("ascii")
    text, fine = scope.charset.decode(raw, delimiters)
    if not fine:
        scope.note(
            key, "holds bytes that are no text in its character set: metadata show U+FFFD for them"
        )
    return text


def _split(text: str) -> list[str | None]:
    return [value.rstrip(_PADDING) or None for value in text.split("\\")]


def _make_text(vr: str) -> Converter:
    """SH, LO, UC: several values, leading spaces kept."""

    def element(text: str) -> Element:
        if "\\" in text:
            return {"vr": vr, "Value": _split(text)}
        text = text.rstrip(_PADDING)
        return {"vr": vr, "Value": [text]} if text else {"vr": vr}

    @lru_cache(_SHARED)
    def shared(raw: bytes) -> Element | None:
        return element(raw.decode("ascii")) if _is_plain(raw) else None

    def convert(raw: bytes, scope: Scope, key: str) -> Element:
        if len(raw) > FEW:
            scope.several(key, raw.count(b"\\") + 1)
        found = shared(raw) if len(raw) <= _SHORT else None
        return found or element(_text(raw, scope, key, VALUE_DELIMITERS))

    return convert


def _make_paragraph(vr: str) -> Converter:
    """LT, ST, UT, UR: one value, in which a backslash is a backslash."""

    def convert(raw: bytes, scope: Scope, key: str) -> Element:
        text = _text(raw, scope, key, TEXT_DELIMITERS).rstrip(_PADDING)
        return {"vr": vr, "Value": [text]} if text else {"vr": vr}

    return convert


def _make_code(vr: str) -> Converter:
    """AE, AS, CS, DA, DT, TM: the default repertoire, padding on both sides without meaning."""

    def element(raw: bytes) -> Element:
        text = raw.decode("latin_1")
        if "\\" in text:
            return {"vr": vr, "Value": [v.strip(_PADDING) or None for v in text.split("\\")]}
        text = text.strip(_PADDING)
        return {"vr": vr, "Value": [text]} if text else {"vr": vr}

    shared = lru_cache(_SHARED)(element)

    def convert(raw: bytes, scope: Scope, key: str) -> Element:
        if len(raw) > FEW:
            scope.several(key, raw.count(b"\\") + 1)
        return shared(raw) if len(raw) <= _SHORT else element(raw)

    return convert


def _make_uids() -> Converter:
    """UI: as a code, but padded with NULL alone (PS3.5, 6.2, 9.1)."""
    code = _make_code("UI")

    def convert(raw: bytes, scope: Scope, key: str) -> Element:
        if b" " in raw:
            scope.note(key, "holds a space, with which UIDs are not padded")
        return code(raw, scope, key)

    return convert


def person_name(raw: bytes, scope: Scope, key: str) -> Element:
    """PN: objects of component groups; empty groups are left out, an empty name is null."""
    text = _text(raw, scope, key, NAME_DELIMITERS).rstrip(_PADDING)
    if not text:
        return {"vr": "PN"}
    if "\\" not in text and "=" not in text:
        return {"vr": "PN", "Value": [{"Alphabetic": text}]}
    names = text.split("\\")
    scope.several(key, len(names) * _NAME_VALUES)
    return {"vr": "PN", "Value": [_name_groups(name, scope, key) for name in names]}


def _name_groups(name: str, scope: Scope, key: str) -> dict[str, str] | None:
    groups = [group.rstrip(_PADDING) for group in name.split("=")]
    if len(groups) > 3:
        scope.note(key, "has more than three groups in a person name: metadata show three")
    return {label: g for label, g in zip(_GROUPS, groups, strict=False) if g} or None


def decimal_string(raw: bytes, scope: Scope, key: str) -> Element:
    """DS: the text of each number without padding, null for what is none."""
    if len(raw) > FEW:
        scope.several(key, raw.count(b"\\") + 1)
    element, wrong = _decimals(raw) if len(raw) <= _SHORT_DS else _decimals.__wrapped__(raw)
    if wrong:
        scope.note(key, "holds what is no decimal number: metadata cannot show it")
    return element


@lru_cache(4 * _SHARED)
def _decimals(raw: bytes) -> tuple[Element, bool]:
    whole = raw.decode("latin_1").strip(_PADDING)
    items = whole.split("\\")
    if _DECIMALS.match(whole):
        return {"vr": "DS", "Value": items}, False
    texts = [item.strip(_PADDING) for item in items]
    values = [text if _DECIMAL.match(text) else None for text in texts]
    return _with_places("DS", values, texts)


def _with_places(vr: str, values: list[Any], texts: list[str]) -> tuple[Element, bool]:
    """The element of numbers, and whether one was none: its place among several stays (null)."""
    wrong = any(value is None and text for value, text in zip(values, texts, strict=True))
    return ({"vr": vr} if values == [None] else {"vr": vr, "Value": values}), wrong


def integer_string(raw: bytes, scope: Scope, key: str) -> Element:
    """IS: integers, null for what is none."""
    if len(raw) > FEW:
        scope.several(key, raw.count(b"\\") + 1)
    element, wrong = _integers(raw) if len(raw) <= _SHORT else _integers.__wrapped__(raw)
    if wrong:
        scope.note(key, "holds what is no integer: metadata cannot show it")
    return element


@lru_cache(_SHARED)
def _integers(raw: bytes) -> tuple[Element, bool]:
    texts = [text.strip(_PADDING) for text in raw.decode("latin_1").split("\\")]
    matches = [_INTEGER.match(text) for text in texts]
    values = [int(match[1]) if match else None for match in matches]
    return _with_places("IS", values, texts)


@lru_cache(maxsize=1024)
def _struct(order: str, count: int, code: str) -> Struct:
    return Struct(f"{order}{count}{code}")


def _whole_words(raw: bytes, size: int, scope: Scope, key: str, vr: str) -> bytes:
    scope.note(
        key, f"has {len(raw)} bytes, no multiple of the {size} of {vr}: metadata lack the rest"
    )
    return raw[: len(raw) // size * size]


def _make_integers(vr: str, order: str) -> Converter:
    code = _FORMATS[vr]
    one = Struct(order + code)
    size = one.size

    @lru_cache(_SHARED)
    def single(raw: bytes) -> Element:
        return {"vr": vr, "Value": [*one.unpack(raw)]}

    def convert(raw: bytes, scope: Scope, key: str) -> Element:
        if len(raw) == size:
            return single(raw)
        numbers = _unpack(raw, size, code, order, vr, scope, key)
        return {"vr": vr, "Value": [*numbers]} if numbers else {"vr": vr}

    return convert


def _unpack(
    raw: bytes, size: int, code: str, order: str, vr: str, scope: Scope, key: str
) -> tuple[Any, ...]:
    if len(raw) % size:
        raw = _whole_words(raw, size, scope, key, vr)
    count = len(raw) // size
    scope.several(key, count)
    unpacker = _struct(order, count, code) if count < 64 else Struct(f"{order}{count}{code}")
    return unpacker.unpack(raw)


def json_float(value: float) -> float | int | str:
    """A float as JSON can hold it: integral ones without fraction, others than numbers as text."""
    if value.is_integer():
        whole = -1e15 < value < 1e15 and (value != 0 or copysign(1, value) > 0)
        return int(value) if whole else value  # -0.0 is no whole number in JSON
    if value - value == 0:
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _make_floats(vr: str, order: str) -> Converter:
    code = _FORMATS[vr]
    one = Struct(order + code)
    size = one.size

    @lru_cache(_SHARED)
    def single(raw: bytes) -> Element:
        return {"vr": vr, "Value": [json_float(*one.unpack(raw))]}

    def convert(raw: bytes, scope: Scope, key: str) -> Element:
        if len(raw) == size:
            return single(raw)
        numbers = _unpack(raw, size, code, order, vr, scope, key)
        if not numbers:
            return {"vr": vr}
        return {"vr": vr, "Value": [json_float(number) for number in numbers]}

    return convert


def _make_tags(order: str) -> Converter:
    def convert(raw: bytes, scope: Scope, key: str) -> Element:
        if len(raw) % 4:
            raw = _whole_words(raw, 4, scope, key, "AT")
            if not raw:
                return {"vr": "AT"}
        scope.several(key, len(raw) // 4)
        words = Struct(f"{order}{len(raw) // 2}H").unpack(raw)
        pairs = zip(words[::2], words[1::2], strict=True)
        return {"vr": "AT", "Value": [f"{group:04X}{element:04X}" for group, element in pairs]}

    return convert


def _converters(order: str) -> dict[str, Converter]:
    table: dict[str, Converter] = {
        "PN": person_name,
        "UI": _make_uids(),
        "DS": decimal_string,
        "IS": integer_string,
        "AT": _make_tags(order),
    }
    table |= {vr: _make_text(vr) for vr in ("SH", "LO", "UC")}
    table |= {vr: _make_paragraph(vr) for vr in ("LT", "ST", "UT", "UR")}
    table |= {vr: _make_code(vr) for vr in ("AE", "AS", "CS", "DA", "DT", "TM")}
    table |= {vr: _make_integers(vr, order) for vr in ("US", "SS", "UL", "SL", "UV", "SV")}
    table |= {vr: _make_floats(vr, order) for vr in ("FL", "FD")}
    return table


# By byte order as struct spells it.
CONVERTERS = {"<": _converters("<"), ">": _converters(">")}
