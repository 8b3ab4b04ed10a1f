"""Headers of JPEG XL images: what they tell, and that hostile ones end in a sentence."""

from struct import pack

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dicomweb_server.dicom import DicomError
from dicomweb_server.dicom.bitstreams import read_image_header

from .streams import FOLDER, header_or_error, numbers, reader, stream

FILE = b"\0\0\0\x0cJXL \r\n\x87\n" + pack(">I", 20) + b"ftypjxl \0\0\0\0jxl "


def header(data):
    return read_image_header("image/jxl", reader(data), 7, len(data))


def box(kind, data):
    return pack(">I4s", 8 + len(data), kind) + data


@pytest.mark.parametrize(
    ("name", "rows", "columns", "samples", "precision", "colours", "syntaxes", "lossy"),
    [
        ("grey.jxl", 21, 37, 1, 8, "MONOCHROME2", "110 112", ""),
        ("grey12.jxl", 21, 37, 1, 12, "MONOCHROME2", "110 112", ""),
        ("gamma.jxl", 21, 37, 1, 8, "MONOCHROME2", "110 112", ""),
        ("grey_lossy.jxl", 21, 37, 1, 8, "MONOCHROME2", "112", "ISO_18181_1"),
        ("rgb.jxl", 21, 37, 3, 8, "RGB", "110 112", ""),
        ("pq.jxl", 21, 37, 3, 8, "RGB", "110 112", ""),
        ("rgb_lossy.jxl", 21, 37, 3, 8, "XYB", "112", "ISO_18181_1"),
        ("rgb16_boxes.jxl", 21, 37, 3, 16, "RGB", "110 112", ""),
        ("icc.jxl", 21, 37, 3, 8, "RGB", "112 110 111", ""),
        ("jpeg.jxl", 21, 37, 3, 8, "YBR_FULL_422", "111 112", "ISO_10918_1"),
        ("jpeg_icc.jxl", 21, 37, 3, 8, "YBR_FULL_422", "111 112", "ISO_10918_1"),
        ("turned.jxl", 37, 21, 3, 8, "XYB", "112", "ISO_18181_1"),
        ("wide.jxl", 200, 3000, 1, 8, "MONOCHROME2", "110 112", ""),
        ("eights.jxl", 256, 64, 1, 8, "MONOCHROME2", "110 112", ""),
    ],
)
def test_what_the_header_tells(name, rows, columns, samples, precision, colours, syntaxes, lossy):
    found = header(stream(name))
    assert (found.rows, found.columns, found.samples) == (rows, columns, samples)
    assert (found.precision, found.signed, found.photometric) == (precision, None, colours)
    assert (numbers(found), found.lossy) == (syntaxes, lossy)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("alpha.jxl", "1 channels beside its colours"),
        ("animation.jxl", "animation"),
        ("float.jxl", "floating point"),
    ],
)
def test_what_is_no_frame_of_dicom(name, words):
    with pytest.raises(DicomError, match=words):
        header(stream(name))


def test_boxes_are_taken_off():
    data = stream("rgb16_boxes.jxl")
    found = header(data)
    assert data[found.start : found.start + found.length].startswith(b"\xff\x0a")
    assert found.start + found.length == len(data)


def test_boxes_behind_the_codestream_are_taken_off_too():
    data = FILE + box(b"jxlc", stream("rgb.jxl")) + box(b"Exif", b"who it is")
    found = header(data)
    assert data[found.start : found.start + found.length] == stream("rgb.jxl")


@pytest.mark.parametrize("name", ["jpeg.jxl", "jpeg_icc.jxl"])
def test_boxes_stay_where_a_jpeg_image_is_rebuilt_from_them(name):
    found = header(stream(name))
    assert (found.start, found.length) == (0, len(stream(name)))


@pytest.mark.parametrize("cut", [1, 2, 9, 40])
def test_a_codestream_in_several_boxes_stays_as_it_is(cut):
    whole = stream("rgb.jxl")
    parts = (b"\0\0\0\0" + whole[:cut], b"\x80\0\0\1" + whole[cut:])
    data = FILE + box(b"jxlp", parts[0]) + box(b"Exif", b"abc") + box(b"jxlp", parts[1])
    found = header(data)
    assert (found.rows, found.columns, numbers(found)) == (21, 37, "110 112")
    assert (found.start, found.length) == (0, len(data))


def test_a_codestream_that_was_cut_off_its_jpeg_may_be_lossy():
    _, first, second = stream("jpeg.jxl").split(b"jxlp")
    found = header(first[4 : first.index(b"jbrd") - 4] + second[4:])
    assert (numbers(found), found.photometric, found.lossy) == ("112 111", "YBR_FULL_422", "")


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\x0a", b"\xff\xd8\xff\xe0" * 9, FILE, FILE + box(b"jxlp", b"")])  # fmt: skip
def test_what_is_no_image(data):
    with pytest.raises(DicomError):
        header(data)


def test_endless_boxes_end():
    with pytest.raises(DicomError, match="parts"):
        header(FILE + box(b"free", b"") * 100_000)


BARE = sorted(path.name for path in FOLDER.glob("*.jxl"))


@settings(max_examples=400, deadline=None)
@example(b"\xff" * 60)
@given(st.binary(max_size=600))
def test_any_bits_behind_the_signature_are_a_header_or_an_error(bits):
    header_or_error(header, b"\xff\x0a" + bits)
    header_or_error(header, FILE + bits)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(BARE), st.data())
def test_damage_is_a_header_or_an_error(name, draw):
    data = bytearray(stream(name))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, min(len(data), 80) - 1))] = draw.draw(st.integers(0, 255))
    header_or_error(header, bytes(data[: draw.draw(st.integers(0, len(data)))]))
