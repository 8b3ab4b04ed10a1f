"""DICOM JSON: values of each VR, ambiguous VRs, bulk data, and the options on the way out."""

import base64
import json
import struct

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicomweb_server.dicom import (
    DicomReader,
    JsonOptions,
    TagDictionary,
    little_endian,
    load_header,
    render,
)

from .helpers import IDENTITY, bundled, element, item, parse, part10, small_data_set, write

BASE = "http://host/dicom-web/studies/1/series/2/instances/3/bulk/"


def value_of(vr, value, tag=0x00091001):
    if len(value) % 2 and vr not in ("US", "FD", "AT"):
        value += b" "
    instance = parse(part10(element(tag, vr, value) + IDENTITY))
    return instance.attributes[f"{tag:08X}"].get("Value", "none"), instance.problems


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("DS", b"1.50\\ 4. \\.25\\-3e5 ", ["1.50", "4.", ".25", "-3e5"]),
        ("DS", b"1\\\\2 ", ["1", None, "2"]),
        ("DS", b"    ", "none"),
        ("IS", b"12\\ -3\\+4\\5.0 ", [12, -3, 4, 5]),
        ("IS", b"1\\", [1, None]),
        ("CS", b"A \\B\\", ["A", "B", None]),
        ("CS", b"ORIGINAL\\PRIMARY\\\\AXIAL", ["ORIGINAL", "PRIMARY", None, "AXIAL"]),
        ("LO", b" leading kept ", [" leading kept"]),
        ("UI", b"1.2.3\0", ["1.2.3"]),
        ("LT", b"one\\two  ", ["one\\two"]),
        ("UR", b"http://a/b?c ", ["http://a/b?c"]),
        ("AT", b"\x18\0\x63\x10", ["00181063"]),
        ("US", struct.pack("<2H", 1, 65535), [1, 65535]),
        ("SS", struct.pack("<h", -2), [-2]),
        ("UL", struct.pack("<I", 2**32 - 1), [2**32 - 1]),
        ("SV", struct.pack("<q", -(2**63)), [-(2**63)]),
        ("UV", struct.pack("<Q", 2**64 - 1), [2**64 - 1]),
        ("FL", struct.pack("<2f", 10.1, 4), [10.100000381469727, 4]),
        ("FD", struct.pack("<3d", float("nan"), float("inf"), float("-inf")),
         ["NaN", "Infinity", "-Infinity"]),
        ("PN", b"A^B=C= ", [{"Alphabetic": "A^B", "Ideographic": "C"}]),
        ("PN", b"==P ", [{"Phonetic": "P"}]),
        ("PN", b"A\\\\B", [{"Alphabetic": "A"}, None, {"Alphabetic": "B"}]),
        ("DA", b"20240101", ["20240101"]),
        ("TM", b"120000.5\\13 ", ["120000.5", "13"]),
        ("CS", b"", "none"),
        ("US", b"", "none"),
        ("PN", b"  ", "none"),
    ],
)  # fmt: skip
def test_values(vr, value, expected):
    assert value_of(vr, value) == (expected, ())


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("DS", b"1\\abc\\2 ", ["1", None, "2"]),
        ("DS", b"1,5\\2 ", [None, "2"]),
        ("DS", b"1,5 ", "none"),
        ("DS", b"abc\\def ", [None, None]),
        ("DS", b"1\\x\\" + b"123456789.123456\\" * 10 + b"3 ",
         ["1", None, *["123456789.123456"] * 10, "3"]),
        ("DS", b"abc ", "none"),
        ("DS", b"nan ", "none"),
        ("IS", b"1\\1.5\\x\\4 ", [1, None, None, 4]),
        ("IS", b"1.5 ", "none"),
        ("IS", b"x\\" + b"1234567890\\" * 5 + b"3 ", [None, *[1234567890] * 5, 3]),
        ("IS", b"99999999999999999999", "none"),
        ("US", b"\1\0\2", [1]),
        ("FD", b"\1\0\2\0", "none"),
        ("AT", b"\1\0", "none"),
        ("PN", b"a=b=c=d ", [{"Alphabetic": "a", "Ideographic": "b", "Phonetic": "c"}]),
    ],
)  # fmt: skip
def test_wrong_values_are_dropped_and_noted(vr, value, expected):
    found, problems = value_of(vr, value)
    assert found == expected
    assert problems[0].startswith("(0009,1001)")


@pytest.mark.parametrize("vr", ["FL", "FD"])
@pytest.mark.parametrize("count", [1, 3])
def test_negative_zero_keeps_its_sign(vr, count):
    raw = struct.pack(f"<{count}{'f' if vr == 'FL' else 'd'}", *[-0.0] * count)
    found = parse(part10(element(0x00091001, vr, raw) + IDENTITY))
    text = json.loads(found.header, parse_float=str, parse_int=str)["00091001"]["Value"]
    assert text == ["-0.0"] * count
    assert render(found.header, "", JsonOptions(decimal_strings=False)).count(b"-0.0") == count


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("CS", b" DERIVED ", ["DERIVED"]),
        ("CS", b"A \\ B", ["A", "B"]),
        ("AE", b" TITLE\0", ["TITLE"]),
        ("TM", b" 120000", ["120000"]),
        ("UI", b"1.2.3\0", ["1.2.3"]),
        ("LO", b"  two \\ b  ", ["  two", " b"]),
        ("SH", b" a  ", [" a"]),
        ("UC", b" a  ", [" a"]),
        ("ST", b"  two  ", ["  two"]),
        ("LT", b" a \r\n ", [" a \r\n"]),
        ("UT", b"  two \0 ", ["  two"]),
        ("PN", b" a^b = c ", [{"Alphabetic": " a^b", "Ideographic": " c"}]),
    ],
)
def test_padding(vr, value, expected):
    assert value_of(vr, value) == (expected, ())


def test_binary_values():
    for vr in ("OB", "OD", "OF", "OL", "OV", "OW", "UN"):
        instance = parse(part10(element(0x00091001, vr, b"12345678") + IDENTITY))
        assert instance.attributes["00091001"] == {"vr": vr, "BulkDataURI": "00091001"}
        assert parse(part10(element(0x00091001, vr, b"") + IDENTITY)).attributes["00091001"] == {
            "vr": vr
        }
        assert instance.located[0].path == "00091001"


def test_sequences():
    empty = parse(part10(element(0x00081140, "SQ", b"") + IDENTITY))
    assert empty.attributes["00081140"] == {"vr": "SQ"}
    inner = element(0x00091011, "OB", b"ab")
    value = item(b"") + item(element(0x00081199, "SQ", item(inner)))
    instance = parse(part10(element(0x00081140, "SQ", value) + IDENTITY))
    nested = {"00081199": {"vr": "SQ", "Value": [
        {"00091011": {"vr": "OB", "BulkDataURI": "00081140/2/00081199/1/00091011"}}
    ]}}  # fmt: skip
    assert instance.attributes["00081140"] == {"vr": "SQ", "Value": [{}, nested]}


# -- ambiguous VRs --------------------------------------------------------------------------------


def implicit(**values):
    return parse(write(small_data_set(**values), ImplicitVRLittleEndian)).attributes


@pytest.mark.parametrize(("signed", "vr", "value"), [(0, "US", 65535), (1, "SS", -1)])
def test_us_or_ss_depends_on_pixel_representation(signed, vr, value):
    modality = Dataset()
    modality.PixelPaddingValue = value
    modality["PixelPaddingValue"].VR = vr
    attributes = implicit(
        PixelRepresentation=signed,
        SmallestImagePixelValue=value,
        ReferencedImageSequence=[modality],
    )
    assert attributes["00280106"] == {"vr": vr, "Value": [value]}
    # The item comes before (0028,0103) of the data set around it.
    assert attributes["00081140"]["Value"][0]["00280120"] == {"vr": vr, "Value": [value]}


def test_lut_data():
    for entries, vr in ((1, "US"), (4, "OW")):
        lut = Dataset()
        lut.LUTDescriptor = [entries, 0, 16]
        lut.LUTData = bytes(2 * entries)
        lut["LUTDescriptor"].VR, lut["LUTData"].VR = "US", "OW"
        found = implicit(ModalityLUTSequence=[lut], PixelRepresentation=0)["00283000"]
        assert found["Value"][0]["00283006"]["vr"] == vr
        assert ("BulkDataURI" in found["Value"][0]["00283006"]) == (vr == "OW")


def test_pixel_data_in_implicit_vr_is_ow():
    attributes = implicit(PixelData=bytes(4), BitsAllocated=8, Rows=2, Columns=2)
    assert attributes["7FE00010"] == {"vr": "OW", "BulkDataURI": "7fe00010"}


# -- private elements -----------------------------------------------------------------------------


def private(syntax, vr="UN", creator="GEMS_IDEN_01", **options):
    data_set = small_data_set()
    data_set.private_block(0x0009, creator, create=True)
    data_set[0x00091001] = DataElement(0x00091001, vr, b"GE text " if vr == "UN" else "GE text")
    return parse(write(data_set, syntax), **options).attributes["00091001"]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_known_private_elements_have_their_vr(syntax):
    assert private(syntax) == {"vr": "LO", "Value": ["GE text"]}
    assert private(syntax, creator="NOBODY KNOWS")["vr"] == "UN"


def test_dictionary_of_the_user():
    mine = TagDictionary({"0009,1001": ["ST", "MyText", 1, 1, "MINE"]})
    for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
        found = private(syntax, creator="MINE", dictionary=mine)
        assert found == {"vr": "ST", "Value": ["GE text"]}


def test_un_that_is_a_sequence_is_one():
    inner = b"\x08\0\x50\x11\4\0\0\0" + b"1.2\0"
    for length, end in ((None, b""), (0xFFFFFFFF, item(b"", 0xE0DD))):
        body = element(0x00081140, "UN", item(inner) + end, length)
        found = parse(part10(body + IDENTITY)).attributes["00081140"]
        assert found["Value"] == [{"00081150": {"vr": "UI", "Value": ["1.2"]}}]
    kept = parse(part10(element(0x00081140, "UN", b"no items here ") + IDENTITY))
    assert kept.attributes["00081140"] == {"vr": "UN", "BulkDataURI": "00081140"}


def test_un_is_little_endian_in_a_big_endian_data_set():
    data = write(small_data_set(), ExplicitVRBigEndian)
    found = parse(data + b"\0\x28\0\x10UN\0\0\0\0\0\2" + b"\1\0")
    assert found.attributes["00280010"] == {"vr": "US", "Value": [1]}
    assert found.big_endian


# -- text and options -----------------------------------------------------------------------------


def header(**extra):
    body = (
        element(0x00080060, "CS", b"CT")
        + element(0x00091001, "OW", struct.pack("<2H", 1, 515))
        + element(0x00091002, "OB", b"\0\1")
        + element(0x00091003, "UN", b"\0\1")
        + element(0x00091004, "OF", struct.pack("<2f", 1.5, float("nan")))
        + element(0x00091005, "OD", struct.pack("<d", 2))
        + element(0x00104000, "LT", b'\x1f "BulkDataURI":"\x1f7fe00010" ')
        + element(0x00180050, "DS", b"1.50\\4\\\\ 1e999")
        + element(0x00081140, "SQ", item(element(0x00101030, "DS", b"+7.0")))
        + element(0x7FE00010, "OW", b"1234")
    )
    return parse(part10(body + IDENTITY)).header


def load(path):
    return {
        "00091001": struct.pack("<2H", 1, 515),
        "00091002": b"\0\1",
        "00091004": struct.pack("<2f", 1.5, float("nan")),
        "00091005": struct.pack("<d", 2),
    }[path]


def test_default_rendering_only_adds_the_base():
    data = json.loads(render(header(), BASE))
    assert data["7FE00010"] == {"vr": "OW", "BulkDataURI": BASE + "7fe00010"}
    assert data["00180050"]["Value"] == ["1.50", "4", None, "1e999"]
    assert data["00104000"]["Value"] == ['\x1f "BulkDataURI":"\x1f7fe00010"']
    quoted = 'http://host/"/\\/'
    assert json.loads(render(header(), quoted))["7FE00010"]["BulkDataURI"] == quoted + "7fe00010"


def test_values_cannot_forge_a_base():
    text = header()
    assert text.count(b"\x1f") == 6
    for options in (JsonOptions(), JsonOptions(decimal_strings=False)):
        data = json.loads(render(text, BASE, options))
        assert BASE not in data["00104000"]["Value"][0]


def test_header_and_attributes_are_the_same():
    for path in bundled()[::5]:
        if "truncated" in path.name or path.name in ("DICOMDIR-nooffset", "no_meta.dcm"):
            continue
        if path.name == "meta_missing_tsyntax.dcm":
            continue
        instance = parse(path.read_bytes())
        assert load_header(instance.header) == instance.attributes
        assert json.loads(render(instance.header, "")) == instance.attributes


def test_decimals_as_numbers():
    data = json.loads(render(header(), BASE, JsonOptions(decimal_strings=False)))
    assert data["00180050"]["Value"] == [1.5, 4, None, "1e999"]
    assert data["00081140"]["Value"][0]["00101030"]["Value"] == [7]
    assert data["7FE00010"]["BulkDataURI"] == BASE + "7fe00010"


def test_other_binary_inline():
    options = JsonOptions(other_binary="InlineBinary")
    data = json.loads(render(header(), BASE, options, load))
    for tag in ("00091001", "00091002", "00091004", "00091005"):
        assert base64.b64decode(data[tag]["InlineBinary"]) == load(tag)
        assert set(data[tag]) == {"vr", "InlineBinary"}
    assert data["00091003"] == {"vr": "UN", "BulkDataURI": BASE + "00091003"}
    assert data["7FE00010"] == {"vr": "OW", "BulkDataURI": BASE + "7fe00010"}


def test_other_binary_as_values():
    options = JsonOptions(other_binary="ArrayOfValues")
    data = json.loads(render(header(), BASE, options, load))
    assert data["00091001"] == {"vr": "OW", "Value": [1, 515]}
    assert data["00091002"] == {"vr": "OB", "InlineBinary": "AAE="}
    assert data["00091004"]["Value"] == [1.5, "NaN"]
    assert data["00091005"]["Value"] == [2]
    assert data["00091003"]["BulkDataURI"] == BASE + "00091003"
    assert data["7FE00010"]["BulkDataURI"] == BASE + "7fe00010"


@pytest.mark.parametrize(
    ("vr", "expected"),
    [("OW", b"21436587"), ("OF", b"43218765"), ("OD", b"87654321"), ("OB", b"12345678")],
)
def test_big_endian_values_as_json_needs_them(vr, expected):
    assert little_endian(b"12345678", vr, big_endian=True) == expected
    assert little_endian(b"12345678", vr, big_endian=False) == b"12345678"
    assert little_endian(b"12345678", "UN", big_endian=True) == b"12345678"


def test_transfer_syntax_is_known_early():
    reader = DicomReader()
    assert reader.transfer_syntax == ""
    reader.feed(part10(IDENTITY)[:230])
    assert reader.transfer_syntax == ExplicitVRLittleEndian
