"""Headers of videos: what they tell, how little is read, and that hostile ones end in a sentence."""

from fractions import Fraction
from struct import pack

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dicomweb_server.dicom import DicomError
from dicomweb_server.dicom.video import read_video_header

from .streams import FOLDER, header_or_error, numbers, reader, stream

NTSC = Fraction(30000, 1001)
HIGH = "102 104 105 106"


def header(data):
    return read_video_header(reader(data), 7, len(data))


def box(kind, data):
    return pack(">I4s", 8 + len(data), kind) + data


@pytest.mark.parametrize(
    ("name", "kind", "syntaxes", "frames", "rate"),
    [
        ("high.mp4", "H.264, High Profile, level 1.0", HIGH, 8, 25),
        ("high_fast.mp4", "H.264, High Profile, level 1.0", HIGH, 8, 25),
        ("high_fragments.mp4", "H.264, High Profile, level 1.0", HIGH, 8, 25),
        ("sound_first.mp4", "H.264, High Profile, level 1.0", HIGH, 8, 25),
        ("vfr.mp4", "H.264, High Profile, level 1.0", HIGH, 6, None),
        ("high.264", "H.264, High Profile, level 1.0", HIGH, None, 25),
        ("high.ts", "H.264, High Profile, level 1.0", HIGH, None, 25),
        ("hevc.mp4", "HEVC, Main Profile, level 1.0", "107", 6, 30),
        ("hevc.265", "HEVC, Main Profile, level 1.0", "107", None, None),
        ("hevc10.mp4", "HEVC, Main 10 Profile, level 1.0", "108", 6, 30),
        ("hevc10.ts", "HEVC, Main 10 Profile, level 1.0", "108", None, None),
        ("mpeg2.m2v", "MPEG-2, Main Profile, level Main", "100 101", None, NTSC),
        ("mpeg2.mpg", "MPEG-2, Main Profile, level Main", "100 101", None, NTSC),
        ("mpeg2.ts", "MPEG-2, Main Profile, level Main", "100 101", None, NTSC),
    ],
)
def test_what_the_header_tells(name, kind, syntaxes, frames, rate):
    found = header(stream(name))
    image = found.image
    assert (image.rows, image.columns, image.samples) == (38, 50, 3)
    assert (image.photometric, image.signed) == ("YBR_PARTIAL_420", False)
    assert image.precision == (10 if "10" in name else 8)
    assert (image.start, image.length) == (0, len(stream(name)))
    assert (found.kind, numbers(image)) == (kind, syntaxes)
    assert (found.frames, found.rate) == (frames, rate)


@pytest.mark.parametrize(
    ("name", "size", "kind", "syntaxes"),
    [
        ("1080p60.mp4", (1080, 1920), "H.264, High Profile, level 4.2", "104 105 106"),
        ("1080p24.mp4", (1080, 1920), "H.264, High Profile, level 4.1", "102 103 104 105 106"),
        ("main_4.2.mp4", (48, 64), "H.264, Main Profile, level 4.2", "104 105 106"),
        ("baseline.mp4", (48, 64), "H.264, Baseline Profile, level 1.0", HIGH),
        ("high_5.1.mp4", (48, 64), "H.264, High Profile, level 5.1", ""),
        ("high10.mp4", (48, 64), "H.264, High 10 Profile, level 1.0", ""),
        ("high422.mp4", (48, 64), "H.264, High 4:2:2 Profile, level 1.0", ""),
        ("high444.mp4", (48, 64), "H.264, High 4:4:4 Predictive Profile, level 1.0", ""),
        ("hevc422.mp4", (48, 64), "HEVC, Range Extensions Profile, level 1.0", ""),
        ("hevc_6.0.mp4", (48, 64), "HEVC, Main Profile, level 6.0", ""),
        ("mpeg2_hl.m2v", (720, 1280), "MPEG-2, Main Profile, level High", "101"),
        ("mpeg2_h14.m2v", (720, 1280), "MPEG-2, Main Profile, level High 1440", ""),
        ("mpeg2_422.m2v", (48, 64), "MPEG-2, 4:2:2 or Multi-view Profile, level of its own", ""),
    ],
)
def test_profile_and_level_decide_the_transfer_syntax(name, size, kind, syntaxes):
    found = header(stream(name))
    assert (found.image.rows, found.image.columns) == size
    assert (found.kind, numbers(found.image)) == (kind, syntaxes)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mpeg1.m1v", "MPEG-1"),
        ("mpeg4.mp4", "'mp4v'"),
        ("mjpeg.mov", "'jpeg'"),
        ("matroska.mkv", "begins with the bytes '1A45DFA3"),
    ],
)
def test_what_is_no_video_of_dicom(name, words):
    with pytest.raises(DicomError, match=words):
        header(stream(name))


def test_transport_packets_with_time_stamps_or_parity():
    plain = stream("high.ts")
    packets = [plain[at : at + 188] for at in range(0, len(plain), 188)]
    for first, last in ((b"time", b""), (b"", b"p" * 16)):
        found = header(b"".join(first + each + last for each in packets))
        assert found.kind == "H.264, High Profile, level 1.0"


def test_packets_of_a_program_stream_without_packs():
    data = stream("mpeg2.mpg")
    found = header(data[data.index(b"\0\0\1\xe0") :])
    assert found.kind == "MPEG-2, Main Profile, level Main"


@pytest.mark.parametrize("kind", [b"avcC", b"hvcC"])
def test_a_configuration_without_parameter_sets(kind):
    """Kinds avc3 and hev1 may have them in the stream instead."""
    data = stream("high.mp4" if kind == b"avcC" else "hevc10.mp4")
    at = data.index(kind) + 4
    head = data[at : at + 5] + b"\0" if kind == b"avcC" else data[at : at + 22] + b"\0"
    size = int.from_bytes(data[at - 8 : at - 4], "big") - 8
    found = header(data[:at] + head + bytes(size - len(head)) + data[at + size :])
    assert (found.image.rows, found.image.columns) == (38, 50)
    assert found.image.precision == (8 if kind == b"avcC" else 10)
    assert numbers(found.image) == (HIGH if kind == b"avcC" else "108")


def test_what_describes_a_long_file_may_stand_at_its_end():
    """Only boxes are read, whatever lies in them."""
    whole, gap = stream("high.mp4"), 5 << 30
    moov = whole[whole.index(b"moov") - 4 :]
    head = box(b"ftyp", b"isom\0\0\0\0isom") + pack(">I4sQ", 1, b"mdat", 16 + gap)
    length, pieces = len(head) + gap + len(moov), []

    def read(offset, count):
        pieces.append(count)
        if offset < len(head):
            return head[offset : offset + count]
        offset -= len(head) + gap
        assert offset >= 0
        return moov[offset : offset + count]

    found = read_video_header(read, 0, length)
    assert (found.frames, found.image.rows, found.image.length) == (8, 38, length)
    assert sum(pieces) < 4096
    assert len(pieces) < 300


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\1",
        b"\0\0\1\xb3",
        b"\0\0\1\xb3\x10\0\x10\x33\0\0\0\0\0\0\1\xb5",
        b"\0\0\0\1\x67",
        b"\0\0\0\1\x67\x64\0\x0a" + b"\0" * 60,
        b"\0\0\0\1\x42\1" + b"\xff" * 60,
        b"\0\0\1\xba" + b"\0\0\1\xbe\0\0" * 30_000,
        b"\x47" * 188 * 4,
        b"\0\0\1\xb3\0\0\0\x33\0\0\0\0\0\0\1\xb5\x14\x82" + bytes(9),
        box(b"ftyp", b"isom"),
        box(b"moov", b"") * 9,
        box(b"moov", pack(">I4s", 4, b"trak")),
        pack(">I4sQ", 1, b"moov", 3),
    ],
)
def test_what_is_no_video(data):
    with pytest.raises(DicomError):
        header(data)


def test_endless_boxes_end():
    with pytest.raises(DicomError, match="parts"):
        header(box(b"free", b"") * 300_000)


def sequence_parameters(*numbers, crop=(), behind="0"):
    """A parameter set of H.264, High Profile; numbers are Exp-Golomb codes, text is bits."""

    def bits(number):
        if isinstance(number, str):
            return number
        text = f"{number + 1:b}"
        return "0" * (len(text) - 1) + text

    edges = ["1", *crop] if crop else ["0"]
    text = "".join(bits(each) for each in (0, *numbers, "11", *edges, behind, "1"))
    text += "0" * (-len(text) % 8)
    return b"\0\0\0\1\x67\x64\0\x0a" + int(text, 2).to_bytes(len(text) // 8, "big")


PLAIN = (1, 0, 0, "00", 0, 2, 0, "0", 4, 2)  # 4:2:0 of 8 bits, 5 x 3 macroblocks


def test_parameters_of_many_kinds():
    cycle = (*PLAIN[:4], 0, 1, "0", 3, 3, 2, 1, 1, 0, "0", 4, 2)  # two pictures, in an order
    lists = (*PLAIN[:3], "01", "1", *[0] * 16, *["0"] * 7, *PLAIN[4:])  # one list, seven without
    for parameters in (PLAIN, cycle, lists):
        found = header(sequence_parameters(*parameters))
        assert (found.image.rows, found.image.columns) == (48, 80)
    found = header(sequence_parameters(*PLAIN, crop=(1, 2, 3, 4)))
    assert (found.image.rows, found.image.columns) == (48 - 14, 80 - 6)


def test_a_cropping_rectangle_larger_than_the_frame():
    with pytest.raises(DicomError, match="cuts 80 of 80 pixels off"):
        header(sequence_parameters(*PLAIN, crop=(20, 20, 0, 0)))


def test_usability_information_that_is_broken_does_not_matter():
    found = header(sequence_parameters(*PLAIN, behind="1" + "1" * 40))
    assert (found.image.columns, found.rate) == (80, None)


VIDEOS = sorted(p.name for p in FOLDER.iterdir() if p.suffix not in (".jxl", ".md"))
STARTS = [
    b"\0\0\0\1\x67",
    b"\0\0\0\1\x67\x64\0\x0a",
    b"\0\0\0\1\x42\1",
    b"\0\0\1\xb3",
    b"\0\0\1\xba",
    b"\0\0\1\xe0",
    b"\x47" * 189,
    b"\0\0\0\x20ftyp",
    b"\0\0\0\0moov",
]


@settings(max_examples=500, deadline=None)
@example(b"\0\0\0\1\x67", b"\xff" * 99)
@given(st.sampled_from(STARTS), st.binary(max_size=500))
def test_any_bytes_are_a_header_or_an_error(start, rest):
    header_or_error(header, start + rest)


@settings(max_examples=800, deadline=None)
@given(st.sampled_from(VIDEOS), st.data())
def test_damage_is_a_header_or_an_error(name, draw):
    data = bytearray(stream(name))
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    cut = draw.draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))
    header_or_error(header, bytes(data[:cut]))
