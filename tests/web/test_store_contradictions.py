"""STOW-RS of metadata: pixel data that are cut, or not what the metadata say (PS3.5, 8.2)."""

import base64
from struct import pack

import pytest

from tests.dicom.streams import stream
from tests.web.metadata_bodies import OCTETS
from tests.web.test_store_metadata import (
    IMAGES,
    MISMATCH,
    data_set,
    frame_of,
    image,
    post,
    refused,
    stored,
    typed_frame,
    url,
    us,
    without,
)

RLE = "image/dicom-rle"
SILENT = ("00280002", "00280004", "00280010", "00280011", "00280100", "00280101", "00280102")


def of(original, **more):
    """A data set that says of its pixel data what the file says."""
    tags = ("00280006", *SILENT, "00280103")
    told = original.to_json_dict(1 << 30, lambda _: "unused")
    one = data_set(x7FE00010={"vr": "OB", "BulkDataURI": "bulk/1"})
    one |= {tag: told[tag] for tag in tags if tag in told}
    return one | {key.removeprefix("x"): value for key, value in more.items()}


def rle(*segments):
    """An RLE frame of segments that are encoded already (PS3.5, G.5)."""
    places, at = [], 64
    for segment in segments:
        places.append(at)
        at += len(segment)
    header = pack("<16I", len(segments), *places, *([0] * (15 - len(segments))))
    return header + b"".join(segments)


# --- RLE -------------------------------------------------------------------------------------

SIX = bytes([0xFB, 7])  # six times 7, which is 2 x 3


@pytest.mark.parametrize(
    "segment",
    [SIX, SIX + b"\0", SIX + bytes(9), b"\5abcdef\0", b"\x80\2abc\xfe\1\x80", b"\5abc\0\0\0\0\0"],
)
def test_rle_of_the_right_size(client, segment):
    assert post(client, [image()], ("bulk/1", rle(segment), RLE)).status_code == 200


@pytest.mark.parametrize(
    ("segment", "size"),
    [
        (bytes([0xFC, 7]), 5),
        (bytes([0xFB, 7, 0xFB, 7]), 12),
        (b"\5abc", 3),
        (b"\2abc\xfe", 3),
        (b"\5", 0),
        (b"", 0),
        (SIX + b"\0x", 7),
        (bytes([0x81, 0]) * 70_000, 128 * 70_000),
    ],
)
def test_rle_of_another_size(client, segment, size):
    words = f"Rows times Columns is 2 x 3 = 6, the bit stream of the pixel data has {size} bytes"
    refused(client, image(), ("bulk/1", rle(segment), RLE), reason=MISMATCH, words=words)


def test_every_segment_and_frame_of_rle_counts(client):
    one = image() | {"00280100": us(16), "00280101": us(16), "00280102": us(15)}
    part = ("bulk/1", rle(SIX, SIX[:1] + b"1"), RLE)
    assert post(client, [one], part).status_code == 200
    other = image() | {"00280100": us(16), "00280101": us(16), "00280102": us(15)}
    answer = post(client, [other], part, ("bulk/1", rle(SIX, b"\0a"), RLE))
    assert answer.status_code == 409
    assert "1 bytes in segment 2 of frame 2" in answer.headers["Warning"]


@pytest.mark.parametrize("places", [(64, 60), (64, 9999), (64, 70, 66)])
def test_an_rle_header_that_names_places_elsewhere(client, places):
    frame = pack("<16I", len(places), *places, *([0] * (15 - len(places)))) + SIX * 20
    bits = 8 * len(places)
    one = image() | {"00280100": us(bits), "00280101": us(bits), "00280102": us(bits - 1)}
    refused(client, one, ("bulk/1", frame, RLE), reason=MISMATCH, words="ascending places")


# --- what is cut -----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind", "syntax"), [*IMAGES, ("MR_small_RLE.dcm", RLE, "")])
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_bit_stream_that_was_cut(client, name, kind, syntax, share):
    frame, original = typed_frame(name, kind)
    frame = frame[: max(int(len(frame.rstrip(b"\0\xff")) * share), 100)]
    words = "the bit stream" if kind == RLE else "cut"
    refused(client, of(original), ("bulk/1", frame, kind), reason=MISMATCH, words=words)


@pytest.mark.parametrize(("name", "kind", "syntax"), IMAGES)
@pytest.mark.parametrize("padding", [b"\0", b"\xff", b" ", bytes(70_001)])
def test_padding_behind_a_bit_stream(client, name, kind, syntax, padding):
    frame, original = typed_frame(name, kind)
    part = ("bulk/1", frame + padding, kind)
    assert post(client, [of(original)], part).status_code == 200


@pytest.mark.parametrize("name", ["rgb16_boxes.jxl", "jpeg.jxl"])
def test_boxes_that_were_cut(client, name):
    one = data_set(x7FE00010={"vr": "OB", "BulkDataURI": "bulk/1"})
    part = ("bulk/1", stream(name)[:-9], "image/jxl")
    refused(client, one, part, reason=MISMATCH, words="9 bytes are missing in its box")


def test_a_jp2_file_that_was_cut(client):
    frame, original = frame_of("MR_small_jp2klossless.dcm")
    boxes = b"\0\0\0\x0cjP  \r\n\x87\n" + pack(">I4s", 12, b"ftyp") + b"jp2 "
    data = boxes + pack(">I4s", 8 + len(frame), b"jp2c") + frame
    part = ("bulk/1", data[:-10], "image/jp2")
    refused(client, of(original), part, reason=MISMATCH, words="missing in its box 'jp2c'")


def test_a_tile_part_that_ends_behind_its_image(client):
    frame, original = frame_of("MR_small_jp2klossless.dcm")
    at = frame.index(b"\xff\x90\0\x0a") + 6
    longer = int.from_bytes(frame[at : at + 4], "big") + 100
    frame = frame[:at] + longer.to_bytes(4, "big") + frame[at + 4 :]
    part = ("bulk/1", frame, "image/jp2")
    refused(client, of(original), part, reason=MISMATCH, words="its tile-part at byte")


# --- what the metadata say -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "wrong", "words"),
    [
        ("JPEG2000.dcm", "image/jp2", {"x00280102": us(11)}, "High Bit is 11, and Bits Stored is 16"),
        ("MR_small_RLE.dcm", RLE, {"x00280102": us(7)}, "High Bit is 7, and Bits Stored is 16"),
        ("JPEG-lossy.dcm", "image/jpeg", {"x00280102": us(15)}, "High Bit is 15"),
        ("SC_rgb_jpeg_dcmtk.dcm", "image/jpeg", {"x00280101": us(7), "x00280102": us(6)}, "Bits Stored is 7, the bit stream of the pixel data has 8 bits"),
        ("JPEG-lossy.dcm", "image/jpeg", {"x00280101": us(10), "x00280102": us(9)}, "Bits Stored is 10, the bit stream of the pixel data has 12 bits"),
        ("J2K_pixelrep_mismatch.dcm", "image/jp2", {"x00280101": us(12), "x00280102": us(11), "x00280103": us(0)}, "Bits Stored is 12, the bit stream of the pixel data has 13 bits"),
        ("SC_rgb_jpeg_dcmtk.dcm", "image/jpeg", {"x00280103": us(1)}, "Pixel Representation is 1, the bit stream of the pixel data has 0"),
        ("JPEG-lossy.dcm", "image/jpeg", {"x00280103": us(1)}, "Pixel Representation is 1"),
        ("SC_rgb_jpeg_gdcm.dcm", "image/jpeg", {"x00280103": us(1)}, "Pixel Representation is 1"),
        ("JPEG2000.dcm", "image/jp2", {"x00280103": us(0)}, "Pixel Representation is 0, the bit stream of the pixel data has 1"),
        ("JPEG2000.dcm", "image/jphc", {"x00280103": us(0)}, "Pixel Representation is 0"),
        ("SC_rgb_jpeg_dcmtk.dcm", "image/jpeg", {"x00280006": us(1)}, "Planar Configuration is 1, the bit stream of the pixel data has 0"),
        ("SC_rgb_jls_lossy_line.dcm", "image/jls", {"x00280006": us(1)}, "Planar Configuration is 1"),
        ("SC_rgb_gdcm_KY.dcm", "image/jp2", {"x00280006": us(1)}, "Planar Configuration is 1"),
    ],
)  # fmt: skip
def test_what_a_bit_stream_is_not(client, name, kind, wrong, words):
    frame, original = typed_frame(name, kind)
    refused(client, of(original, **wrong), ("bulk/1", frame, kind), reason=MISMATCH, words=words)


LOSSY = [
    ("SC_rgb_jpeg_dcmtk.dcm", "image/jpeg", "ISO_10918_1"),
    ("JPEG-lossy.dcm", "image/jpeg", "ISO_10918_1"),
    ("SC_rgb_jls_lossy_line.dcm", "image/jls", "ISO_14495_1"),
    ("JPEG2000.dcm", "image/jp2", "ISO_15444_1"),
    ("JPEG2000.dcm", "image/jpx", "ISO_15444_1"),
    ("JPEG2000.dcm", "image/jphc", "ISO_15444_15"),
]


@pytest.mark.parametrize(("name", "kind", "method"), LOSSY)
def test_what_lost_something_says_so(client, name, kind, method):
    frame, original = typed_frame(name, kind)
    one = of(original)
    assert post(client, [one], ("bulk/1", frame, kind)).status_code == 200
    file = stored(client, one)
    assert (file.LossyImageCompression, file.LossyImageCompressionMethod) == ("01", method)


@pytest.mark.parametrize(("name", "kind", "method"), LOSSY)
def test_what_lost_something_cannot_deny_it(client, name, kind, method):
    frame, original = typed_frame(name, kind)
    denied = of(original, x00282110={"vr": "CS", "Value": ["00"]})
    words = (
        "Lossy Image Compression is 00, the bit stream of the pixel data has lossy compression "
        f"({method})"
    )
    refused(client, denied, ("bulk/1", frame, kind), reason=MISMATCH, words=words)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("MR_small_jpeg_ls_lossless.dcm", "image/jls"),
        ("SC_rgb_jpeg_gdcm.dcm", "image/jpeg"),
        ("MR_small_jp2klossless.dcm", "image/jp2"),
        ("MR_small_jp2klossless.dcm", "image/jphc"),
    ],
)
def test_what_lost_nothing_says_nothing(client, name, kind):
    frame, original = typed_frame(name, kind)
    one = of(original, x00282110={"vr": "CS", "Value": ["00"]})
    assert post(client, [one], ("bulk/1", frame, kind)).status_code == 200
    assert stored(client, one).LossyImageCompression == "00"


@pytest.mark.parametrize(
    ("values", "told"), [(["01", "00"], "01/00"), (["0"], "0"), (["NO"], "NO"), ([None, "01"], "/01")]
)  # fmt: skip
@pytest.mark.parametrize("kind", [OCTETS, RLE, "image/jp2", "inline"])
def test_a_loss_that_is_none(client, kind, values, told):
    frame, original = frame_of("JPEG2000.dcm")
    one = of(original) if kind == "image/jp2" else image()
    if kind == "inline":
        one["7FE00010"] = {"vr": "OB", "InlineBinary": base64.b64encode(b"abcdef").decode()}
    one |= {"00282110": {"vr": "CS", "Value": values}}
    data = {OCTETS: b"abcdef", RLE: rle(SIX)}.get(kind, frame)
    parts = [] if kind == "inline" else [("bulk/1", data, kind)]
    words = f"Lossy Image Compression is {told}: possible are 00 and 01"
    refused(client, one, *parts, reason=MISMATCH, words=words)


@pytest.mark.parametrize(
    "value", [{}, {"Value": []}, {"Value": [None]}, {"Value": ["00"]}, {"Value": ["01"]}]
)
def test_a_loss_that_may_be(client, value):
    """What was lost before the pixels were decoded is lost (PS3.3, C.7.6.1.1.5)."""
    one = image() | {"00282110": {"vr": "CS"} | value}
    assert post(client, [one], ("bulk/1", b"abcdef", OCTETS)).status_code == 200


@pytest.mark.parametrize(
    ("name", "kind", "right"),
    [
        ("MR_small_jpeg_ls_lossless.dcm", "image/jls", {"x00280103": us(1)}),
        ("MR_small_jpeg_ls_lossless.dcm", "image/jls", {"x00280103": us(0)}),
        ("MR_small_jpeg_ls_lossless.dcm", "image/jls", {"x00280101": us(12), "x00280102": us(11)}),
        ("SC_rgb_rle.dcm", RLE, {"x00280006": us(0)}),
        ("SC_rgb_rle.dcm", RLE, {"x00280006": us(1)}),
    ],
)
def test_what_a_bit_stream_may_be(client, name, kind, right):
    frame, original = frame_of(name)
    one = of(original, **right)
    assert post(client, [one], ("bulk/1", frame, kind)).status_code == 200
    assert stored(client, one).PixelRepresentation == one["00280103"]["Value"][0]


def test_more_bits_may_be_stored_than_a_lossless_stream_codes(client):
    """Encoders code as many bits as the values need; the pixels are the same."""
    frame, original = frame_of("J2K_pixelrep_mismatch.dcm")
    found = []
    for bits in (13, 14, 16):
        one = of(original, x00280101=us(bits), x00280102=us(bits - 1), x00280103=us(0))
        assert post(client, [one], ("bulk/1", frame, "image/jp2")).status_code == 200
        assert stored(client, one).BitsStored == bits
        path = f"{url(one)}/frames/1"
        found.append(client.get(path, "application/octet-stream").data)
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == original.Rows * original.Columns * 2


# --- what nobody tells -----------------------------------------------------------------------

ALL = (
    "Samples per Pixel (0028,0002), Photometric Interpretation (0028,0004), Rows (0028,0010), "
    "Columns (0028,0011), Bits Allocated (0028,0100), Bits Stored (0028,0101), High Bit (0028,0102)"
)


@pytest.mark.parametrize(
    ("kind", "data"), [(RLE, rle(SIX)), (OCTETS, b"abcdef"), (f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.1", b"abcdef")]
)  # fmt: skip
def test_what_is_missing_is_listed(client, kind, data):
    one = without(image(), *SILENT)
    refused(client, one, ("bulk/1", data, kind), reason=MISMATCH, words=f"the metadata lack {ALL},")


@pytest.mark.parametrize("tag", [*SILENT, "00280103"])
def test_each_attribute_of_native_pixel_data_is_needed(client, tag):
    one = image() | {tag: {"vr": "US"}}
    words = f"({tag[:4]},{tag[4:]})"
    refused(client, one, ("bulk/1", b"abcdef", OCTETS), reason=MISMATCH, words=words)


def test_several_samples_need_a_planar_configuration(client):
    one = image(1, 2) | {"00280002": us(3), "00280004": {"vr": "CS", "Value": ["RGB"]}}
    words = "the metadata lack Planar Configuration (0028,0006)"
    refused(client, one, ("bulk/1", b"abcdef", OCTETS), reason=MISMATCH, words=words)


@pytest.mark.parametrize("name", ["MR_small_jpeg_ls_lossless.dcm", "lossless JPEG"])
def test_signs_that_a_lossless_stream_does_not_tell_are_not_guessed(client, name):
    if name.endswith(".dcm"):
        (frame, _), kind = frame_of(name), "image/jls"
    else:
        frame, kind = lossless_jpeg(), "image/jpeg"
    one = without(image(), *SILENT, "00280103")
    words = "the metadata lack Pixel Representation (0028,0103), which"
    refused(client, one, ("bulk/1", frame, kind), reason=MISMATCH, words=words)
    signed = one | {"00280103": us(1)}
    assert post(client, [signed], ("bulk/1", frame, kind)).status_code == 200


def lossless_jpeg():
    """Markers of a lossless JPEG image of one sample, and no samples (ITU-T T.81, H)."""
    sof = b"\xff\xc3" + pack(">HBHHB3B", 11, 16, 2, 3, 1, 1, 0x11, 0)
    return b"\xff\xd8" + sof + b"\xff\xda" + pack(">H6B", 8, 1, 1, 0, 1, 0, 0) + b"\xff\xd9"


@pytest.mark.parametrize("value", [0, -1])
def test_an_image_without_pixels(client, value):
    one = image() | {"00280010": {"vr": "US" if value == 0 else "SS", "Value": [value]}}
    refused(
        client, one, ("bulk/1", b"abcdef", OCTETS), reason=MISMATCH, words=f"({value}, 3, 1, 8, 1)"
    )


def test_more_bits_than_the_pixel_data_have(client):
    one = image(4, 4) | {"00280100": us(32), "00280101": us(32), "00280102": us(31)}
    words = "have 32 bytes; Rows, Columns, Samples per Pixel, Bits Allocated and Number of Frames (4, 4, 1, 32, 1) make 64"
    refused(client, one, ("bulk/1", bytes(32), OCTETS), reason=MISMATCH, words=words)


def test_pixel_data_among_the_metadata_are_looked_at_too(client):
    inline = {"vr": "OB", "InlineBinary": base64.b64encode(b"abcde").decode()}
    refused(client, image() | {"7FE00010": inline}, reason=MISMATCH, words="have 5 bytes")
    refused(
        client, without(image(), "00280010") | {"7FE00010": inline}, reason=MISMATCH, words="Rows"
    )


def test_floating_point_pixels_need_less(client):
    one = without(image(1, 2), "00280101", "00280102", "00280103", "7FE00010")
    one |= {"00280100": us(32), "7FE00008": {"vr": "OF", "BulkDataURI": "bulk/1"}}
    assert post(client, [one], ("bulk/1", bytes(8), OCTETS)).status_code == 200
