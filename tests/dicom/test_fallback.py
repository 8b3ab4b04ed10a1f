"""Reading with pydicom gives the same as reading fast."""

import dataclasses
import io
import struct
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

from .helpers import IDENTITY, bundled, element, item, parse, part10, read, test_file


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


@pytest.mark.parametrize("vr", ["  ", "\0\0", "??", "a1"])
def test_what_stands_where_a_vr_should_be_is_no_obstacle(vr):
    odd = element(0x00720099, vr, b"ab")
    data = part10(IDENTITY + odd)
    assert read(data)[0x00720099].value == b"ab"
    instance = read_with_pydicom(io.BytesIO(data))
    assert instance.attributes["00720099"] == {"vr": "UN", "BulkDataURI": "00720099"}
    assert f"(0072,0099) has the unknown value representation {vr!r}" in instance.problems[0]
    place = instance.located[0]
    assert data[place.offset : place.offset + place.length] == b"ab"
    with pytest.raises(NotUnderstood):
        parse(data)


def test_elements_behind_one_without_vr_are_read():
    behind = element(0x00720097, "??", b"ab") + element(0x00720098, "  ", b"cdef")
    behind += element(0x7FE00010, "OW", bytes(10))
    instance = read_with_pydicom(io.BytesIO(part10(IDENTITY + behind)))
    lengths = {place.path: place.length for place in instance.located}
    assert lengths == {"00720097": 2, "00720098": 4, "7fe00010": 10}
    implicit = b"\x72\0\x99\0" + (70000).to_bytes(4, "little") + bytes(70000)
    instance = read_with_pydicom(io.BytesIO(part10(IDENTITY + implicit)))
    assert [place.length for place in instance.located] == [70000]
    with pytest.raises(Truncated, match="unknown value representation"):
        read_with_pydicom(io.BytesIO(part10(IDENTITY + element(0x00720099, "??", b"ab", 9))))


@pytest.mark.parametrize("end", [b"abc", item(b"", 0xE0DD)])
def test_a_fragment_of_undefined_length_is_named(end):
    start = IDENTITY + element(0x7FE00010, "OB", item(b""), 0xFFFFFFFF)
    data = part10(start + b"\xfe\xff\0\xe0\xff\xff\xff\xff" + end)
    words = rf"In \(7FE0,0010\), at byte {len(part10(start))}, a fragment has undefined length"
    with pytest.raises(NotUnderstood, match=words):
        parse(data)
    with pytest.raises(NotDicom, match=words):
        read_with_pydicom(io.BytesIO(data))


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


@pytest.mark.parametrize("tag", [0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD])
def test_items_outside_of_a_sequence_are_no_elements(tag):
    data = part10(IDENTITY) + struct.pack("<HHI", tag >> 16, tag & 0xFFFF, 0)
    assert f"{tag:08X}" not in read_with_pydicom(io.BytesIO(data)).attributes
