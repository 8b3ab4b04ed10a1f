"""Values of any element by their bulk data path."""

import io

import pytest

from dicomweb_server.dicom import NotUnderstood, find_value, normal_path, open_view

from .helpers import IDENTITY, bundled, element, item, parse, part10, read, test_file
from .test_against_pydicom import REFUSED


def find(data, path):
    return find_value(io.BytesIO(data), path)


@pytest.mark.parametrize("path", bundled()[::4], ids=lambda path: path.name)
def test_every_element_of_a_file(path):
    if path.name in REFUSED:
        return
    data = path.read_bytes()
    instance = parse(data)
    places = {place.path: place for place in instance.located}
    _check_all(data, instance.attributes, places, "")


def _check_all(data, attributes, places, prefix):
    for tag, found in list(attributes.items())[:25]:
        path = prefix + tag.lower()
        value = find(data, path)
        assert value is not None
        if path in places:
            place = places[path]
            assert (value.vr, value.offset, value.length) == (place.vr, place.offset, place.length)
        if found["vr"] == "SQ":
            assert value.items == len(found.get("Value", []))
            for number, inner in enumerate(found.get("Value", [])[:2], 1):
                _check_all(data, inner, places, f"{path}/{number}/")
        else:
            assert value.vr == found["vr"]
            assert value.length or len(found) == 1


def test_bytes_are_as_stored():
    data = test_file("CT_small.dcm")
    for spelling in ("PatientName", "00100010", "0010,0010", "0010-0010"):
        value = find(data, spelling)
        assert data[value.offset : value.offset + value.length] == b"CompressedSamples^CT1 "
    value = find(data, "7FE00010")
    assert data[value.offset : value.offset + value.length] == read(data).PixelData
    value = find(data, "00080005")
    assert data[value.offset : value.offset + value.length] == b"ISO_IR 100"


def test_nested_and_missing():
    inner = element(0x00091011, "OB", b"ab") + element(0x00081150, "UI", b"")
    sequence = element(0x00081140, "SQ", item(b"") + item(inner))
    data = part10(IDENTITY + element(0x00104000, "UT", b"x" * 70000) + sequence)
    value = find(data, "ReferencedImageSequence/2/00091011")
    assert (value.path, value.vr) == ("00081140/2/00091011", "OB")
    assert data[value.offset : value.offset + 2] == b"ab"
    assert find(data, "00081140/2/ReferencedSOPClassUID").length == 0
    assert find(data, "00081140").items == 2
    assert find(data, "00104000").length == 70000
    for missing in ("00081140/0/00091011", "00081140/3/00091011", "00081140/1/00091011"):
        assert find(data, missing) is None
    assert find(data, "00104000/1/00091011") is None
    assert find(data, "NoSuchKeyword") is None


def test_wrong_paths():
    for path in ("00081140/1", "00081140/1/00091011/1"):
        with pytest.raises(ValueError, match="odd number"):
            normal_path(path)
    with pytest.raises(ValueError, match='item "x"'):
        normal_path("00081140/x/00091011")
    assert normal_path("/PixelData/") == "7fe00010"
    assert normal_path("0008,1140/01/7FE00010") == "00081140/1/7fe00010"


def test_large_values_are_sought_over():
    size = 1 << 40
    head = part10(IDENTITY + element(0x7FE00008, "OF", b"", 1 << 31))
    tail = element(0xFFFCFFFC, "OB", b"end.")
    reads = []

    def reader(offset, length):
        reads.append(length)
        data = head[offset : offset + length]
        data += bytes(max(0, min(offset + length, len(head) + (1 << 31)) - max(offset, len(head))))
        start = len(head) + (1 << 31)
        if offset + length > start:
            data += tail[max(0, offset - start) :][: length - len(data)]
        return data

    total = len(head) + (1 << 31) + len(tail)
    assert total < size
    value = find_value(open_view(reader, total), "FFFCFFFC")
    assert (value.offset, value.length) == (total - 4, 4)
    assert sum(reads) < 1 << 20


def test_deflated_offsets_count_in_the_inflated_stream():
    data = test_file("image_dfl.dcm")
    instance = parse(data)
    value = find(data, "7FE00010")
    assert value.deflated
    assert (value.offset, value.length) == (
        instance.located[-1].offset,
        instance.located[-1].length,
    )


def test_files_of_the_fallback():
    data = next(path for path in bundled() if path.name == "DICOMDIR-nooffset").read_bytes()
    with pytest.raises(NotUnderstood):
        parse(data)
    value = find(data, "00041130")
    assert data[value.offset : value.offset + value.length].startswith(b"PYDICOM_TEST")
