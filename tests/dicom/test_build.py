"""Files made of DICOM JSON and places of bulk data, read back by the reader."""

import itertools

import pytest
from hypothesis import given

from dicomweb_server.dicom import DicomError, DicomReader
from dicomweb_server.dicom.build import Encapsulated, Place, build_file
from dicomweb_server.testing.dicom import EXPLICIT, read
from tests.dicom.test_xml_reading import DATA_SETS

RLE = "1.2.840.10008.1.2.5"
IDENTITY = {
    "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.7"]},
    "00080018": {"vr": "UI", "Value": ["1.2.3"]},
}
PIXELS = {"7FE00010": {"vr": "OB", "BulkDataURI": "x"}}


def nowhere(path, key, uri):
    return Place()


def zeros(offset, length):
    return bytes(length)


def place(*lengths):
    made, offset = Place(), 0
    for length in lengths:
        made.add(offset, length)
        offset += length
    return made


def parsed(attributes):
    reader = DicomReader()
    for piece in build_file(attributes, EXPLICIT, nowhere, zeros):
        reader.feed(piece)
    return reader.close()


NUMBERS = ("US", "SV", "FD", "AT")


def plain_text(value):
    """A text that padding and delimiters leave alone; None for an empty one."""
    return value.replace("\\", "/").strip() or None if isinstance(value, str) else value


def plain_value(vr, value):
    if vr == "SQ":
        return plain(value)
    if vr == "PN" and value:
        groups = {group: plain_text(text) for group, text in value.items()}
        return {group: text for group, text in groups.items() if text} or None
    return plain_text(value)


def plain(data_set):
    """A data set that can be compared with what is read of a file."""
    made = {}
    for tag, element in data_set.items():
        vr, values = element["vr"], element.get("Value", [])
        # What stands before the character set is read without it, here as anywhere.
        if vr in ("OB", "OW") or tag <= "00080005":
            continue
        values = [plain_value(vr, each) for each in values]
        if vr in NUMBERS:
            values = [each for each in values if each is not None]
        made[tag] = {"vr": vr, "Value": values} if values not in ([], [None]) else {"vr": vr}
    return dict(sorted(made.items()))


@given(DATA_SETS.map(plain))
def test_what_is_built_is_read_back(data_set):
    attributes = dict(sorted((data_set | IDENTITY).items()))
    found = parsed(attributes)
    assert found.problems == ()
    # Where there is text that is not ASCII, the file says that it is UTF-8.
    assert {t: e for t, e in found.attributes.items() if t != "00080005"} == attributes


def test_a_basic_offset_table():
    attributes = IDENTITY | PIXELS | {"00280008": {"vr": "IS", "Value": [3]}}
    found = Encapsulated(place(3, 4, 5))
    data = b"".join(
        build_file(attributes, RLE, lambda *_: found, lambda o, n: b"abcdefghijkl"[o : o + n])
    )
    reader = DicomReader()
    reader.feed(data)
    instance = reader.close()
    pixels = instance.pixel_data
    frames = [b"".join(data[o : o + n] for o, n in pixels.frame(each)) for each in (1, 2, 3)]
    assert frames == [b"abc\0", b"defg", b"hijkl\0"]
    assert data[pixels.offset_table.offset :][:12] == b"\0\0\0\0\x0c\0\0\0\x18\0\0\0"
    assert read(data).file_meta.TransferSyntaxUID == RLE


def test_frames_of_more_than_four_gigabytes_have_an_extended_table():
    lengths = (3 << 30, (2 << 30) + 1, 10)
    found = Encapsulated(place(*lengths))
    pieces = build_file(IDENTITY | PIXELS, RLE, lambda *_: found, zeros)
    head = b"".join(itertools.islice(pieces, 2))
    for number, table in (
        (1, (0, lengths[0] + 8, lengths[0] + lengths[1] + 1 + 16)),
        (2, lengths),
    ):
        value = b"".join(n.to_bytes(8, "little") for n in table)
        assert b"\xe0\x7f" + bytes([number, 0]) + b"OV\0\0\x18\0\0\0" + value in head
    assert head.endswith(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\0\0\0\0")


def test_a_frame_or_value_that_has_no_room():
    for found in (place(1 << 32), Encapsulated(place(1 << 32))):
        with pytest.raises(DicomError, match="4294967294"):
            build_file(IDENTITY | PIXELS, RLE, lambda *_, found=found: found, zeros)


def test_a_long_video_has_several_fragments():
    found = Encapsulated(place((1 << 32) + 5), video=True)
    pieces = build_file(IDENTITY | PIXELS, RLE, lambda *_: found, zeros)
    items = [piece for piece in pieces if piece[:4] == b"\xfe\xff\0\xe0" and len(piece) == 8]
    assert [int.from_bytes(each[4:], "little") for each in items] == [0xFFFFFFFE, 8]
