"""Reading with pydicom gives the same as reading fast."""

import dataclasses
import io
import tracemalloc

import pytest

from dicomweb_server.dicom import (
    DicomError,
    LimitExceeded,
    Limits,
    NotDicom,
    NotUnderstood,
    Truncated,
    read_with_pydicom,
)

from .helpers import IDENTITY, bundled, element, parse, part10, read, test_file


@pytest.mark.parametrize("path", bundled()[::2], ids=lambda path: path.name)
def test_both_readers_agree(path):
    data = path.read_bytes()
    try:
        fast = parse(data)
        slow = read_with_pydicom(io.BytesIO(data))
    except DicomError:
        return
    assert slow.reader == "pydicom"
    assert dataclasses.replace(slow, reader="fast", problems=()) == dataclasses.replace(
        fast, problems=()
    )


def test_a_file_that_only_pydicom_reads():
    data = next(path for path in bundled() if path.name == "DICOMDIR-nooffset").read_bytes()
    with pytest.raises(NotUnderstood):
        parse(data)
    instance = read_with_pydicom(io.BytesIO(data))
    records = read(data).DirectoryRecordSequence
    assert len(instance.attributes["00041220"]["Value"]) == len(records)


def test_unknown_vr():
    data = part10(element(0x00080008, "ZZ", b"abcd") + IDENTITY)
    with pytest.raises(NotUnderstood, match="'ZZ'"):
        parse(data)
    instance = read_with_pydicom(io.BytesIO(data))
    assert instance.sop_uid == "1.2.3.4"
    assert instance.attributes["00080008"] == {"vr": "UN", "BulkDataURI": "00080008"}
    assert "ZZ" in instance.problems[0]
    place = instance.located[0]
    assert data[place.offset : place.offset + place.length] == b"abcd"


def test_what_is_no_dicom():
    for data in (b"", b"hello" * 100, bytes(128) + b"DICM"):
        with pytest.raises(NotDicom):
            read_with_pydicom(io.BytesIO(data))
    with pytest.raises(Truncated):
        read_with_pydicom(io.BytesIO(part10(b"abcdefgh" * 9)))
    with pytest.raises(NotDicom, match="identifies"):
        read_with_pydicom(io.BytesIO(part10(element(0x00091001, "OB", b"ab"))))
    with pytest.raises(Truncated, match="62 bytes are missing"):
        read_with_pydicom(io.BytesIO(test_file("MR_truncated.dcm")))
    with pytest.raises(LimitExceeded):
        read_with_pydicom(io.BytesIO(test_file("CT_small.dcm")), limits=Limits(header_bytes=2000))


def test_pixel_data_are_not_loaded():
    data = io.BytesIO(part10(IDENTITY + element(0x7FE00010, "OW", bytes(50 << 20))))
    tracemalloc.start()
    instance = read_with_pydicom(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    assert instance.located[-1].length == 50 << 20
