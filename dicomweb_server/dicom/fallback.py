"""Files in which the fast reader loses its way, read with pydicom into the same result."""

import warnings
from collections.abc import Iterable
from struct import unpack
from typing import Any, BinaryIO, cast

from pydicom.charset import default_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.filereader import read_sequence

from .allowance import HEAD, Allowance
from .assemble import Findings, assemble
from .charset import Charset, charset_of
from .charset import default_charset as charset_by_name
from .elements import CHARACTER_SET, PIXEL_REPRESENTATION, UNDEFINED_LENGTH
from .errors import DicomError, LimitExceeded, NotDicom, NotUnderstood, Truncated
from .fragments import FRAGMENT_COST, no_fragment, starts_image
from .instance import Limits, LocatedValue, ParsedInstance
from .json_model import BulkPath
from .raw_elements import AnyElement, read_raw
from .reader import DicomReader
from .scope import UNDEFINED, OpenFragments, Scope
from .tags import STANDARD, VRS, TagDictionary, describe, is_private, is_private_creator
from .transfer_syntaxes import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, is_deflated
from .values import BULK_VRS, CONVERTERS

_DELIMITERS = 0xFFFE
_ITEM, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
# One of these shows that pydicom did not read noise: SOP class and instance, patient, study, and
# the directory of a medium.
_EVIDENCE = ("00080016", "00080018", "00100020", "0020000D", "00041220")


def read_with_pydicom(
    file: BinaryIO,
    *,
    dictionary: TagDictionary = STANDARD,
    default_charset: str = "ISO_IR 100",
    limits: Limits = Limits(),  # noqa: B008  # frozen
) -> ParsedInstance:
    """Read a file for which `DicomReader` raised `NotUnderstood`.

    Values larger than `limits.inline_value` are not loaded, unless they lie in sequences.

    Args:
        file: seekable, at any position; stays open.
        dictionary, default_charset, limits: as for `DicomReader`.

    Raises:
        NotDicom: pydicom cannot read it either, or finds nothing that identifies an instance.
        Truncated: a value is longer than the rest of the file.
        LimitExceeded: as for `DicomReader`.
    """
    size = file.seek(0, 2)
    file.seek(0)
    if is_deflated(_transfer_syntax(file)):
        raise NotDicom("The deflated data set holds something else than data elements.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _read(_Reading(file, size, dictionary, default_charset, limits))


def _transfer_syntax(file: BinaryIO) -> str:
    reader = DicomReader()
    try:
        reader.feed(file.read(1 << 16))
    except NotUnderstood:
        pass
    finally:
        file.seek(0)
    return reader.transfer_syntax


def _read(reading: "_Reading") -> ParsedInstance:
    try:
        return reading.instance(*read_raw(reading.file, reading.size, reading.limits))
    except DicomError:
        raise
    except RecursionError:
        raise LimitExceeded("Sequences lie deeper in each other than can be read.") from None
    except Exception as problem:  # pydicom raises whatever its parts raise on damaged files
        raise NotDicom(f"The file is damaged beyond reading: {problem}.") from problem


def _diagnosis(file: BinaryIO, dictionary: TagDictionary, limits: Limits) -> str:
    """Why nothing was found that identifies an instance; where reading stops tells most."""
    reader = DicomReader(dictionary=dictionary, limits=limits)
    file.seek(0)
    try:
        while data := file.read(1 << 16):
            reader.feed(data)
        reader.close()
    except DicomError as problem:
        return str(problem)
    return "The file holds nothing that identifies a DICOM instance."


def _needed(tag: int) -> bool:
    return tag in (CHARACTER_SET, PIXEL_REPRESENTATION) or is_private_creator(tag)


class _Reading:
    """One file on its way from pydicom's raw elements to the model."""

    def __init__(
        self,
        file: BinaryIO,
        size: int,
        dictionary: TagDictionary,
        default_charset: str,
        limits: Limits,
    ) -> None:
        self.file = file
        self.size = size
        self.dictionary = dictionary
        self.charset = charset_by_name(default_charset)
        self.limits = limits
        self.allowance = Allowance(limits)
        self.found = Findings({}, "<", "", size, False, "pydicom", [], [])

    def instance(self, data_set: Any, elements: Iterable[AnyElement]) -> ParsedInstance:
        """The model of pydicom's data set with these elements."""
        implicit, little = data_set.original_encoding
        order = "<" if little else ">"
        top = self._scope(None, "", self.charset, implicit=implicit, order=order)
        self.fill(top, elements)
        for key in [key for key in top.values if key.startswith(("0000", "0002"))]:
            del top.values[key]
        if not any(key in top.values for key in _EVIDENCE):
            raise NotDicom(_diagnosis(self.file, self.dictionary, self.limits))
        guess = IMPLICIT_LITTLE if implicit else EXPLICIT_LITTLE if little else EXPLICIT_BIG
        self.found.order = order
        self.found.attributes = top.values
        self.found.transfer_syntax = str(data_set.file_meta.get("TransferSyntaxUID", "") or guess)
        return assemble(self.found)

    def _scope(
        self, parent: Scope | None, path: str, charset: Charset, *, implicit: bool, order: str
    ) -> Scope:
        return Scope(
            parent,
            path,
            UNDEFINED,
            charset,
            self.found.problems,
            self.allowance,
            implicit=implicit,
            order=order,
        )

    def fill(self, scope: Scope, elements: Iterable[AnyElement]) -> None:
        """Convert all elements of a data set, in ascending order."""
        for element in sorted(elements, key=lambda e: int(e.tag)):
            tag, key = int(element.tag), f"{int(element.tag):08X}"
            if tag & 0xFFFF == 0 or tag >> 16 == _DELIMITERS:
                continue  # an item or delimiter outside of a sequence is no element (PS3.5, 7.5)
            if isinstance(element, RawDataElement):
                self._raw(scope, tag, key, element)
            elif element.VR == "SQ":
                self._sequence(scope, key, element.value)
            else:
                self._converted(scope, tag, key, element)

    def _converted(self, scope: Scope, tag: int, key: str, element: DataElement) -> None:
        """An element that pydicom needed itself, which is Specific Character Set."""
        value = element.value or ""
        text = value if isinstance(value, str) else "\\".join(map(str, value))
        raw = text.encode("latin_1", "replace")
        self._raw(
            scope, tag, key, RawDataElement(element.tag, element.VR, len(raw), raw, 0, False, True)
        )

    def _raw(self, scope: Scope, tag: int, key: str, raw: RawDataElement) -> None:
        vr = self._vr(scope, tag, raw)
        self._spend(scope, key, len(raw.value or b""))
        if raw.length == UNDEFINED_LENGTH:
            self._encapsulated(scope, key, raw.value_tell)
            return
        if raw.value_tell + raw.length > self.size:
            damaged = raw.VR is None and not raw.is_implicit_VR
            what = ", which has an unknown value representation" if damaged else ""
            missing = raw.value_tell + raw.length - self.size
            raise Truncated(
                f"The stream ends at byte {self.size}, inside the value of "
                f"{describe(scope.path, key)}{what}: {missing} bytes are missing."
            )
        if vr == "SQ":
            self._defined_sequence(scope, key, raw)
        elif not raw.length:
            scope.values[key] = {"vr": "OW" if "OW" in vr else "US" if " or " in vr else vr}
        elif vr in BULK_VRS or vr == "OB or OW" or self._stays(tag, raw):
            self._locate(scope, key, "OW" if "OW" in vr else vr, raw.value_tell, raw.length)
        else:
            self._convert(scope, tag, key, vr, raw)

    def _stays(self, tag: int, raw: RawDataElement) -> bool:
        """Whether a value is too long to be loaded, or was not."""
        return raw.value is None or (raw.length > self.limits.inline_value and not _needed(tag))

    def _convert(self, scope: Scope, tag: int, key: str, vr: str, raw: RawDataElement) -> None:
        value = cast("bytes", raw.value)
        if " or " in vr:
            scope.values[key] = element = {"vr": vr}
            self.found.deferred.append((scope, key, element, vr, value, raw.value_tell))
            return
        converted = CONVERTERS["<" if raw.is_little_endian else ">"][vr](value, scope, key)
        scope.values[key] = converted
        values = converted.get("Value") or [None]
        if tag == CHARACTER_SET:
            terms = [str(term or "") for term in converted.get("Value", [])]
            scope.charset, problems = charset_of(terms, self.charset)
            self.found.problems.extend(problems)
        elif tag == PIXEL_REPRESENTATION and isinstance(values[0], int):
            scope.pixel_representation = values[0]
        elif is_private_creator(tag) and isinstance(values[0], str):
            scope.creators = scope.creators or {}
            scope.creators[tag >> 16 << 8 | tag & 0xFF] = values[0].strip()

    def _vr(self, scope: Scope, tag: int, raw: RawDataElement) -> str:
        if raw.VR is not None and raw.VR != "UN":
            if raw.VR in VRS:
                return str(raw.VR)
            scope.note(f"{tag:08X}", f"has the unknown value representation {raw.VR!r}")
            return "UN"
        if raw.VR == "UN" and not is_private(tag) and raw.length >= 0xFFFF:
            return "UN"
        if raw.VR is None and not raw.is_implicit_VR:
            self.file.seek(raw.value_tell - 4)
            found = self.file.read(2).decode("latin_1")
            scope.note(f"{tag:08X}", f"has the unknown value representation {found!r}")
        return self.dictionary.vr(tag, scope.creator(tag))

    def _locate(self, scope: Scope, key: str, vr: str, offset: int, length: int) -> None:
        path = BulkPath(scope.path + key.lower())
        scope.values[key] = {"vr": vr, "BulkDataURI": path}
        self.found.located.append(LocatedValue(path, vr, offset, length))

    def _defined_sequence(self, scope: Scope, key: str, raw: RawDataElement) -> None:
        if not raw.length:
            scope.values[key] = {"vr": "SQ"}
            return
        if raw.value is None:  # not loaded, so not counted either
            self.allowance.take(raw.length, scope.path, key, 0)
        self.file.seek(raw.value_tell)
        try:
            # From the file itself, so that positions inside count from its start.
            items = read_sequence(
                self.file, raw.is_implicit_VR, raw.is_little_endian, raw.length, default_encoding
            )
        except (OSError, EOFError, ValueError, KeyError, NotImplementedError):
            scope.note(key, "is no valid sequence; its bytes are kept as they are")
            self._locate(scope, key, "UN", raw.value_tell, raw.length)
            return
        self._sequence(scope, key, items)

    def _sequence(self, scope: Scope, key: str, items: Any) -> None:
        element: dict[str, Any] = {"vr": "SQ"}
        scope.values[key] = element
        if scope.path.count("/") // 2 >= self.limits.depth:
            raise LimitExceeded(
                f"Sequences lie in more than the {self.limits.depth} items that are possible: "
                f"there is {describe(scope.path, key)}."
            )
        for number, item in enumerate(items, 1):
            self._spend(scope, key, 0)
            implicit, little = item.original_encoding
            inner = self._scope(
                scope,
                f"{scope.path}{key.lower()}/{number}/",
                scope.charset,
                implicit=bool(implicit),
                order="<" if little or little is None else ">",
            )
            element.setdefault("Value", []).append(inner.values)
            self.fill(inner, item.values())

    def _encapsulated(self, scope: Scope, key: str, start: int) -> None:
        fragments = OpenFragments(scope, key, start)
        position = start
        while True:
            self.file.seek(position)
            head = self.file.read(8)
            if len(head) < 8:
                raise Truncated(
                    f"The stream ends at byte {self.size}, inside {describe(scope.path, key)}."
                )
            group, element, length = unpack(scope.order + "HHI", head)
            if (group, element) == _SEQUENCE_END:
                break
            if (group, element) != _ITEM or length == UNDEFINED_LENGTH:
                raise NotDicom(no_fragment(fragments, position, group << 16 | element))
            table = length if fragments.table is None else 0
            self.allowance.take(FRAGMENT_COST + table, scope.path, key, 0)
            self._fragment(fragments, position, length)
            position += 8 + length
        if position > start:
            self._locate(scope, key, "OB", start, position - start)
        if not scope.path:
            self.found.encapsulated = fragments

    def _fragment(self, fragments: OpenFragments, position: int, length: int) -> None:
        if fragments.table is None:
            fragments.table = self.file.read(length)
            fragments.first = position + 8 + length
            return
        fragments.lengths.append(length)
        fragments.heads.append(starts_image(self.file.read(2)))

    def _spend(self, scope: Scope, key: str, length: int) -> None:
        self.allowance.take(HEAD + length, scope.path, key)
