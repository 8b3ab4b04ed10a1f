"""A DICOMDIR (PS3.10, 8.6) for an archive, made by pydicom from headers alone."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pydicom import Dataset, FileMetaDataset
from pydicom.fileset import FileSet
from pydicom.uid import UID

from dicomweb_server.dicom import load_header
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.services.directory_records import leaf_of

_SEQUENCES: Final = frozenset(("00081115", "00089092", "0040A043", "00700402"))
"""Referenced Series and Image Evidence, Concept Name Code and Blending Sequence: see F.5."""
_CONTENT: Final = "0040A730"
_MODIFIER: Final = "HAS CONCEPT MOD"
_NO_ATTRIBUTES: Final = ("SQ", "UN")


def file_set(
    instances: Iterable[tuple[InstanceRecord, bytes, str]],
) -> tuple[bytes, dict[int, str]]:
    """The DICOMDIR, and the conforming File ID of each instance by its row, such as `PT0/ST0/..`.

    `instances`: with their headers, and the transfer syntaxes that their files have.
    """
    files = FileSet()
    rows: dict[str, int] = {}
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # about values that are not to the letter
        for record, header, syntax in instances:
            data_set = _without_bulk(record, header, syntax)
            leaf = leaf_of(data_set)
            # What is written is removed again: only what names the instance is needed.
            files.add_custom(_stub(data_set), leaf)
            rows[record.sop_uid] = record.row
        files.write(folder)
        directory = Path(folder, "DICOMDIR").read_bytes()
    ids = {rows[str(each.SOPInstanceUID)]: each.FileID.replace("\\", "/") for each in files}
    return directory, ids


def _without_bulk(record: InstanceRecord, header: bytes, syntax: str) -> Dataset:
    attributes = _plain(load_header(header))
    data_set = Dataset.from_json(attributes)
    data_set.SOPClassUID, data_set.SOPInstanceUID = record.sop_class_uid, record.sop_uid
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = UID(syntax)
    data_set.file_meta.MediaStorageSOPClassUID = UID(record.sop_class_uid)
    data_set.file_meta.MediaStorageSOPInstanceUID = UID(record.sop_uid)
    return data_set


def _stub(data_set: Dataset) -> Dataset:
    stub = Dataset()
    stub.SOPClassUID, stub.SOPInstanceUID = data_set.SOPClassUID, data_set.SOPInstanceUID
    stub.file_meta = data_set.file_meta
    return stub


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    """What a directory needs: values of the main data set, and few sequences."""
    plain = {
        tag: each
        for tag, each in attributes.items()
        if each["vr"] not in _NO_ATTRIBUTES and each.get("Value")
    }
    for tag in _SEQUENCES:
        items = attributes.get(tag, {}).get("Value")
        if items:
            plain[tag] = {"vr": "SQ", "Value": [_inside(item) for item in items]}
    modifiers = [_inside(each) for each in _items(attributes, _CONTENT) if _modifies(each)]
    if modifiers:
        plain[_CONTENT] = {"vr": "SQ", "Value": modifiers}
    return plain


def _items(attributes: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    return [item for item in attributes.get(tag, {}).get("Value", ()) if item]


def _modifies(item: dict[str, Any]) -> bool:
    """Only these items of a document stand in its record (PS3.3, F.5.25 and F.5.26)."""
    return bool(item.get("0040A010", {}).get("Value") == [_MODIFIER])


def _inside(item: dict[str, Any]) -> dict[str, Any]:
    """An item without bulk data, at every depth."""
    return {
        tag: {"vr": "SQ", "Value": [_inside(each) for each in element.get("Value", ())]}
        if element["vr"] == "SQ"
        else element
        for tag, element in item.items()
        if "BulkDataURI" not in element
    }
