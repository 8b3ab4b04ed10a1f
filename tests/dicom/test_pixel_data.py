"""Frames of native and encapsulated pixel data, judged by pydicom."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import generate_frames

from dicomweb_server.dicom import ByteRange, DicomError, FrameNotLocated, NoSuchFrame, PixelData

from .helpers import (
    IDENTITY,
    bundled,
    element,
    item,
    parse,
    part10,
    read,
    small_data_set,
    test_file,
    write,
)

JPEG = b"\xff\xd8\xff\xe0"
END = item(b"", 0xE0DD)


def frame_bytes(data, pixel_data, number):
    return b"".join(data[start : start + length] for start, length in pixel_data.frame(number))


def _encapsulated_files():
    for path in bundled():
        data = path.read_bytes()
        if b"\xfe\xff\x00\xe0" in data:
            try:
                instance = parse(data)
            except DicomError:
                continue
            if instance.pixel_data and instance.pixel_data.encapsulated:
                yield path


@pytest.mark.parametrize("path", list(_encapsulated_files()), ids=lambda path: path.name)
def test_frames_of_bundled_files(path):
    data = path.read_bytes()
    pixel_data = parse(data).pixel_data
    data_set = read(data)
    frames = list(
        generate_frames(data_set.PixelData, number_of_frames=data_set.get("NumberOfFrames", 1))
    )
    assert len(frames) == pixel_data.number_of_frames
    for number, frame in enumerate(frames, 1):
        assert frame_bytes(data, pixel_data, number) == frame
    assert PixelData.from_bytes(pixel_data.to_bytes()) == pixel_data
    assert "OB" in parse(data).attributes["7FE00010"]["vr"]


def encapsulated(fragments, frames=None, offsets=(), extra=b"", syntax="1.2.840.10008.1.2.4.50"):
    table = struct.pack(f"<{len(offsets)}I", *offsets)
    value = item(table) + b"".join(map(item, fragments)) + END
    number = element(0x00280008, "IS", f"{frames:<4}".encode()) if frames is not None else b""
    body = IDENTITY + number + extra + element(0x7FE00010, "OB", value, 0xFFFFFFFF)
    data = part10(body + element(0xFFFCFFFC, "OB", b"after"), syntax)
    instance = parse(data)
    assert "FFFCFFFC" in instance.attributes
    return data, instance


def _frames(data, instance):
    pixel_data = instance.pixel_data
    stored = PixelData.from_bytes(pixel_data.to_bytes())
    assert stored == pixel_data
    return [frame_bytes(data, stored, n + 1) for n in range(stored.number_of_frames)]


def test_one_fragment_a_frame_without_table():
    assert _frames(*encapsulated([b"aa", b"bbbb", b"cc"], 3)) == [b"aa", b"bbbb", b"cc"]


def test_one_frame_of_many_fragments():
    assert _frames(*encapsulated([b"aa", b"bbbb", b"cc"], 1)) == [b"aabbbbcc"]
    assert _frames(*encapsulated([b"aa", b"bbbb", b"cc"])) == [b"aabbbbcc"]


def test_basic_offset_table():
    data, instance = encapsulated([b"aa", b"bbbb", b"cc"], 2, (0, 22))
    assert _frames(data, instance) == [b"aabbbb", b"cc"]
    pixel_data = instance.pixel_data
    table = pixel_data.offset_table
    assert data[table.offset : table.offset + table.length] == struct.pack("<2I", 0, 22)
    assert [data[o : o + size] for o, size in pixel_data.fragments] == [b"aa", b"bbbb", b"cc"]
    assert pixel_data.frame(1)[0] == pixel_data.fragments[0]
    whole = data[pixel_data.offset : pixel_data.offset + pixel_data.length]
    assert whole == read(data).PixelData


def test_table_without_number_of_frames():
    assert _frames(*encapsulated([b"aa", b"bbbb", b"cc"], None, (0, 22))) == [b"aabbbb", b"cc"]


def test_table_that_contradicts_number_of_frames_is_believed_if_it_fits_the_fragments():
    data, instance = encapsulated([b"aa", b"bbbb", b"cc"], 7, (0, 22))
    assert _frames(data, instance) == [b"aabbbb", b"cc"]
    assert "Number of Frames is 7" in instance.problems[0]


@pytest.mark.parametrize("offsets", [(0, 23), (5, 22), (0, 0), (22, 0), (0, 4000)])
def test_wrong_table_falls_back_to_the_starts_of_images(offsets):
    fragments = [JPEG + b"aa", b"bbbb", JPEG + b"cc"]
    data, instance = encapsulated(fragments, 2, offsets)
    assert _frames(data, instance) == [JPEG + b"aabbbb", JPEG + b"cc"]
    assert "disagree" in instance.problems[0]


@pytest.mark.parametrize("start", [b"\xff\xd8\xff", b"\xff\x4f\xff"])
def test_starts_of_images_without_table(start):
    fragments = [start + b"1", b"2222", start + b"3", b"44", b"55"]
    assert _frames(*encapsulated(fragments, 2)) == [start + b"12222", start + b"34455"]


@pytest.mark.parametrize("count", [255, 256, 257, 511, 512, 513, 1300])
def test_many_fragments(count):
    fragments = [b"%05d" % index + b"x" * (1 + index % 7 * 2) for index in range(count)]
    data, instance = encapsulated(fragments, count)
    assert _frames(data, instance) == fragments
    data, instance = encapsulated(fragments, 1)
    assert _frames(data, instance) == [b"".join(fragments)]


def test_frames_that_cannot_be_told_apart():
    _, instance = encapsulated([b"aa", b"bb", b"cc"], 2)
    assert not instance.pixel_data.frames_known
    with pytest.raises(FrameNotLocated, match=r"3 fragments .* 2 frames"):
        instance.pixel_data.frame(1)
    _, video = encapsulated([b"aa", b"bb"], 2, syntax="1.2.840.10008.1.2.4.102")
    assert not video.pixel_data.frames_known
    assert PixelData.from_bytes(video.pixel_data.to_bytes()) == video.pixel_data


def test_extended_offset_table():
    fragments = [JPEG + b"aaa\0", JPEG + b"bb"]
    offsets, lengths = (0, 16), (7, 6)
    extra = element(0x7FE00001, "OV", struct.pack("<2Q", *offsets))
    extra += element(0x7FE00002, "OV", struct.pack("<2Q", *lengths))
    data, instance = encapsulated(fragments, 2, (), extra)
    assert _frames(data, instance) == [JPEG + b"aaa", JPEG + b"bb"]
    assert instance.attributes["7FE00001"] == {"vr": "OV", "BulkDataURI": "7fe00001"}


def test_frame_numbers_outside():
    pixel_data = encapsulated([b"aa", b"bb"], 2)[1].pixel_data
    for number in (0, 3, -1):
        with pytest.raises(NoSuchFrame, match="frames 1 to 2"):
            pixel_data.frame(number)
    assert issubclass(NoSuchFrame, IndexError)
    assert issubclass(NoSuchFrame, DicomError)


def test_encapsulated_in_a_sequence_is_located_but_no_pixel_data():
    value = element(0x7FE00010, "OB", item(b"") + item(b"icon") + END, 0xFFFFFFFF)
    instance = parse(part10(IDENTITY + element(0x00880200, "SQ", item(value))))
    assert instance.pixel_data is None
    assert instance.located[-1].path == "00880200/1/7fe00010"
    assert instance.attributes["00880200"]["Value"][0]["7FE00010"]["vr"] == "OB"


def native(frames, bits, rows=3, columns=5, samples=1, **values):
    size = -(-frames * rows * columns * samples * bits // 8)
    value = bytes(index % 251 for index in range(size))
    data_set = small_data_set(
        Rows=rows,
        Columns=columns,
        SamplesPerPixel=samples,
        BitsAllocated=bits,
        NumberOfFrames=frames,
        PixelData=value + b"\0" * (size % 2),
        **values,
    )
    data_set["PixelData"].VR = "OW" if bits > 8 else "OB"
    return write(data_set), value


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("samples", [1, 3])
def test_native_frames(bits, samples):
    data, value = native(4, bits, samples=samples)
    pixel_data = parse(data).pixel_data
    size = 15 * samples * bits // 8
    for number in range(1, 5):
        (place,) = pixel_data.frame(number)
        expected = value[(number - 1) * size : number * size]
        assert data[place.offset : place.offset + place.length] == expected
        assert pixel_data.bit_offset(number) == 0
    assert len(pixel_data.to_bytes()) < 64
    assert PixelData.from_bytes(pixel_data.to_bytes()) == pixel_data


def test_native_frames_of_single_bits():
    data, value = native(3, 1)
    pixel_data = parse(data).pixel_data
    bits = "".join(f"{byte:08b}"[::-1] for byte in value)
    for number in (1, 2, 3):
        (place,) = pixel_data.frame(number)
        part = data[place.offset : place.offset + place.length]
        unpacked = "".join(f"{byte:08b}"[::-1] for byte in part)
        first = pixel_data.bit_offset(number)
        assert unpacked[first : first + 15] == bits[(number - 1) * 15 : number * 15]


def test_subsampled_native_frames():
    data, _ = native(2, 8, 4, 6, 3, PhotometricInterpretation="YBR_FULL_422")
    assert parse(data).pixel_data.frame(2)[0].length == 48
    plain = parse(test_file("SC_ybr_full_422_uncompressed.dcm")).pixel_data
    assert plain.frame(1) == (ByteRange(plain.offset, plain.length),)


def test_missing_size_is_no_error_until_a_frame_is_asked_for():
    data = write(small_data_set(PixelData=bytes(20), BitsAllocated=8))
    pixel_data = parse(data).pixel_data
    assert not pixel_data.frames_known
    with pytest.raises(FrameNotLocated, match="Rows"):
        pixel_data.frame(1)
    data, _ = native(2, 8)
    pixel_data = parse(data.replace(b"IS\x02\x002 ", b"IS\x02\x009 ")).pixel_data
    assert pixel_data.frame(2)
    with pytest.raises(FrameNotLocated, match="135 bytes into"):
        pixel_data.frame(9)


def test_float_pixel_data():
    for keyword, size, vr in (("FloatPixelData", 4, "OF"), ("DoubleFloatPixelData", 8, "OD")):
        data_set = small_data_set(Rows=2, Columns=2, SamplesPerPixel=1)
        setattr(data_set, keyword, bytes(4 * size))
        pixel_data = parse(write(data_set)).pixel_data
        assert pixel_data.vr == vr
        assert pixel_data.frame(1)[0].length == 4 * size


@given(st.binary(max_size=80))
def test_damaged_frame_indices_are_refused(data):
    stored = encapsulated([b"aa", b"bb", b"cc"], 2, (0, 20))[1].pixel_data.to_bytes()
    for damaged in (data, stored[:50] + data, stored[: len(data) % len(stored)]):
        try:
            PixelData.from_bytes(damaged)
        except DicomError as problem:
            assert "frame index" in str(problem)  # noqa: PT017
