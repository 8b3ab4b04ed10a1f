"""The DICOM JSON model as text (PS3.18, F), kept free of options, and the options on its way out.

In the kept text the base of each BulkDataURI is one raw byte 0x1F. JSON text never contains a raw
control character, so no value can forge it, and one `replace` makes the answer.
"""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Any, Literal

import orjson

from .values import WORD_SIZES, json_float

BASE = b"\x1f"
_FORMATS = {"OD": "d", "OF": "f", "OL": "I", "OV": "Q", "OW": "H"}
_PIXEL_DATA = ("7fe00008", "7fe00009", "7fe00010")

BinaryMode = Literal["BulkDataURI", "InlineBinary", "ArrayOfValues"]


class BulkPath(str):
    """The path of a value left in the file, such as "60031010/2/60031011"."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class JsonOptions:
    """How DICOM JSON is rendered.

    Attributes:
        decimal_strings: DS as strings with their exact text; otherwise as JSON numbers.
        other_binary: OD, OF, OL, OV, OW (and OB, unless "BulkDataURI") as URI, as base64 of their
            little endian bytes, or as numbers. Pixel data and UN are always URIs.
    """

    decimal_strings: bool = True
    other_binary: BinaryMode = "BulkDataURI"


DEFAULT = JsonOptions()


def dump_header(attributes: dict[str, dict[str, Any]]) -> bytes:
    """The text of a data set for `render`; values of "BulkDataURI" must be `BulkPath`."""
    return orjson.dumps(attributes, _placeholder, orjson.OPT_PASSTHROUGH_SUBCLASS)


def _placeholder(path: Any) -> orjson.Fragment:
    if isinstance(path, BulkPath):
        return orjson.Fragment(b'"' + BASE + path.encode() + b'"')
    raise TypeError


def load_header(header: bytes) -> dict[str, dict[str, Any]]:
    """The data set of a kept text; values of "BulkDataURI" are paths without base."""
    data: dict[str, dict[str, Any]] = orjson.loads(header.replace(BASE, b""))
    return data


def render(
    header: bytes,
    bulk_base: str,
    options: JsonOptions = DEFAULT,
    load: Callable[[str], bytes] | None = None,
) -> bytes:
    """The DICOM JSON text of one data set for an answer.

    Args:
        header: `ParsedInstance.header`.
        bulk_base: what comes before the path in each BulkDataURI, ``http://host/.../bulk/``.
        load: gives the value at a path as little endian bytes; without it binary values stay URIs.
    """
    base = orjson.dumps(bulk_base)[1:-1]
    if options.decimal_strings and (options.other_binary == "BulkDataURI" or load is None):
        return header.replace(BASE, base)
    data = orjson.loads(header.replace(BASE, rb"\u001f"))
    _apply(data, options, load)
    text = orjson.dumps(data)
    # Only strings that start a BulkDataURI begin with the escaped byte and are not values; values
    # with that byte were told apart while applying the options.
    return text.replace(rb'"BulkDataURI":"\u001f', b'"BulkDataURI":"' + base)


def _apply(data: dict[str, Any], options: JsonOptions, load: Callable[[str], bytes] | None) -> None:
    for element in data.values():
        vr = element["vr"]
        values = element.get("Value")
        if vr == "SQ":
            for item in values or ():
                _apply(item, options, load)
        elif vr == "DS" and values and not options.decimal_strings:
            element["Value"] = [_number(value) for value in values]
        elif "BulkDataURI" in element and load is not None:
            _embed(element, vr, options.other_binary, load)


def _number(text: str | None) -> str | float | int | None:
    value = float(text) if text else None
    return text if value is None or value - value != 0 else json_float(value)


def _embed(
    element: dict[str, Any], vr: str, mode: BinaryMode, load: Callable[[str], bytes]
) -> None:
    path = element["BulkDataURI"][1:]
    if mode == "BulkDataURI" or path in _PIXEL_DATA or (vr != "OB" and vr not in _FORMATS):
        return
    value = load(path)
    del element["BulkDataURI"]
    if vr == "OB" or mode == "InlineBinary":
        element["InlineBinary"] = b64encode(value).decode("ascii")
        return
    count = len(value) // WORD_SIZES[vr]
    numbers = Struct(f"<{count}{_FORMATS[vr]}").unpack(value[: count * WORD_SIZES[vr]])
    element["Value"] = [json_float(n) for n in numbers] if vr in ("OD", "OF") else list(numbers)
