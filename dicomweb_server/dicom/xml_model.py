"""From the DICOM JSON model to the Native DICOM Model in XML (PS3.19, A.1).

The way back, `from_native_xml`, lives in `xml_reading` and is importable from here too.

The text is put together by hand: an instance has hundreds of attributes, and a tree of objects
would cost ten times as much. XML made here has no document type and no entities but the five of
XML itself.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from .xml_reading import from_native_xml as from_native_xml

NAMESPACE: Final = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
)
_TAIL: Final = "</NativeDicomModel>"
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_ODD: Final = frozenset("13579BDF")

# A parser turns a bare CR into LF and, in an attribute, TAB and LF into spaces: so these are
# escaped too
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}
_ATTRIBUTE_ESCAPES: Final = _ESCAPES | {"\t": "&#9;", "\n": "&#10;"}
_SPECIAL = re.compile('[&<>"\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]')
_SPECIAL_IN_ATTRIBUTE = re.compile('[&<>"\x00-\x1f\ud800-\udfff\ufffe\uffff]')

Keyword = Callable[[str], str | None]
"""Gives the keyword of a tag (8 upper-case hex digits), or None or an empty text if it has none."""


def to_native_xml(attributes: Mapping[str, Any], keyword: Keyword) -> bytes:
    """One data set of the DICOM JSON model as an XML document in UTF-8.

    Values are taken as they are; characters that XML 1.0 cannot hold become U+FFFD. An empty value
    (null) is left out, and the numbers of the others stay. Group lengths are left out (PS3.19,
    A.1.1).
    """
    out = [_HEAD]
    _write_data_set(out, attributes, keyword)
    out.append(_TAIL)
    return "".join(out).encode("utf-8")


def _write_data_set(out: list[str], attributes: Mapping[str, Any], keyword: Keyword) -> None:
    for tag in sorted(attributes):
        if not tag.endswith("0000"):
            out.append(_opening(tag, attributes, keyword))
            _write_content(out, attributes[tag], keyword)
            out.append("</DicomAttribute>")


def _opening(tag: str, attributes: Mapping[str, Any], keyword: Keyword) -> str:
    vr = attributes[tag].get("vr", "UN")
    if tag[3:4] not in _ODD:
        return _public_opening(tag, vr, keyword)
    creators = attributes.get(f"{tag[:4]}00{tag[4:6]}", {}).get("Value")
    creator = creators[0] if creators and isinstance(creators[0], str) else ""
    return _private_opening(tag, vr, creator)


@lru_cache(maxsize=4096)
def _public_opening(tag: str, vr: str, keyword: Keyword) -> str:
    name = keyword(tag)
    named = f' keyword="{_attribute(name)}"' if name else ""
    return f'<DicomAttribute tag="{_attribute(tag)}" vr="{_attribute(vr)}"{named}>'


@lru_cache(maxsize=4096)
def _private_opening(tag: str, vr: str, creator: str) -> str:
    # the block is 00, so that the attribute can be found whatever block its creator got; without
    # its creator the block is all that is known of it
    is_in_block = creator and tag[4:6] >= "10"
    shown = f"{tag[:4]}00{tag[6:]}" if is_in_block else tag
    named = f' privateCreator="{_attribute(creator)}"' if is_in_block else ""
    return f'<DicomAttribute tag="{_attribute(shown)}" vr="{_attribute(vr)}"{named}>'


def _write_content(out: list[str], element: Mapping[str, Any], keyword: Keyword) -> None:
    values = element.get("Value")
    if values:
        vr = element.get("vr")
        if vr == "SQ":
            _write_items(out, values, keyword)
        elif vr == "PN":
            _write_names(out, values)
        else:
            _write_values(out, values)
    elif (uri := element.get("BulkDataURI")) is not None:
        out.append(f'<BulkData uri="{_attribute(str(uri))}"/>')
    elif (inline := element.get("InlineBinary")) is not None:
        out.append(f"<InlineBinary>{_text(str(inline))}</InlineBinary>")


def _write_items(out: list[str], items: Iterable[Any], keyword: Keyword) -> None:
    for number, item in enumerate(items, 1):
        out.append(f'<Item number="{number}">')
        _write_data_set(out, item or {}, keyword)
        out.append("</Item>")


def _write_values(out: list[str], values: Iterable[Any]) -> None:
    for number, value in enumerate(values, 1):
        if value is not None:
            out.append(f'<Value number="{number}">{_text(str(value))}</Value>')


def _write_names(out: list[str], names: Iterable[Any]) -> None:
    for number, name in enumerate(names, 1):
        if not name:
            continue
        out.append(f'<PersonName number="{number}">')
        groups = ((group, name.get(group)) for group in _GROUPS)
        out.extend(f"<{group}>{_components(text)}</{group}>" for group, text in groups if text)
        out.append("</PersonName>")


def _components(text: str) -> str:
    # more than five components are no DICOM; the last one takes what is left, rather than losing it
    parts = zip(_COMPONENTS, text.split("^", len(_COMPONENTS) - 1), strict=False)
    return "".join(f"<{name}>{_text(part)}</{name}>" for name, part in parts if part)


def _text(text: str) -> str:
    return _SPECIAL.sub(_escape, text) if _SPECIAL.search(text) else text


def _attribute(text: str) -> str:
    return _SPECIAL_IN_ATTRIBUTE.sub(_escape, text) if _SPECIAL_IN_ATTRIBUTE.search(text) else text


def _escape(found: re.Match[str]) -> str:
    return _ATTRIBUTE_ESCAPES.get(found[0], "\ufffd")
