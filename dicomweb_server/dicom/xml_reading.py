"""From the Native DICOM Model in XML (PS3.19, A.1) to the DICOM JSON model.

Read with expat as it comes, so that no tree is held. A document type is refused: with it go all
entities but the five of XML itself, and whatever they could name or multiply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from xml.parsers import expat

from .errors import DicomError, LimitExceeded
from .instance import Limits
from .to_bytes import NUMBERS
from .values import json_float

_NAMESPACE: Final = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_SEPARATOR: Final = "|"
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_TEXTS: Final = frozenset(("Value", "InlineBinary", *_COMPONENTS))
_ALLOWED: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("NativeDicomModel",),
    "NativeDicomModel": ("DicomAttribute",),
    "Item": ("DicomAttribute",),
    "DicomAttribute": ("Value", "PersonName", "Item", "BulkData", "InlineBinary"),
    "PersonName": _GROUPS,
    **dict.fromkeys(_GROUPS, _COMPONENTS),
}
"""Which elements may lie in which."""
_MOST_VALUES: Final = 1_000_000


def from_native_xml(document: bytes, limits: Limits | None = None) -> dict[str, dict[str, Any]]:
    """The data set of one document, tags ascending.

    Values keep their text, numbers become numbers. Empty and missing values are null.
    Private attributes get the block of the one that `privateCreator` names; a creator that has no
    element is given one.

    Raises:
        DicomError: it is no well-formed XML, has a document type, or is no Native DICOM Model.
        LimitExceeded: it has more elements or depth than `limits` allows.
    """
    return _Reader(limits or Limits()).read(document)


class _Frame:
    """An element whose end was not seen yet."""

    __slots__ = ("attributes", "name", "private", "target", "text", "values")

    def __init__(self, name: str, attributes: Mapping[str, str]) -> None:
        self.name, self.attributes = name, attributes
        self.text: list[str] = []
        self.values: dict[int, Any] = {}
        self.target: dict[str, Any] = {}
        self.private: list[tuple[str, str, dict[str, Any]]] = []


class _Reader:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = limits.elements
        self._depth = 0
        self._stack = [_Frame("", {})]
        self._parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def read(self, document: bytes) -> dict[str, dict[str, Any]]:
        try:
            self._parser.Parse(document, True)
        except expat.ExpatError as error:
            raise DicomError(f"The metadata are no XML: {error}.") from error
        return self._stack[0].target

    def _where(self) -> str:
        return f"in line {self._parser.CurrentLineNumber} of the metadata"

    def _error(self, sentence: str) -> DicomError:
        return DicomError(f"{sentence} {self._where()} (PS3.19, A.1).")

    def _refuse_doctype(self, *_: object) -> None:
        raise self._error("A document type is not taken; it stands")

    def _start(self, qualified: str, attributes: dict[str, str]) -> None:
        namespace, _, name = qualified.rpartition(_SEPARATOR)
        around = self._stack[-1].name
        if namespace not in ("", _NAMESPACE):
            raise self._error(f"{name[:40]!r} has the name space {namespace[:80]!r}")
        if name not in _ALLOWED.get(around, ()):
            possible = ", ".join(_ALLOWED.get(around, ())) or "text"
            raise self._error(
                f"{name[:40]!r} stands in {around or 'the document'!r}; possible: {possible};"
            )
        self._left -= 1
        self._depth += name == "Item"
        if self._left < 0 or self._depth > self._limits.depth:
            raise LimitExceeded(
                f"The XML has more elements or depth than allowed {self._where()}; possible are "
                f"{self._limits.elements} and {self._limits.depth}."
            )
        self._stack.append(_Frame(name, attributes))

    def _characters(self, text: str) -> None:
        frame = self._stack[-1]
        if frame.name in _TEXTS:
            frame.text.append(text)
        elif text.strip():
            raise self._error(f"Text {text.strip()[:40]!r} stands in {frame.name!r}")

    def _end(self, _: str) -> None:
        frame = self._stack.pop()
        _ENDS[frame.name](self, frame, self._stack[-1])

    def number(self, frame: _Frame, around: _Frame) -> int:
        """The place of a value among others, from 1; without `number` the next one."""
        text = frame.attributes.get("number", str(len(around.values) + 1))
        position = int(text) if text.isdecimal() and len(text) < 8 else 0
        if not 1 <= position <= _MOST_VALUES or position in around.values:
            raise self._error(f"{frame.name} has the number {text[:20]!r}, which is none or used,")
        return position

    # --- what the end of each element means ---------------------------------------------------

    def end_model(self, frame: _Frame, around: _Frame) -> None:
        around.target = self._complete(frame)

    def end_item(self, frame: _Frame, around: _Frame) -> None:
        self._depth -= 1
        around.values[self.number(frame, around)] = self._complete(frame)

    def end_text(self, frame: _Frame, around: _Frame) -> None:
        around.values[self.number(frame, around)] = "".join(frame.text) or None

    def end_bulk(self, frame: _Frame, around: _Frame) -> None:
        # PS3.19, A.1.6, names it uri; some writers spell it as an abbreviation.
        uri = frame.attributes.get("uri", frame.attributes.get("URI"))
        if uri is None:
            raise self._error("BulkData has no uri")
        around.target["BulkDataURI"] = uri

    def end_inline(self, frame: _Frame, around: _Frame) -> None:
        around.target["InlineBinary"] = "".join("".join(frame.text).split())

    def end_name(self, frame: _Frame, around: _Frame) -> None:
        around.values[self.number(frame, around)] = frame.target

    def end_group(self, frame: _Frame, around: _Frame) -> None:
        parts = [frame.target.get(name, "") for name in _COMPONENTS]
        text = "^".join(parts).rstrip("^")
        if text:
            around.target[frame.name] = text

    def end_component(self, frame: _Frame, around: _Frame) -> None:
        around.target[frame.name] = "".join(frame.text)

    def end_attribute(self, frame: _Frame, around: _Frame) -> None:
        tag, vr = frame.attributes.get("tag", "").upper(), frame.attributes.get("vr", "")
        if not (len(tag) == 8 and tag.isascii() and tag.isalnum()) or not vr:
            raise self._error(f"A DicomAttribute has the tag {tag[:40]!r} and the VR {vr[:20]!r}")
        element: dict[str, Any] = {"vr": vr} | frame.target
        if frame.values:
            if frame.target:
                raise self._error(f"{tag} has values and binary data")
            element["Value"] = self._listed(tag, vr, frame.values)
        creator = frame.attributes.get("privateCreator", "")
        if creator:
            around.private.append((tag, creator, element))
        else:
            self._put(around.target, tag, element)

    def _put(self, target: dict[str, Any], tag: str, element: dict[str, Any]) -> None:
        if tag in target:
            raise self._error(f"{tag} stands twice")
        target[tag] = element

    def _listed(self, tag: str, vr: str, values: dict[int, Any]) -> list[Any]:
        last = max(values)
        self._left -= last // 8
        if self._left < 0:
            raise LimitExceeded(f"The XML has more values than allowed {self._where()}.")
        listed = [values.get(number) for number in range(1, last + 1)]
        if vr not in NUMBERS and vr != "IS":
            return [{} if each is None else each for each in listed] if vr == "SQ" else listed
        try:
            return [_number(vr, each) for each in listed]
        except ValueError as error:
            raise self._error(f"{tag} is no value of the VR {vr}: {error}") from error

    def _complete(self, frame: _Frame) -> dict[str, Any]:
        """A data set with its private attributes at home in blocks."""
        target = frame.target
        for tag, creator, element in frame.private:
            block = self._block(target, tag[:4], creator)
            self._put(target, f"{tag[:4]}{block:02X}{tag[6:]}", element)
        return dict(sorted(target.items()))

    def _block(self, target: dict[str, Any], group: str, creator: str) -> int:
        free = 0
        for block in range(0x10, 0x100):
            values = target.get(f"{group}00{block:02X}", {}).get("Value")
            if values == [creator]:
                return block
            free = free or (0 if f"{group}00{block:02X}" in target else block)
        if not free:
            raise self._error(f"Group {group} has no block left for {creator[:40]!r}")
        target[f"{group}00{free:02X}"] = {"vr": "LO", "Value": [creator]}
        return free


def _number(vr: str, text: Any) -> Any:
    if text is None or not text.strip():
        return None
    if vr in ("FL", "FD"):
        return json_float(float(text))
    return int(text)


_End = Callable[[_Reader, _Frame, _Frame], None]
_ENDS: Final[Mapping[str, _End]] = {
    "NativeDicomModel": _Reader.end_model,
    "Item": _Reader.end_item,
    "Value": _Reader.end_text,
    "BulkData": _Reader.end_bulk,
    "InlineBinary": _Reader.end_inline,
    "PersonName": _Reader.end_name,
    "DicomAttribute": _Reader.end_attribute,
    **dict.fromkeys(_GROUPS, _Reader.end_group),
    **dict.fromkeys(_COMPONENTS, _Reader.end_component),
}
