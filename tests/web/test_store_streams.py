"""STOW-RS of metadata with JPEG XL images and videos (PS3.18, 8.7.3; PS3.5, 8.2.5 to 8.2.15)."""

from itertools import pairwise

import pytest
from pydicom.encaps import generate_frames, parse_basic_offsets

from tests.dicom.streams import stream
from tests.web.metadata_bodies import OCTETS
from tests.web.test_store_metadata import (
    FAMILY,
    MISMATCH,
    NO_SYNTAX,
    data_set,
    post,
    refused,
    stored,
    us,
)

JXL, MP4, MPEG = "image/jxl", "video/mp4", "video/mpeg"


def cs(value):
    return {"vr": "CS", "Value": [value]}


def pixels(**more):
    """A data set that says nothing of its pixel data but where they are."""
    return data_set(x7FE00010={"vr": "OB", "BulkDataURI": "bulk/1"}, **more)


def put(client, name, kind, attributes=None):
    """The file that a stream becomes."""
    one = attributes or pixels()
    answer = post(client, [one], ("bulk/1", stream(name), kind))
    assert answer.status_code == 200, answer.headers["Warning"]
    return stored(client, one)


# --- JPEG XL ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "syntax", "samples", "bits", "colours", "method"),
    [
        ("grey.jxl", "110", 1, (8, 8, 7), "MONOCHROME2", None),
        ("grey12.jxl", "110", 1, (16, 12, 11), "MONOCHROME2", None),
        ("rgb16_boxes.jxl", "110", 3, (16, 16, 15), "RGB", None),
        ("rgb_lossy.jxl", "112", 3, (8, 8, 7), "XYB", "ISO_18181_1"),
        ("jpeg.jxl", "111", 3, (8, 8, 7), "YBR_FULL_422", "ISO_10918_1"),
    ],
)
def test_a_jpeg_xl_image_tells_what_is_missing(
    client, name, syntax, samples, bits, colours, method
):
    file = put(client, name, JXL)
    assert file.file_meta.TransferSyntaxUID == FAMILY + syntax
    assert (file.Rows, file.Columns, file.SamplesPerPixel) == (21, 37, samples)
    assert (file.BitsAllocated, file.BitsStored, file.HighBit) == bits
    assert (file.PhotometricInterpretation, file.PixelRepresentation) == (colours, 0)
    assert file.get("PlanarConfiguration") == (0 if samples == 3 else None)
    assert file.get("LossyImageCompression") == (method and "01")
    assert file.get("LossyImageCompressionMethod") == method


@pytest.mark.parametrize(
    ("name", "kept"), [("grey.jxl", True), ("jpeg.jxl", True), ("rgb16_boxes.jxl", False)]
)
def test_boxes_are_kept_only_if_they_rebuild_a_jpeg_image(client, name, kept):
    (frame,) = generate_frames(put(client, name, JXL).PixelData, number_of_frames=1)
    assert frame.startswith(stream(name)) == kept
    assert frame.rstrip(b"\0") in stream(name)


def test_frames_of_jpeg_xl(client):
    one = pixels()
    parts = [("bulk/1", stream(name), JXL) for name in ("grey.jxl", "grey.jxl", "gamma.jxl")]
    assert post(client, [one], *parts).status_code == 200
    file = stored(client, one)
    assert file.NumberOfFrames == 3
    assert len(parse_basic_offsets(file.PixelData)) == 3


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("grey.jxl", {"x00280010": us(20)}, "Rows is 20, the bit stream of the pixel data has 21"),
        ("grey.jxl", {"x00280002": us(3)}, "Samples per Pixel"),
        ("grey12.jxl", {"x00280100": us(8)}, "Bits Allocated"),
        ("rgb.jxl", {"x00280004": cs("MONOCHROME2")}, "Photometric"),
        ("rgb_lossy.jxl", {"x00282110": cs("00")}, "Lossy Image Compression is 00"),
        ("alpha.jxl", {}, "channels"),
        ("animation.jxl", {}, "animation"),
    ],
)
def test_what_contradicts_a_jpeg_xl_image(client, name, wrong, words):
    part = ("bulk/1", stream(name), JXL)
    refused(client, pixels(**wrong), part, reason=MISMATCH, words=words)


@pytest.mark.parametrize(
    ("name", "syntax"),
    [("rgb_lossy.jxl", "110"), ("rgb.jxl", "111"), ("jpeg.jxl", "110"), ("rgb_lossy.jxl", "111")],
)
def test_a_transfer_syntax_that_a_jpeg_xl_image_is_not(client, name, syntax):
    part = ("bulk/1", stream(name), f"{JXL}; transfer-syntax={FAMILY}{syntax}")
    refused(client, pixels(), part, reason=MISMATCH, words="transfer syntax")


@pytest.mark.parametrize("name", ["rgb.jxl", "jpeg.jxl", "rgb_lossy.jxl", "icc.jxl"])
def test_the_third_transfer_syntax_takes_all_of_jpeg_xl(client, name):
    file = put(client, name, f"{JXL}; transfer-syntax={FAMILY}112")
    assert file.file_meta.TransferSyntaxUID == f"{FAMILY}112"


# --- video -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "syntax", "method"),
    [
        ("high.mp4", MP4, "102", "ISO_14496_10"),
        ("high_fragments.mp4", MP4, "102", "ISO_14496_10"),
        ("high.ts", MP4, "102", "ISO_14496_10"),
        ("high.264", MP4, "102", "ISO_14496_10"),
        ("hevc.mp4", MP4, "107", "ISO_23008_2"),
        ("hevc10.ts", MP4, "108", "ISO_23008_2"),
        ("mpeg2.m2v", MPEG, "100", "ISO_13818_2"),
        ("mpeg2.mpg", MPEG, "100", "ISO_13818_2"),
        ("mpeg2.ts", MPEG, "100", "ISO_13818_2"),
    ],
)
def test_a_video_tells_what_is_missing(client, name, kind, syntax, method):
    file = put(client, name, kind)
    assert file.file_meta.TransferSyntaxUID == FAMILY + syntax
    assert (file.Rows, file.Columns, file.SamplesPerPixel) == (38, 50, 3)
    assert (file.PhotometricInterpretation, file.PlanarConfiguration) == ("YBR_PARTIAL_420", 0)
    assert file.PixelRepresentation == 0
    bits = (16, 10, 9) if syntax == "108" else (8, 8, 7)
    assert (file.BitsAllocated, file.BitsStored, file.HighBit) == bits
    assert (file.LossyImageCompression, file.LossyImageCompressionMethod) == ("01", method)
    (whole,) = generate_frames(file.PixelData, number_of_frames=1)
    assert whole.startswith(stream(name))


@pytest.mark.parametrize(
    ("name", "kind", "frames", "time", "rate"),
    [
        ("high.mp4", MP4, 8, 40, 25),
        ("hevc.mp4", MP4, 6, 33.333333, 30),
        ("mpeg2.m2v", MPEG, 6, 33.366667, 30),
        ("mpeg2.mpg", MPEG, 6, 33.366667, 30),
        ("high.ts", MP4, 8, 40, 25),
        ("vfr.mp4", MP4, 6, None, None),
        ("hevc.265", MP4, 6, None, None),
    ],
)
def test_frames_and_their_time(client, name, kind, frames, time, rate):
    file = put(client, name, kind)
    assert file.get("NumberOfFrames") == frames
    assert file.get("FrameTime") == time
    assert file.get("CineRate") == rate
    assert file.get("FrameIncrementPointer") == (0x00181063 if time else None)


def test_times_that_the_metadata_have_stay(client):
    one = pixels(
        x00180040={"vr": "IS", "Value": [12]},
        x00181065={"vr": "DS", "Value": [0, 40, 80]},
        x00280008={"vr": "IS", "Value": ["7"]},
        x00280009={"vr": "AT", "Value": ["00181065"]},
        x00282110=cs("01"),
        x00282114={"vr": "CS", "Value": ["ISO_10918_1", "ISO_14496_10"]},
    )
    file = put(client, "high.mp4", MP4, one)
    assert (file.NumberOfFrames, file.CineRate, file.get("FrameTime")) == (7, 12, None)
    assert file.FrameIncrementPointer == 0x00181065
    assert file.LossyImageCompressionMethod == ["ISO_10918_1", "ISO_14496_10"]


@pytest.mark.parametrize(
    ("name", "syntaxes"),
    [
        ("high.mp4", "102 102.1 104 104.1 105 106 106.1"),
        ("1080p24.mp4", "102 103 103.1 104"),
        ("1080p60.mp4", "104 104.1 105.1"),
        ("baseline.mp4", "102"),
        ("hevc.mp4", "107"),
        ("mpeg2.m2v", "100 100.1 101 101.1"),
        ("mpeg2_hl.m2v", "101 101.1"),
    ],
)
def test_transfer_syntaxes_that_profile_and_level_allow(client, name, syntaxes):
    kind = MPEG if name.startswith("mpeg2") else MP4
    for syntax in syntaxes.split():
        file = put(client, name, f"{kind}; transfer-syntax={FAMILY}{syntax}")
        assert file.file_meta.TransferSyntaxUID == FAMILY + syntax


@pytest.mark.parametrize(
    ("name", "kind", "syntax", "words"),
    [
        ("hevc.mp4", MP4, "102", "HEVC, Main Profile"),
        ("high.mp4", MP4, "107", "H.264, High Profile"),
        ("hevc10.mp4", MP4, "107", "Main 10 Profile"),
        ("1080p60.mp4", MP4, "102", "level 4.2"),
        ("high.mp4", MP4, "103", "possible are"),
        ("mpeg2_hl.m2v", MPEG, "100", "level High"),
    ],
)
def test_a_transfer_syntax_that_a_video_is_not(client, name, kind, syntax, words):
    part = ("bulk/1", stream(name), f"{kind}; transfer-syntax={FAMILY}{syntax}")
    refused(client, pixels(), part, reason=MISMATCH, words=words)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("high.mp4", MPEG, "video/mp4 is its media type"),
        ("mpeg2.ts", MP4, "video/mpeg is its media type"),
        ("mpeg4.mp4", MP4, "'mp4v'"),
        ("mpeg1.m1v", MPEG, "MPEG-1"),
        ("matroska.mkv", MP4, "begins with the bytes"),
        ("grey.jxl", MP4, "begins with the bytes"),
    ],
)
def test_a_video_of_another_kind_than_it_is_called(client, name, kind, words):
    refused(client, pixels(), ("bulk/1", stream(name), kind), reason=MISMATCH, words=words)


@pytest.mark.parametrize("name", ["high_5.1.mp4", "high10.mp4", "high422.mp4", "hevc_6.0.mp4"])
@pytest.mark.parametrize("named", ["", f"; transfer-syntax={FAMILY}102"])
def test_a_video_for_which_there_is_no_transfer_syntax(client, name, named):
    part = ("bulk/1", stream(name), MP4 + named)
    refused(client, pixels(), part, reason=NO_SYNTAX, words="DICOM has no transfer syntax")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"x00280010": us(40)}, "Rows is 40, the bit stream of the pixel data has 38"),
        ({"x00280011": us(64)}, "Columns is 64"),
        ({"x00280002": us(1)}, "Samples per Pixel"),
        ({"x00280004": cs("MONOCHROME2")}, "Photometric"),
        ({"x00280101": us(12)}, "Bits Stored"),
        ({"x00280103": us(1)}, "Pixel Representation"),
        ({"x00282110": cs("00")}, "Lossy Image Compression is 00"),
    ],
)
def test_what_contradicts_a_video(client, wrong, words):
    part = ("bulk/1", stream("high.mp4"), MP4)
    refused(client, pixels(**wrong), part, reason=MISMATCH, words=words)


@pytest.mark.parametrize(
    ("name", "kind", "frames"),
    [("high.264", MP4, 8), ("hevc10.ts", MP4, 6), ("mpeg2.mpg", MPEG, 6), ("mpeg2.m2v", MPEG, 6)],
)
def test_a_number_of_frames_that_a_stream_does_not_have(client, name, kind, frames):
    said = {"vr": "IS", "Value": [frames + 1]}
    words = (
        f"Number of Frames is {frames + 1}, the bit stream of the pixel data has {frames} frames"
    )
    part = ("bulk/1", stream(name), kind)
    refused(client, pixels(x00280008=said), part, reason=MISMATCH, words=words)
    said = {"vr": "IS", "Value": [str(frames)]}
    assert put(client, name, kind, pixels(x00280008=said)).NumberOfFrames == frames


def test_a_video_is_one_part(client):
    parts = [("bulk/1", stream("high.mp4"), MP4)] * 2
    refused(client, pixels(), *parts, reason=MISMATCH, words="a video is one part")


def test_octets_of_which_the_metadata_say_that_they_are_a_video(client):
    hinted = pixels(x00083002={"vr": "UI", "Value": [f"{FAMILY}104"]})
    file = put(client, "high.mp4", OCTETS, hinted)
    assert (file.file_meta.TransferSyntaxUID, file.Rows) == (f"{FAMILY}104", 38)
    named = f"{OCTETS}; transfer-syntax={FAMILY}102"
    assert put(client, "high.ts", named).file_meta.TransferSyntaxUID == f"{FAMILY}102"


def test_what_the_metadata_call_it_gives_way_to_the_bit_stream(client):
    hinted = pixels(x00083002={"vr": "UI", "Value": [f"{FAMILY}102"]})
    file = put(client, "hevc.mp4", MP4, hinted)
    assert file.file_meta.TransferSyntaxUID == f"{FAMILY}107"


@pytest.mark.parametrize(
    ("name", "named", "found"),
    [
        ("high.mp4", "", "102.1"),
        ("high.mp4", "104.1", "104.1"),
        ("hevc.mp4", "", ""),
        ("high.mp4", "102", ""),
    ],
)
def test_videos_too_long_for_a_fragment(client, monkeypatch, name, named, found):
    for module in ("services.video_parts", "dicom.build"):
        monkeypatch.setattr(f"dicomweb_server.{module}.LARGEST_ITEM", 1000)
    kind = f"{MP4}; transfer-syntax={FAMILY}{named}" if named else MP4
    if not found:
        part = ("bulk/1", stream(name), kind)
        refused(client, pixels(), part, reason=NO_SYNTAX, words="too many for one fragment")
        return
    file = put(client, name, kind)
    assert file.file_meta.TransferSyntaxUID == FAMILY + found
    starts = [at for at in range(len(file.PixelData)) if file.PixelData[at : at + 4] == b"\xfe\xff\x00\xe0"]  # fmt: skip
    assert len(starts) == 3  # an empty offset table and two fragments
    assert all(after - before <= 1008 for before, after in pairwise(starts))
