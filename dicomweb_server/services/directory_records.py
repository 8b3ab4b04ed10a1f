"""Directory records of instances (PS3.3, F.5): their types, and what they demand."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydicom import Dataset
from pydicom.charset import convert_encodings, decode_bytes, encode_string
from pydicom.fileset import DIRECTORY_RECORDERS, RecordNode
from pydicom.uid import generate_uid
from pydicom.valuerep import PersonName

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
_PLAN: Final = "1.2.840.10008.5.1.4.34."
_OF_CLASS: Final[Mapping[str, str]] = {
    "4.2": "SPECTROSCOPY",
    "66": "RAW DATA",
    "66.1": "REGISTRATION",
    "66.2": "FIDUCIAL",
    "66.3": "REGISTRATION",
    "66.5": "SURFACE",
    "66.6": "TRACT",
    "67": "VALUE MAP",
    "68.1": "SURFACE SCAN",
    "68.2": "SURFACE SCAN",
    "77.1.5.3": "STEREOMETRIC",
    "78.6": "SR DOCUMENT",
    "79.1": "SR DOCUMENT",
    "80.1": "MEASUREMENT",
    "88.59": "KEY OBJECT DOC",
    "90.1": "ASSESSMENT",
    "131": "PRESENTATION",
    "481.1": "IMAGE",
    "481.2": "RT DOSE",
    "481.3": "RT STRUCTURE SET",
    "481.5": "RT PLAN",
    "481.8": "RT PLAN",
    **dict.fromkeys(("481.4", "481.6", "481.7", "481.9"), "RT TREAT RECORD"),
}
_OF_FAMILY: Final[Mapping[str, str]] = {
    "9": "WAVEFORM",
    "11": "PRESENTATION",
    "78": "MEASUREMENT",
    "88": "SR DOCUMENT",
    "104": "ENCAP DOC",
    "481": "RADIOTHERAPY",
}
"""By the first number behind the root of the storage classes (PS3.3, table F.4-1)."""

_DATE, _TIME = "19000101", "000000"
_CONTENT: Final = {"InstanceNumber": 0, "ContentDate": _DATE, "ContentTime": _TIME}
_LABELLED: Final = _CONTENT | {"ContentLabel": "UNKNOWN"}
_ABOVE: Final = {
    "PatientID": "UNKNOWN",
    "PatientName": "UNKNOWN",
    "StudyDate": _DATE,
    "StudyTime": _TIME,
    "StudyID": "0",
    "Modality": "OT",
    "SeriesNumber": 0,
}
_DEMANDED: Final[Mapping[str, Mapping[str, Any]]] = {
    "IMAGE": {"InstanceNumber": 0},
    "RT DOSE": {"InstanceNumber": 0, "DoseSummationType": "PLAN"},
    "RT STRUCTURE SET": {"InstanceNumber": 0, "StructureSetLabel": "UNKNOWN"},
    "RT PLAN": {"InstanceNumber": 0, "RTPlanLabel": "UNKNOWN"},
    "RT TREAT RECORD": {"InstanceNumber": 0},
    "PRESENTATION": {
        "InstanceNumber": 0,
        "ContentLabel": "UNKNOWN",
        "PresentationCreationDate": _DATE,
        "PresentationCreationTime": _TIME,
    },
    "SR DOCUMENT": _CONTENT | {"CompletionFlag": "PARTIAL", "VerificationFlag": "UNVERIFIED"},
    "SPECTROSCOPY": _CONTENT
    | {"ImageType": ["ORIGINAL", "PRIMARY"], "NumberOfFrames": 1}
    | dict.fromkeys(("Rows", "Columns", "DataPointRows", "DataPointColumns"), 0),
    "ENCAP DOC": {
        "InstanceNumber": 0,
        "MIMETypeOfEncapsulatedDocument": "application/octet-stream",
    },
    "ASSESSMENT": {"InstanceNumber": 0, "InstanceCreationDate": _DATE},
    "RADIOTHERAPY": {"InstanceNumber": 0},
    "SURFACE SCAN": {"ContentDate": _DATE, "ContentTime": _TIME},
    **dict.fromkeys(("WAVEFORM", "RAW DATA", "KEY OBJECT DOC"), _CONTENT),
    **dict.fromkeys(
        ("REGISTRATION", "FIDUCIAL", "VALUE MAP", "MEASUREMENT", "SURFACE", "TRACT"), _LABELLED
    ),
}
"""Type 1 attributes of each record, and what stands there if the instance lacks them."""
_COMPONENTS: Final = re.compile("[=^]")
_TITLED: Final = frozenset(("SR DOCUMENT", "KEY OBJECT DOC"))
_PRIVATE: Final = "PRIVATE"


def record_type(data_set: Dataset) -> str:
    """Directory Record Type (0004,1430) of an instance below its series (PS3.3, table F.4-1)."""
    sop_class = str(data_set.SOPClassUID)
    if sop_class.startswith(_PLAN):
        return "PLAN"
    if not sop_class.startswith(_STORAGE):
        return "IMAGE" if "Rows" in data_set else _PRIVATE
    number = sop_class.removeprefix(_STORAGE)
    return _OF_CLASS.get(number) or _OF_FAMILY.get(number.partition(".")[0], "IMAGE")


def leaf_of(data_set: Dataset) -> RecordNode:
    """The record of an instance below those of its series, study and patient.

    What they demand and the instance lacks is filled in. An instance that no record of the standard
    fits has a private one (F.6.1), for every file must be referenced.
    """
    kind = record_type(data_set)
    _complete(data_set, _ABOVE | dict(_DEMANDED.get(kind, {})))
    if kind in _TITLED and not data_set.get("ConceptNameCodeSequence"):
        data_set.ConceptNameCodeSequence = [_no_title()]
    if not _can_be_encoded(data_set):
        data_set.SpecificCharacterSet = "ISO_IR 192"
    node = RecordNode(_record(data_set, "PATIENT"))
    for each in ("STUDY", "SERIES"):
        node = _below(node, _record(data_set, each))
    leaf = _record(data_set, kind)
    leaf.ReferencedFileID = None
    leaf.ReferencedSOPClassUIDInFile = data_set.SOPClassUID
    leaf.ReferencedSOPInstanceUIDInFile = data_set.SOPInstanceUID
    leaf.ReferencedTransferSyntaxUIDInFile = data_set.file_meta.TransferSyntaxUID
    return _below(node, leaf)


def _below(node: RecordNode, record: Dataset) -> RecordNode:
    below = RecordNode(record)
    below.parent = node
    return below


def _complete(data_set: Dataset, demanded: Mapping[str, Any]) -> None:
    for keyword, value in demanded.items():
        if data_set.get(keyword) in (None, "", []):
            setattr(data_set, keyword, value)


def _no_title() -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "UNKNOWN", "99NONE", "Unknown"
    return code


def _record(data_set: Dataset, kind: str) -> Dataset:
    record: Dataset | None = None
    if kind != _PRIVATE:
        try:
            record = DIRECTORY_RECORDERS[kind](data_set)
        except (ValueError, AttributeError, KeyError, TypeError):
            kind = _PRIVATE
    if record is None:
        record = Dataset()
        record.PrivateRecordUID = generate_uid()  # of its own: readers take it for a key
    record.DirectoryRecordType = kind
    if "SpecificCharacterSet" in data_set:
        record.SpecificCharacterSet = data_set.SpecificCharacterSet
    return record


def _can_be_encoded(data_set: Dataset) -> bool:
    """Whether the character set of the instance holds its text: devices do not keep to theirs.

    Nor can pydicom mix both halves of ISO_IR 13 in one component.
    """
    terms = data_set.get("SpecificCharacterSet") or ""
    listed = [terms] if isinstance(terms, str) else list(terms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encodings = convert_encodings(listed)
        return all(text.isascii() or _survives(text, encodings) for text in _texts(data_set))


def _survives(text: str, encodings: list[str]) -> bool:
    try:
        return decode_bytes(encode_string(text, encodings), encodings, set()) == text
    except (UnicodeError, LookupError):
        return False


def _texts(data_set: Dataset) -> Iterator[str]:
    for element in data_set:
        if element.VR == "SQ":
            for item in element.value:
                yield from _texts(item)
            continue
        values = element.value if element.VM > 1 else [element.value]
        for value in values:
            if isinstance(value, PersonName):
                yield from _COMPONENTS.split(str(value))  # pydicom encodes each for itself
            elif isinstance(value, str):
                yield value
