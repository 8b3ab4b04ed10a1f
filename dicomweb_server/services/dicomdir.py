"""A DICOMDIR (PS3.10, 8.6) for an archive, made by pydicom from headers alone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from pydicom import Dataset, FileMetaDataset
from pydicom.fileset import FileSet
from pydicom.uid import UID

from dicomweb_server.dicom import load_header
from dicomweb_server.interfaces.index import InstanceRecord

# Directory records must have them (PS3.3, F.5), whatever the instance lacks.
_DEMANDED = {
    "PatientID": "UNKNOWN",
    "PatientName": "UNKNOWN",
    "StudyDate": "19000101",
    "StudyTime": "000000",
    "StudyID": "0",
    "Modality": "OT",
    "SeriesNumber": 0,
    "InstanceNumber": 0,
}


def file_set(
    instances: Iterable[tuple[InstanceRecord, bytes]],
) -> tuple[bytes, dict[int, str]]:
    """The DICOMDIR, and the conforming File ID of each instance by its row, such as `PT0/ST0/..`.

    `instances`: with their headers. Instances that no directory record can be made for are left
    out of both.
    """
    files = FileSet()
    rows: dict[str, int] = {}
    for record, header in instances:
        try:
            files.add(_without_bulk(record, header))
        except (ValueError, AttributeError, KeyError, TypeError):
            continue
        rows[record.sop_uid] = record.row
    with tempfile.TemporaryDirectory() as folder:
        files.write(folder)
        directory = Path(folder, "DICOMDIR").read_bytes()
    ids = {rows[str(each.SOPInstanceUID)]: each.FileID.replace("\\", "/") for each in files}
    return directory, ids


def _without_bulk(record: InstanceRecord, header: bytes) -> Dataset:
    attributes = load_header(header)
    kept = {tag: each for tag, each in attributes.items() if "BulkDataURI" not in each}
    dataset = Dataset.from_json(_plain(kept))
    for keyword, value in _DEMANDED.items():
        if not dataset.get(keyword):
            setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(record.transfer_syntax)
    dataset.file_meta.MediaStorageSOPClassUID = UID(record.sop_class_uid)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(record.sop_uid)
    return dataset


def _plain(attributes: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """What a directory needs: text and numbers of the main data set."""
    return {tag: each for tag, each in attributes.items() if each["vr"] not in ("SQ", "UN")}
