"""Frames of coded streams are counted by their pictures, in pieces, if the stream tells them."""

import re
from struct import unpack_from

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dicomweb_server.dicom import DicomError
from dicomweb_server.dicom.video import count_pictures, read_video_header

from .streams import reader, stream

START = b"\0\0\1"
STREAMS = {
    "high.264": 8,
    "high.ts": 8,
    "hevc.265": 6,
    "hevc10.ts": 6,
    "mpeg2.m2v": 6,
    "mpeg2.mpg": 6,
    "mpeg2.ts": 6,
    "mpeg2_422.m2v": 5,
}


def count(data):
    return count_pictures(reader(data), 7, len(data))


@pytest.mark.parametrize(("name", "frames"), STREAMS.items())
def test_frames_of_real_streams(name, frames):
    assert count(stream(name)) == frames


@pytest.mark.parametrize("name", STREAMS)
def test_many_pieces(name):
    """What lies in two pieces is counted once."""
    data = stream(name)
    times = (3 << 20) // len(data)
    assert count(data * times) == STREAMS[name] * times


def annex_b(name):
    """The video of an MP4 file as a stream of units with start codes, and its frames."""
    data = stream(name)
    record = data.index(b"avcC") + 4
    (size,) = unpack_from(">H", data, record + 6)
    parameters = data[record + 8 : record + 8 + size]
    at = data.index(b"mdat") - 4
    (length,) = unpack_from(">I", data, at)
    units, inside = [parameters], data[at + 8 : at + length]
    while inside:
        (size,) = unpack_from(">I", inside)
        units.append(inside[4 : 4 + size])
        inside = inside[4 + size :]
    return START + START.join(units), read_video_header(reader(data), 7, len(data)).frames


@pytest.mark.parametrize("name", ["main_4.2.mp4", "baseline.mp4", "high_5.1.mp4", "high.mp4"])
def test_frames_are_as_many_as_an_mp4_file_says(name):
    data, frames = annex_b(name)
    assert count(data) == frames > 1


def bits(*numbers):
    """Bytes of Exp-Golomb codes; text is bits as they are."""

    def code(number):
        if isinstance(number, str):
            return number
        text = f"{number + 1:b}"
        return "0" * (len(text) - 1) + text

    text = "".join(map(code, numbers)) + "1"
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def interlaced(*fields, number=0):
    """H.264 whose pictures are of one field (1) or a frame (2); each has two slices."""
    # Four bits for the number of a frame, a picture order of the kind 2, 5 x 3 macroblocks.
    parameters = bits(number, 1, 0, 0, "00", 0, 2, 0, "0", 4, 1, "00", "1", "0", "0")
    units = [b"\x67\x64\0\x0a" + parameters]
    for each in fields:
        for first in (0, 5):
            units.append(b"\x65" + bits(first, 7, 0, "0101", "10" if each == 1 else "0", 3))
    return START + START.join(units)


@pytest.mark.parametrize(
    ("fields", "frames"), [((2, 2, 2), 3), ((1, 1, 1, 1), 2), ((1, 1, 2), 2), ((1, 1, 1), None)]
)
def test_two_fields_are_a_frame(fields, frames):
    assert count(interlaced(*fields)) == frames


def test_parameters_that_change_tell_nothing():
    assert count(interlaced(2) + interlaced(2)) == 2
    assert count(interlaced(2) + interlaced(2, number=1)) is None


def coding_extensions(data):
    return [found.start() + 4 for found in re.finditer(rb"\x00\x00\x01\xb5[\x80-\x8f]", data)]


def test_fields_of_mpeg_2():
    data = bytearray(stream("mpeg2.m2v"))
    for number, at in enumerate(coding_extensions(data)):
        data[at + 2] = data[at + 2] & ~3 | 1 + number % 2
    assert count(bytes(data)) == 3


def test_fields_that_are_shown_again_tell_nothing():
    data = bytearray(stream("mpeg2.m2v"))
    data[coding_extensions(data)[2] + 3] |= 2
    assert count(bytes(data)) is None


def test_hevc_that_may_be_of_fields_tells_nothing():
    data = stream("hevc.265")
    at = data.index(START + b"\x42\1") + 3
    # Behind the profiles, of which 00 00 is followed by a 3: progressive, interlaced.
    flags = data.index(b"\0\0\3", at) + 4
    assert data[flags] == 0x90
    assert count(data[:flags] + b"\xd0" + data[flags + 1 :]) is None


def test_an_mp4_file_says_it_in_its_header():
    assert count(stream("high.mp4")) is None


def test_a_stream_that_is_very_long_is_not_read():
    def read(offset, length):
        raise AssertionError("nothing is read")

    assert count_pictures(read, 0, 1 << 40) is None


def test_pieces_are_small_whatever_the_stream_has():
    """A long stream without a start code behind its beginning, of whatever kind it is."""
    for name in ("mpeg2.m2v", "mpeg2.mpg", "high.264"):
        head, sizes = stream(name), []

        def read(offset, size, head=head, sizes=sizes):
            sizes.append(size)
            return (head[offset:] + b"\1" * size)[:size]

        assert count_pictures(read, 0, 40 << 20) == STREAMS[name]
        assert sum(sizes[1:]) == 40 << 20
        assert max(sizes[1:]) <= 1 << 20


@settings(max_examples=300, deadline=None)
@example("mpeg2.mpg", b"\0\0\1\xbe\0\0" * 99, 40)
@given(st.sampled_from(sorted(STREAMS)), st.binary(max_size=300), st.integers(0, 4000))
def test_damage_is_a_number_or_an_error(name, damage, at):
    data = stream(name)
    try:
        found = count(data[:at] + damage + data[at:])
    except DicomError:
        return
    assert found is None or 0 < found < 500
