"""STOW-RS of metadata and bulk data (PS3.18 10.5.2, 8.7): files are made, or it is told why not."""

import base64
import json
import re
from struct import pack

import pytest
from pydicom.data import get_testdata_file

from dicomweb_server.dicom.tags import STANDARD
from dicomweb_server.dicom.xml_model import to_native_xml
from dicomweb_server.testing.dicom import (
    SECONDARY_CAPTURE,
    make_instance,
    new_uid,
    path_of,
    read,
    split_multipart,
)
from tests.web.metadata_bodies import JSON, OCTETS, XML, body, part, request, xml_request
from tests.web.test_store import CANNOT_UNDERSTAND, PROCESSING, failures, stored_uids

MISMATCH, NO_SYNTAX = 0xA900, 0xC122
EXPLICIT = "1.2.840.10008.1.2.1"
FAMILY = "1.2.840.10008.1.2.4."


def data_set(**more):
    """A data set in DICOM JSON with the usual UIDs; more by keyword-like tags `x00280010`."""
    attributes = {
        "00080016": {"vr": "UI", "Value": [SECONDARY_CAPTURE]},
        "00080018": {"vr": "UI", "Value": [new_uid()]},
        "0020000D": {"vr": "UI", "Value": [new_uid()]},
        "0020000E": {"vr": "UI", "Value": [new_uid()]},
    }
    return attributes | {key.removeprefix("x"): value for key, value in more.items()}


def us(value):
    return {"vr": "US", "Value": [value]}


def image(rows=2, columns=3, **more):
    return data_set(
        x00280002=us(1),
        x00280004={"vr": "CS", "Value": ["MONOCHROME2"]},
        x00280010=us(rows),
        x00280011=us(columns),
        x00280100=us(8),
        x00280101=us(8),
        x00280102=us(7),
        x00280103=us(0),
        x7FE00010={"vr": "OW", "BulkDataURI": "bulk/1"},
        **more,
    )


def without(attributes, *tags):
    return {tag: element for tag, element in attributes.items() if tag not in tags}


def url(attributes):
    study, series, sop = (attributes[t]["Value"][0] for t in ("0020000D", "0020000E", "00080018"))
    return f"/studies/{study}/series/{series}/instances/{sop}"


def stored(client, attributes):
    """The stored file, as pydicom reads it."""
    answer = client.get(url(attributes), "application/dicom; transfer-syntax=*")
    assert answer.status_code == 200, answer.data
    return read(answer.data)


def post(client, data_sets, *bulk):
    return client.post(*request(data_sets, *bulk))


def refused(client, attributes, *bulk, reason, words, others=0):
    """Assert that the data set fails alone, with this reason and a sentence."""
    answer = post(client, [attributes], *bulk)
    document = answer.json
    assert answer.status_code == (400 if reason == CANNOT_UNDERSTAND else 409)
    assert stored_uids(document) == []
    known = [(attributes["00080018"]["Value"][0], reason)]
    assert failures(document) == known + [(None, CANNOT_UNDERSTAND)] * others
    assert words in answer.headers["Warning"]
    assert client.found() == []


def frame_of(name, number=0):
    """A compressed frame of one of pydicom's files, and the file."""
    from pydicom import dcmread
    from pydicom.encaps import generate_frames

    found = dcmread(get_testdata_file(name))
    count = int(found.get("NumberOfFrames", 1))
    frames = list(generate_frames(found.PixelData, number_of_frames=count))
    return frames[number], found


def typed_frame(name, kind):
    """The same; that of HTJ2K says so in its header, which is all that is looked at."""
    frame, found = frame_of(name)
    if kind == "image/jphc":
        frame = frame[:6] + b"\x40\0" + frame[8:]
    return frame, found


def signs(original, kind):
    """Pixel Representation where the bit stream does not tell it."""
    return {"00280103": us(original.PixelRepresentation)} if kind == "image/jls" else {}


# --- data sets without bulk data -------------------------------------------------------------


def test_a_data_set_becomes_a_file(client):
    one = data_set(
        x00100010={"vr": "PN", "Value": [{"Alphabetic": "Müller^Jörg", "Ideographic": "山田"}]},
        x00100020={"vr": "LO", "Value": ["P1"]},
        x00280030={"vr": "DS", "Value": [0.5, "0.25"]},
        x00201041={"vr": "DS", "Value": [None]},
        x00200013={"vr": "IS", "Value": [7]},
        x00189306={"vr": "FD", "Value": [1.5, "NaN"]},
        x00091010={"vr": "UN", "InlineBinary": base64.b64encode(b"abc").decode()},
        x00081199={"vr": "SQ", "Value": [{"00081150": {"vr": "UI", "Value": ["1.2"]}}, {}]},
        x00209165={"vr": "AT", "Value": ["00209057"]},
    )
    answer = post(client, [one])
    assert answer.status_code == 200, answer.data
    assert stored_uids(answer.json) == [one["00080018"]["Value"][0]]
    file = stored(client, one)
    assert file.file_meta.TransferSyntaxUID == EXPLICIT
    assert file.file_meta.MediaStorageSOPInstanceUID == file.SOPInstanceUID
    assert file.SpecificCharacterSet == "ISO_IR 192"
    assert file.PatientName == "Müller^Jörg=山田"
    assert [float(each) for each in file.PixelSpacing] == [0.5, 0.25]
    assert file[0x00091010].value == b"abc\0"
    assert [dict(item.items()) != {} for item in file.ReferencedSOPSequence] == [True, False]
    (metadata,) = client.get(f"{url(one)}/metadata", JSON).json
    assert metadata["00189306"]["Value"] == [1.5, "NaN"]
    assert metadata["00209165"] == one["00209165"]


def test_one_data_set_needs_no_array(client):
    one = data_set()
    assert post(client, one).status_code == 200
    assert client.get(url(one)).status_code == 200


def test_several_data_sets_at_once(client):
    several = [data_set() for _ in range(5)]
    answer = post(client, several)
    assert stored_uids(answer.json) == [each["00080018"]["Value"][0] for each in several]


def test_ascii_text_keeps_its_character_set(client):
    one = data_set(x00080005={"vr": "CS", "Value": ["ISO_IR 100"]})
    post(client, [one])
    assert stored(client, one).SpecificCharacterSet == "ISO_IR 100"


def test_what_belongs_to_an_encoding_is_made_anew(client):
    one = data_set(
        x00020010={"vr": "UI", "Value": [f"{FAMILY}50"]},
        x00080000={"vr": "UL", "Value": [5]},
        x00083002={"vr": "UI", "Value": [EXPLICIT]},
    )
    assert post(client, [one]).status_code == 200
    file = stored(client, one)
    assert file.file_meta.TransferSyntaxUID == EXPLICIT
    assert 0x00080000 not in file
    assert 0x00083002 not in file


def test_a_study_in_the_url_restricts(client):
    one = data_set()
    answer = client.post(*request([one]), path=f"/studies/{new_uid()}")
    assert answer.status_code == 409
    assert failures(answer.json) == [(one["00080018"]["Value"][0], PROCESSING)]


@pytest.mark.parametrize("tag", ["00080016", "00080018", "0020000D", "0020000E"])
def test_missing_uids_are_refused(client, tag):
    answer = post(client, [without(data_set(), tag)])
    assert answer.status_code == 400
    assert "UID" in answer.headers["Warning"]


@pytest.mark.parametrize(
    ("key", "element", "words"),
    [
        ("00280010", {"vr": "US", "Value": [70000]}, "(0028,0010)"),
        ("00280010", {"vr": "US", "Value": ["two"]}, "(0028,0010)"),
        ("00280010", {"vr": "US", "Value": [1.5]}, "whole number"),
        ("00280010", {"vr": "XX", "Value": [1]}, "the VR 'XX'"),
        ("00280010", {"vr": [], "Value": [1]}, "the VR '[]'"),
        ("00280010", {"vr": {"US": 1}, "Value": [1]}, "the VR"),
        ("00280010", {"vr": "US", "Value": 1}, "00280010"),
        ("00280010", 5, "00280010"),
        ("PatientName", {"vr": "PN"}, "PATIENTNAME"),
        ("00100010", {"vr": "PN", "Value": [{"Latin": "x"}]}, "Alphabetic"),
        ("00100010", {"vr": "PN", "Value": [{"Alphabetic": "a=b"}]}, "neither ="),
        ("00080008", {"vr": "CS", "Value": ["a\\b"]}, "backslash"),
        ("00080008", {"vr": "CS", "Value": ["é"]}, "(0008,0008)"),
        ("00091010", {"vr": "OB", "InlineBinary": "%%%"}, "base64"),
        ("00091010", {"vr": "OB", "Value": [1, 2]}, "InlineBinary"),
        ("00091010", {"vr": "OB", "InlineBinary": "AA==", "BulkDataURI": "bulk/1"}, "and a value"),
        ("00081199", {"vr": "SQ", "Value": [5]}, "sequence"),
        ("00209165", {"vr": "AT", "Value": ["x"]}, "hexadecimal"),
    ],
)
def test_what_is_no_value_fails_its_instance_alone(client, key, element, words):
    good, bad = data_set(), data_set() | {key: element}
    answer = post(client, [bad, good])
    assert answer.status_code == 202
    assert stored_uids(answer.json) == [good["00080018"]["Value"][0]]
    assert [reason for _, reason in failures(answer.json)] == [CANNOT_UNDERSTAND]
    assert words in answer.headers["Warning"]


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"[]", b'"x"', b"[" * 5000, b"\xff"])
def test_metadata_that_are_none(client, text):
    answer = client.post(*body(part(JSON, text)))
    assert answer.status_code == 400
    assert failures(answer.json) == [(None, CANNOT_UNDERSTAND)]


def test_deep_items_are_refused(client):
    deep = {"vr": "SQ", "Value": [{}]}
    for _ in range(200):
        deep = {"vr": "SQ", "Value": [{"00081199": deep}]}
    answer = post(client, [data_set(x00081199=deep)])
    assert answer.status_code == 400
    assert "deep" in answer.headers["Warning"]


@pytest.mark.parametrize(("option", "value"), [("MaximumHeaderSizeMB", 1), ("MaximumHeaderElements", 1000)])  # fmt: skip
def test_metadata_have_a_limit(tmp_path, option, value):
    from dicomweb_server.testing.apps import temporary_app
    from tests.conftest import Client

    many = [data_set() for _ in range(5000)]
    with temporary_app(tmp_path, {option: value}) as app:
        client = Client(app.test_client())
        answer = post(client, many)
        assert answer.status_code == 400
        assert option in answer.headers["Warning"]
        assert post(client, many[:10]).status_code == 200


# --- which part belongs where ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("bulk/1", "bulk/1"),
        ("http://localhost/dicom-web/bulk/1", "bulk/1"),
        ("/dicom-web/bulk/1", "http://localhost/dicom-web/bulk/1"),
        ("urn:uuid:1-2", "urn:uuid:1-2"),
        ("http://elsewhere/x?a=b", "http://elsewhere/x?a=b"),
        ("http://[", "http://["),
    ],
)
def test_locations(client, uri, location):
    one = image() | {"7FE00010": {"vr": "OW", "BulkDataURI": uri}}
    assert post(client, [one], (location, b"123456", OCTETS)).status_code == 200
    assert stored(client, one).PixelData == b"123456"


def test_a_bulk_part_that_is_missing(client):
    refused(client, image(), reason=CANNOT_UNDERSTAND, words="no part has the Content-Location")


def test_a_bulk_part_that_nobody_names(client):
    one = data_set()
    answer = post(client, [one], ("bulk/9", b"x", OCTETS))
    assert answer.status_code == 202
    assert failures(answer.json) == [(None, CANNOT_UNDERSTAND)]
    assert "bulk/9" in answer.headers["Warning"]


def test_a_bulk_part_without_location(client):
    answer = client.post(*body(part(JSON, json.dumps([data_set()]).encode()), part(OCTETS, b"x")))
    assert answer.status_code == 202
    assert "no Content-Location" in answer.headers["Warning"]


def test_a_second_part_with_metadata(client):
    one, two = (part(JSON, json.dumps([data_set()]).encode()) for _ in range(2))
    answer = client.post(*body(one, two))
    assert answer.status_code == 202
    assert len(stored_uids(answer.json)) == 1
    assert "second part with metadata" in answer.headers["Warning"]


def test_no_metadata_at_all(client):
    answer = client.post(*body(part(OCTETS, b"x", "bulk/1")))
    assert answer.status_code == 400
    assert len(failures(answer.json)) == 2


def test_a_body_that_is_cut_in_a_bulk_part(client):
    first, second = image(), image() | {"7FE00010": {"vr": "OW", "BulkDataURI": "bulk/2"}}
    whole, content_type = request(
        [first, second], ("bulk/1", b"123456", OCTETS), ("bulk/2", b"7890ab", OCTETS)
    )
    answer = client.post(whole[: whole.index(b"7890") + 2], content_type)
    assert answer.status_code == 202
    assert stored_uids(answer.json) == [first["00080018"]["Value"][0]]
    assert failures(answer.json) == [(second["00080018"]["Value"][0], CANNOT_UNDERSTAND)]


def test_instances_may_share_a_bulk_part(client):
    several = [image(), image()]
    assert post(client, several, ("bulk/1", b"123456", OCTETS)).status_code == 200
    assert [stored(client, each).PixelData for each in several] == [b"123456"] * 2


def test_bulk_data_of_other_attributes(client):
    item = {"00091010": {"vr": "OB", "BulkDataURI": "bulk/1"}, "00090010": {"vr": "LO"}}
    one = data_set(
        x00091001={"vr": "UN", "BulkDataURI": "bulk/2"},
        x00081199={"vr": "SQ", "Value": [item]},
        x00104000={"vr": "LT", "BulkDataURI": "bulk/3"},
    )
    answer = post(
        client,
        [one],
        ("bulk/1", b"odd", OCTETS),
        ("bulk/2", b"even", OCTETS),
        ("bulk/3", b"x" * 70_000, OCTETS),
    )
    assert answer.status_code == 200, answer.data
    file = stored(client, one)
    assert file.ReferencedSOPSequence[0][0x00091010].value == b"odd\0"
    assert file[0x00091001].value == b"even"
    assert bytes(file.get_item(0x00104000).value) == b"x" * 70_000


def test_two_parts_for_one_value(client):
    one = data_set(x00091001={"vr": "OB", "BulkDataURI": "b"})
    parts = [("b", b"12", OCTETS)] * 2
    refused(client, one, *parts, reason=CANNOT_UNDERSTAND, words="2 parts")


# --- pixel data ------------------------------------------------------------------------------


def test_native_frames_may_be_parts(client):
    one = image()
    parts = [("bulk/1", bytes([n]) * 6, OCTETS) for n in range(3)]
    assert post(client, [one], *parts).status_code == 200
    file = stored(client, one)
    assert file.NumberOfFrames == 3
    assert file.PixelData == b"\0" * 6 + b"\1" * 6 + b"\2" * 6


@pytest.mark.parametrize("uri", ["i/1", "i/1/frames/1,2,3"])
def test_parts_of_single_frames(client, uri):
    one = image() | {"7FE00010": {"vr": "OW", "BulkDataURI": uri}}
    parts = [(f"i/1/frames/{n}", bytes([n]) * 6, OCTETS) for n in (3, 1, 2)]
    assert post(client, [one], *parts).status_code == 200
    assert stored(client, one).PixelData == b"\1" * 6 + b"\2" * 6 + b"\3" * 6


def test_odd_pixel_data_are_padded(client):
    one = image(rows=1, columns=5)
    assert post(client, [one], ("bulk/1", b"12345", OCTETS)).status_code == 200
    assert stored(client, one).PixelData == b"12345\0"


def test_a_frame_number_is_not_guessed(client):
    """Number of Frames is Type 1 for several frames (PS3.3, C.7.6.6)."""
    words = "have 24 bytes; Rows, Columns, Samples per Pixel, Bits Allocated and Number of Frames"
    refused(client, image(), ("bulk/1", bytes(24), OCTETS), reason=MISMATCH, words=words)
    told = image() | {"00280008": {"vr": "IS", "Value": [4]}}
    assert post(client, [told], ("bulk/1", bytes(24), OCTETS)).status_code == 200


@pytest.mark.parametrize("size", [0, 5, 8, 13])
def test_pixel_data_of_another_size(client, size):
    words = "Rows, Columns"
    refused(client, image(), ("bulk/1", bytes(size), OCTETS), reason=MISMATCH, words=words)


def test_inline_pixel_data(client):
    one = image() | {"7FE00010": {"vr": "OB", "InlineBinary": base64.b64encode(b"abcdef").decode()}}
    assert post(client, [one]).status_code == 200
    assert stored(client, one).PixelData == b"abcdef"


@pytest.mark.parametrize("syntax", [EXPLICIT, "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"])
def test_little_endian_octets(client, syntax):
    one = image()
    kind = f"{OCTETS}; transfer-syntax={syntax}"
    assert post(client, [one], ("bulk/1", b"abcdef", kind)).status_code == 200
    assert stored(client, one).file_meta.TransferSyntaxUID == EXPLICIT


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.2", "1.2.3"])
def test_other_syntaxes_of_octets(client, syntax):
    kind = f"{OCTETS}; transfer-syntax={syntax}"
    part_ = ("bulk/1", b"abcdef", kind)
    refused(client, image(), part_, reason=NO_SYNTAX, words="transfer syntax")


IMAGES = [
    ("SC_rgb_jpeg_dcmtk.dcm", "image/jpeg", "50"),
    ("JPEG-lossy.dcm", "image/jpeg", "51"),
    ("SC_rgb_jpeg_gdcm.dcm", "image/jpeg", "70"),
    ("JPEG2000.dcm", "image/jp2", "91"),
    ("MR_small_jp2klossless.dcm", "image/jp2", "90"),
    ("MR_small_jpeg_ls_lossless.dcm", "image/jls", "80"),
    ("JPEGLSNearLossless_16.dcm", "image/jls", "81"),
    ("MR_small_jp2klossless.dcm", "image/jphc", "201"),
    ("JPEG2000.dcm", "image/jphc", "203"),
]
PIXEL_TAGS = ("00280002", "00280010", "00280011", "00280100", "00280103")


@pytest.mark.parametrize(("name", "kind", "syntax"), IMAGES)
def test_the_bit_stream_tells_what_is_missing(client, name, kind, syntax):
    frame, original = typed_frame(name, kind)
    one = without(image(), *PIXEL_TAGS, "00280004", "00280101", "00280102") | signs(original, kind)
    answer = post(client, [one], ("bulk/1", frame, kind))
    assert answer.status_code == 200, answer.headers["Warning"]
    file = stored(client, one)
    assert file.file_meta.TransferSyntaxUID == FAMILY + syntax
    for keyword in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated"):
        assert file[keyword].value == original[keyword].value, keyword
    assert file.HighBit == file.BitsStored - 1
    assert ("PlanarConfiguration" in file) == (file.SamplesPerPixel == 3)
    assert (file.PhotometricInterpretation == "MONOCHROME2") == (file.SamplesPerPixel == 1)
    assert "NumberOfFrames" not in file
    got = client.get(f"{url(one)}/bulk/7fe00010", "*/*")
    assert got.status_code in (200, 406)
    assert frame in file.PixelData


@pytest.mark.parametrize(("name", "kind", "syntax"), [*IMAGES, ("MR_small_RLE.dcm", "image/dicom-rle", "")])  # fmt: skip
@pytest.mark.parametrize("wrong", [{"00280010": us(9)}, {"00280002": us(2)}, {"00280100": us(4)}])
def test_what_contradicts_the_bit_stream(client, name, kind, syntax, wrong):
    frame, original = typed_frame(name, kind)
    one = without(image(), "00280004", "00280010", "00280011", "00280101", "00280102")
    one |= {
        "00280002": us(original.SamplesPerPixel),
        "00280100": us(original.BitsAllocated),
        "00280103": us(original.PixelRepresentation),
    } | wrong
    if not syntax and "00280010" in wrong:
        pytest.skip("RLE does not tell")
    refused(client, one, ("bulk/1", frame, kind), reason=MISMATCH, words="bit stream")


@pytest.mark.parametrize(("name", "kind", "syntax"), IMAGES)
def test_a_transfer_syntax_that_the_bit_stream_is_not(client, name, kind, syntax):
    frame, original = typed_frame(name, kind)
    one = without(image(), *PIXEL_TAGS, "00280004", "00280101", "00280102") | signs(original, kind)
    wrong = {"50": "57", "51": "50", "70": "50", "91": "90", "80": "81", "81": "80"}.get(
        syntax, "92"
    )
    if syntax == "80":
        wrong = "50"  # near-lossless may be lossless
    typed = f"{kind}; transfer-syntax={FAMILY}{wrong}"
    refused(client, one, ("bulk/1", frame, typed), reason=MISMATCH, words="transfer syntax")


@pytest.mark.parametrize("kind", sorted({kind for _, kind, _ in IMAGES} | {"image/dicom-rle"}))
@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\x4f\xff\x51\x00", b"no image" * 20])
def test_what_is_no_image(client, kind, data):
    refused(client, image(), ("bulk/1", data, kind), reason=MISMATCH, words=kind)


def test_compressed_frames_have_an_offset_table(client):
    frames = [frame_of("examples_ybr_color.dcm", n)[0] for n in range(5)]
    one = without(image(), *PIXEL_TAGS, "00280004", "00280101", "00280102")
    parts = [("bulk/1", frame, f"image/jpeg; transfer-syntax={FAMILY}50") for frame in frames]
    assert post(client, [one], *parts).status_code == 200
    from pydicom.encaps import generate_frames, parse_basic_offsets

    file = stored(client, one)
    assert file.NumberOfFrames == 5
    assert len(parse_basic_offsets(file.PixelData)) == 5
    found = list(generate_frames(file.PixelData, number_of_frames=5))
    assert [each.rstrip(b"\0") for each in found] == [each.rstrip(b"\0") for each in frames]


def test_a_number_of_frames_that_the_parts_are_not(client):
    frame, _ = frame_of("SC_rgb_jpeg_dcmtk.dcm")
    one = without(image(), *PIXEL_TAGS, "00280004", "00280101")
    one["00280008"] = {"vr": "IS", "Value": [3]}
    parts = [("bulk/1", frame, "image/jpeg")] * 2
    refused(client, one, *parts, reason=MISMATCH, words="Number of Frames is 3")


COMPRESSED = {
    "50": "image/jpeg", "51": "image/jpeg", "70": "image/jpeg", "80": "image/jls",
    "81": "image/jls", "90": "image/jp2", "91": "image/jp2", "5": "image/dicom-rle",
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "693_J2KI.dcm", "JPEG-lossy.dcm", "JPEGLSNearLossless_08.dcm",
        "JPEGLSNearLossless_16.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm",
        "SC_jpeg_no_color_transform.dcm", "SC_rgb_dcmtk_+eb+cr.dcm", "SC_rgb_dcmtk_+eb+cy+s4.dcm",
        "SC_rgb_gdcm_KY.dcm", "SC_rgb_jls_lossy_line.dcm", "SC_rgb_jpeg_gdcm.dcm",
        "SC_rgb_rle_32bit_2frame.dcm", "SC_rgb_small_odd_jpeg.dcm", "examples_jpeg2k.dcm",
        "examples_ybr_color.dcm", "rtdose_rle.dcm",
    ],
)  # fmt: skip
def test_compressed_files_can_be_taken_apart_and_put_together(client, name):
    _, original = frame_of(name)
    from pydicom.encaps import generate_frames

    count = int(original.get("NumberOfFrames", 1))
    frames = list(generate_frames(original.PixelData, number_of_frames=count))
    one = data_set() | original.to_json_dict(1 << 30, lambda _: "unused")
    one["7FE00010"] = {"vr": "OB", "BulkDataURI": "pixels"}
    syntax = original.file_meta.TransferSyntaxUID
    kind = f"{COMPRESSED[syntax.rpartition('.')[2]]}; transfer-syntax={syntax}"
    answer = post(client, [one], *(("pixels", frame, kind) for frame in frames))
    assert answer.status_code == 200, answer.headers["Warning"]
    file = stored(client, one)
    assert file.file_meta.TransferSyntaxUID == syntax
    again = list(generate_frames(file.PixelData, number_of_frames=count))
    assert [each.rstrip(b"\0") for each in again] == [each.rstrip(b"\0") for each in frames]
    assert {e.tag for e in original if e.tag & 0xFFFF} <= {e.tag for e in file}


def test_a_bit_stream_with_signs_that_the_metadata_deny(client):
    frame, original = frame_of("J2K_pixelrep_mismatch.dcm")
    one = image(original.Rows, original.Columns)
    one |= {tag: us(16) for tag in ("00280100", "00280101")} | {"00280103": us(1)}
    refused(
        client, one, ("bulk/1", frame, "image/jp2"), reason=MISMATCH, words="Pixel Representation"
    )


def test_rle_frames(client):
    frame, original = frame_of("MR_small_RLE.dcm")
    one = image(64, 64) | {"00280100": us(16), "00280101": us(16), "00280102": us(15)}
    assert post(client, [one], ("bulk/1", frame, "image/dicom-rle")).status_code == 200
    file = stored(client, one)
    assert file.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.5"
    assert (file.pixel_array == original.pixel_array).all() if _has_numpy() else True


def _has_numpy():
    try:
        import numpy  # noqa: F401
    except ImportError:
        return False
    return True


def test_octets_of_which_the_metadata_say_that_they_are_compressed(client):
    frame, _ = frame_of("JPEG2000.dcm")
    one = without(image(), *PIXEL_TAGS, "00280004", "00280101", "00280102")
    one["00083002"] = {"vr": "UI", "Value": [f"{FAMILY}91"]}
    assert post(client, [one], ("bulk/1", frame, OCTETS)).status_code == 200
    assert stored(client, one).file_meta.TransferSyntaxUID == f"{FAMILY}91"
    plain = image(x00083002={"vr": "UI", "Value": [f"{FAMILY}91"]})
    assert post(client, [plain], ("bulk/1", b"123456", OCTETS)).status_code == 200
    assert stored(client, plain).file_meta.TransferSyntaxUID == EXPLICIT


def test_a_jp2_file_is_unpacked(client):
    frame, _ = frame_of("MR_small_jp2klossless.dcm")
    codestream = frame.rstrip(b"\0")
    boxes = b"\0\0\0\x0cjP  \r\n\x87\n" + pack(">I4s", 12, b"ftyp") + b"jp2 "
    one = without(image(), *PIXEL_TAGS, "00280004", "00280101", "00280102")
    data = boxes + pack(">I4s", 8 + len(codestream), b"jp2c") + codestream
    assert post(client, [one], ("bulk/1", data, "image/jp2")).status_code == 200
    assert codestream in stored(client, one).PixelData
    assert b"jp2c" not in stored(client, one).PixelData


@pytest.mark.parametrize("kind", ["image/png", "text/plain", "application/pdf"])
def test_types_that_are_no_pixel_data(client, kind):
    part_ = ("bulk/1", b"x", kind)
    refused(client, image(), part_, reason=CANNOT_UNDERSTAND, words="possible are")


# --- what the server sends is taken back -----------------------------------------------------

FILES = [
    "CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "rtdose.dcm", "test-SR.dcm", "reportsi.dcm",
    "SC_rgb_small_odd.dcm", "liver_1frame.dcm", "waveform_ecg.dcm",
    "examples_overlay.dcm",
]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_metadata_that_this_server_sends_make_the_same_instance(client, name):
    with open(get_testdata_file(name), "rb") as file:
        data = file.read()
    client.stored(data)
    path = f"/{path_of(data)}"
    (sent,) = client.get(f"{path}/metadata", JSON).json
    bulk = []

    def collect(attributes):
        for element in attributes.values():
            if "BulkDataURI" in element:
                uri = element["BulkDataURI"]
                answer = client.get(uri.partition("/dicom-web")[2], OCTETS)
                assert answer.status_code == 200
                bulk.append((uri, answer.data, OCTETS))
            if element["vr"] == "SQ":
                for item in element.get("Value", ()):
                    collect(item)

    collect(sent)
    assert client.call("DELETE", path).status_code == 204
    answer = post(client, [sent], *bulk)
    assert answer.status_code == 200, answer.headers["Warning"]
    (back,) = client.get(f"{path}/metadata", JSON).json
    sent.pop("00080005", None)
    back.pop("00080005", None)
    assert back == sent
    for uri, value, kind in bulk:
        answer = client.get(uri.partition("/dicom-web")[2], kind)
        assert answer.data.rstrip(b"\0") == value.rstrip(b"\0")


# --- XML -------------------------------------------------------------------------------------


def test_data_sets_in_xml(client):
    name = {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jörg"}]}
    first, second = image(x00100010=name), data_set()
    answer = client.post(*xml_request([first, second], ("bulk/1", b"123456", OCTETS)))
    assert answer.status_code == 200, answer.data
    assert len(stored_uids(answer.json)) == 2
    assert stored(client, first).PixelData == b"123456"
    assert stored(client, first).PatientName == "Müller^Jörg"


def test_xml_that_is_broken_fails_alone(client):
    good = part(XML, to_native_xml(data_set(), STANDARD.keyword))
    bad = part(XML, b'<!DOCTYPE x [<!ENTITY a "b">]><NativeDicomModel/>')
    answer = client.post(*body(bad, good, kind=XML))
    assert answer.status_code == 202
    assert len(stored_uids(answer.json)) == 1
    assert failures(answer.json) == [(None, CANNOT_UNDERSTAND)]
    assert "document type" in answer.headers["Warning"]


def test_json_among_xml_is_told(client):
    good = part(XML, to_native_xml(data_set(), STANDARD.keyword))
    answer = client.post(*body(good, part(JSON, b"[]"), kind=XML))
    assert answer.status_code == 202
    assert "among application/dicom+xml" in answer.headers["Warning"]


@pytest.mark.parametrize("name", FILES)
def test_xml_that_this_server_sends_makes_the_same_instance(client, name):
    with open(get_testdata_file(name), "rb") as file:
        data = file.read()
    client.stored(data)
    path = f"/{path_of(data)}"
    (before,) = client.get(f"{path}/metadata", JSON).json
    ((_, document),) = split_multipart(*_multipart(client.get(f"{path}/metadata", MULTIPART_XML)))
    bulk = []
    for uri in re.findall(rb'uri="([^"]*)"', document):
        value = client.get(uri.decode().partition("/dicom-web")[2], OCTETS).data
        bulk.append(part(OCTETS, value, uri.decode()))
    assert client.call("DELETE", path).status_code == 204
    answer = client.post(*body(part(XML, document), *bulk, kind=XML))
    assert answer.status_code == 200, answer.headers["Warning"]
    (back,) = client.get(f"{path}/metadata", JSON).json
    for attributes in (before, back):
        attributes.pop("00080005", None)
    assert back == before


MULTIPART_XML = f'multipart/related; type="{XML}"'


def _multipart(answer):
    assert answer.status_code == 200
    return answer.data, answer.content_type


def test_files_and_metadata_make_instances_of_one_study(client):
    data = make_instance()
    client.stored(data)
    (sent,) = client.get(f"/{path_of(data)}/metadata", JSON).json
    sent["00080018"]["Value"] = [new_uid()]
    assert post(client, [sent]).status_code == 200
    assert client.found()[0]["00201208"]["Value"] == [2]
