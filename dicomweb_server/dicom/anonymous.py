"""The elements of a data set without what identifies somebody (PS3.15 E.1.1)."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any, Final, cast

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from .confidentiality import Action, action_of
from .encode import Encoder, Target
from .tags import TagDictionary

_STANDARD_UIDS: Final = "1.2.840.10008."
_WORD: Final = "ANONYMIZED"
_DUMMIES: Final = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), _WORD),
    **{"AS": "000Y", "DA": "19000101", "DT": "19000101000000", "TM": "000000"},
    **{"DS": "0", "IS": "0", "UI": "2.25.0", "UR": "urn:anonymized"},
}
_ZEROS: Final = {
    **dict.fromkeys(("OB", "OW", "SS", "UN", "US"), 2),
    **dict.fromkeys(("AT", "FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
_PATIENT_ID, _CONTENT, _PERSON_CODES = 0x00100020, 0x0040A730, 0x00401101
_METHOD: Final = "Basic Confidentiality Profile (PS3.15 E), pixels unchanged"


class Pseudonyms:
    """UIDs that stand for others under a key: whoever has the key makes the same ones."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def uid(self, original: str) -> str:
        """What stands for a UID (PS3.5 B.2); those that DICOM itself defines stay."""
        if not original or original.startswith(_STANDARD_UIDS):
            return original
        digest = hmac.new(self._key, original.encode("utf-8", "replace"), hashlib.sha256).digest()
        return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"

    def patient_id(self, original: bytes) -> str:
        """What stands for a Patient ID, so that patients are not taken for each other."""
        value = original.strip(b" \0")
        return hmac.new(self._key, b"patient " + value, hashlib.sha256).hexdigest()[:16]

    def value(self, value: bytes) -> bytes:
        """The same of an encoded value of UI, which may hold several."""
        texts = value.decode("latin_1").split("\\")
        return _padded("\\".join(self.uid(text.strip(" \0")) for text in texts), "UI")


class AnonymousEncoder(Encoder):
    """Writes what may be written of a data set, of the items of its sequences too."""

    def __init__(self, names: Pseudonyms, target: Target, dictionary: TagDictionary) -> None:
        super().__init__(target, dictionary)
        self._names = names

    def encode(self, data_set: Dataset, around: tuple[Dataset, ...] = ()) -> bytes:
        """As `Encoder.encode`; the main data set also says that it was done, and how."""
        changed = [self._changed(int(element.tag), element) for element in data_set.values()]
        kept = [element for element in changed if element is not None]
        if not around:
            kept += self._record()
        return super().encode(_data_set(kept), around)

    def _changed(self, tag: int, element: Any) -> RawDataElement | DataElement | None:
        """The element as it is to be written; None if it is not."""
        action = action_of(tag)
        if action is Action.REMOVE:
            return None
        vr = self._resolved(tag, str(element.VR or "UN"))
        if action is Action.EMPTY:
            return _sequence(tag, ()) if vr == "SQ" else self._raw_element(tag, vr, b"")
        if tag == _PATIENT_ID:
            return self._text(tag, vr, self._names.patient_id(element.value or b""))
        if action is Action.DUMMY:
            return self._dummy(tag, vr)
        if not isinstance(element, RawDataElement):
            return cast(DataElement, element)
        if action is Action.REPLACE_UID:
            return self._raw_element(tag, "UI", self._names.value(element.value or b""))
        if vr == "SQ" and element.VR == "UN":
            # Nobody would look into it otherwise; its items are in implicit VR (PS3.5, 6.2.2).
            data = element.value or b""
            return _sequence(tag, read_sequence(BytesIO(data), True, True, len(data), "latin_1"))
        return element

    def _resolved(self, tag: int, vr: str) -> str:
        """The VR; of those between which other attributes decide, any is as good."""
        return (self._dictionary.vr(tag) if vr == "UN" else vr).partition(" ")[0]

    def _raw_element(self, tag: int, vr: str, value: bytes) -> RawDataElement:
        implicit, little = self._target.implicit, self._target.order == "<"
        return RawDataElement(Tag(tag), vr, len(value), value, 0, implicit, little)

    def _text(self, tag: int, vr: str, text: str) -> RawDataElement:
        return self._raw_element(tag, vr, _padded(text, vr))

    def _dummy(self, tag: int, vr: str) -> RawDataElement | DataElement | None:
        if vr == "SQ":
            return _sequence(tag, (self._dummy_item(tag),))
        if vr in _ZEROS:
            return self._raw_element(tag, vr, bytes(_ZEROS[vr]))
        return self._text(tag, vr, _DUMMIES[vr]) if vr in _DUMMIES else None

    def _dummy_item(self, tag: int) -> Dataset:
        if tag == _PERSON_CODES:
            return self._code(_WORD, "99ANON", _WORD)
        if tag != _CONTENT:
            return Dataset()
        return _data_set(
            (
                self._text(0x0040A010, "CS", "CONTAINS"),
                self._text(0x0040A040, "CS", "TEXT"),
                _sequence(0x0040A043, (self._code("121106", "DCM", "Comment"),)),
                self._text(0x0040A160, "UT", _WORD),
            )
        )

    def _code(self, value: str, scheme: str, meaning: str) -> Dataset:
        """An item of the Code Sequence Macro (PS3.3, 8.8)."""
        return _data_set(
            (
                self._text(0x00080100, "SH", value),
                self._text(0x00080102, "SH", scheme),
                self._text(0x00080104, "LO", meaning),
            )
        )

    def _record(self) -> Iterator[RawDataElement | DataElement]:
        """Attributes that say what was done (PS3.15 E.1.1; PS3.3 C.7.1.1, C.12.1)."""
        profile = self._code("113100", "DCM", "Basic Application Confidentiality Profile")
        yield self._text(0x00120062, "CS", "YES")
        yield self._text(0x00120063, "LO", _METHOD)
        yield _sequence(0x00120064, (profile,))
        yield self._text(0x00280303, "CS", "REMOVED")


def _data_set(elements: Iterable[RawDataElement | DataElement]) -> Dataset:
    """Later ones win. Setting them one by one would make pydicom look into raw ones."""
    return Dataset({element.tag: element for element in elements})


def _sequence(tag: int, items: Iterable[Dataset]) -> DataElement:
    return DataElement(Tag(tag), "SQ", Sequence(items))


def _padded(text: str, vr: str) -> bytes:
    data = text.encode("ascii", "replace")
    return data + (b"\0" if vr == "UI" else b" ") * (len(data) % 2)
