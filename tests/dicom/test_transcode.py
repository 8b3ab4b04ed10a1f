"""Files rewritten between the uncompressed transfer syntaxes."""

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicomweb_server.dicom import DicomError, Truncated, can_convert, convert

from .helpers import (
    IDENTITY,
    UNCOMPRESSED,
    bundled,
    element,
    parse,
    part10,
    read,
    small_data_set,
    test_file,
    write,
)


def converted(data, target):
    instance = parse(data)

    def reader(offset, length):
        assert length <= 1 << 20
        return data[offset : offset + length]

    source = instance.transfer_syntax
    return b"".join(convert(reader, len(data), source, target, instance.pixel_data))


def _files():
    for path in bundled():
        try:
            instance = parse(path.read_bytes())
        except DicomError:
            continue
        native = instance.pixel_data is None or not instance.pixel_data.encapsulated
        if native and instance.transfer_syntax in UNCOMPRESSED and path.name != "rtstruct.dcm":
            yield path


@pytest.mark.parametrize("path", list(_files())[::2], ids=lambda path: path.name)
def test_bundled_files_survive_the_round_trip(path):
    data = path.read_bytes()
    original = parse(data)
    for target in UNCOMPRESSED:
        there = converted(data, target)
        result = parse(there)
        assert result.transfer_syntax == target
        if "private" not in _kinds(original, target):
            assert _public(result) == _public(original)
        _same_pixels(data, there)


def _kinds(instance, target):
    """Implicit VR cannot carry the VR of unknown private elements, nor OB of pixel data."""
    return "private" if target == UNCOMPRESSED[0] else ""


def _public(instance):
    attributes = dict(instance.attributes)
    attributes.pop("7FE00010", None)
    return attributes


def _same_pixels(left, right):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = read(left).pixel_array
        except (AttributeError, ValueError, NotImplementedError):
            return
        assert np.array_equal(read(right).pixel_array, expected)


def picture(bits, syntax, samples=1, frames=1):
    size = frames * 3 * 5 * samples * max(bits, 8) // 8
    data_set = small_data_set(
        Rows=3,
        Columns=5,
        BitsAllocated=bits,
        BitsStored=bits,
        HighBit=bits - 1,
        SamplesPerPixel=samples,
        PhotometricInterpretation="RGB" if samples == 3 else "MONOCHROME2",
        PixelRepresentation=0,
        NumberOfFrames=frames,
        SmallestImagePixelValue=258,
        WindowCenter="1.5",
    )
    if samples == 3:
        data_set.PlanarConfiguration = 0
    data_set["SmallestImagePixelValue"].VR = "US"
    inner = Dataset()
    inner.ReferencedFrameNumber = [1, 2]
    inner[0x00281201] = DataElement(0x00281201, "OW", bytes(range(8)))
    data_set.ReferencedImageSequence = [inner]
    data_set.FloatingPoint = 1
    value = bytes(index * 7 % 256 for index in range(size + size % 2))
    data_set[0x7FE00010] = DataElement(0x7FE00010, "OW" if bits > 8 else "OB", value)
    data_set.DataSetTrailingPadding = b"xx"
    return write(data_set, syntax)


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("source", UNCOMPRESSED)
def test_pixels_stay_equal(bits, samples, source):
    data = picture(bits, source, samples, 2)
    for target in UNCOMPRESSED:
        there = converted(data, target)
        _same_pixels(data, there)
        assert np.array_equal(read(data).pixel_array, read(there).pixel_array)
        assert read(there).DataSetTrailingPadding == b"xx"
        assert parse(converted(there, source)).attributes == parse(data).attributes


def test_meta_information_is_kept():
    data = picture(8, UNCOMPRESSED[1])
    data_set = read(data)
    there = read(converted(data, UNCOMPRESSED[2]))
    assert there.file_meta.TransferSyntaxUID == UNCOMPRESSED[2]
    assert there.file_meta.ImplementationClassUID == data_set.file_meta.ImplementationClassUID
    assert there.preamble == data_set.preamble
    bare = test_file("ExplVR_LitEndNoMeta.dcm")
    there = converted(bare, UNCOMPRESSED[0])
    assert there[128:132] == b"DICM"
    assert parse(there).attributes == parse(bare).attributes


@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    st.text(st.characters(codec="latin-1", exclude_characters="\\\0"), max_size=20),
    st.lists(st.integers(0, 2**32 - 1), max_size=4),
    st.lists(st.floats(allow_nan=False), max_size=4),
    st.sampled_from(UNCOMPRESSED),
    st.sampled_from(UNCOMPRESSED),
)
def test_values_stay_equal(text, integers, floats, source, target):
    data_set = small_data_set(SpecificCharacterSet="ISO_IR 100", PatientComments=text)
    data_set.SelectorULValue = integers
    data_set.SelectorFDValue = floats
    data_set.FrameIncrementPointer = integers
    data = write(data_set, source)
    assert parse(converted(data, target)).attributes == parse(data).attributes


def test_a_damaged_header_is_not_passed_on_as_a_value():
    data = part10(IDENTITY + element(0x00720099, "??", b"ab") + element(0x00740001, "LO", b"ab"))
    with pytest.raises(DicomError, match=r"\(0072,0099\).*its header is damaged"):
        list(convert(lambda at, n: data[at : at + n], len(data), *UNCOMPRESSED[1::-1], None))


def test_what_cannot_be_converted():
    assert not can_convert("1.2.840.10008.1.2.4.50", UNCOMPRESSED[0])
    data = test_file("JPEG2000.dcm")
    with pytest.raises(DicomError, match="possible are the uncompressed"):
        converted(data, UNCOMPRESSED[0])
    data = picture(16, UNCOMPRESSED[1])
    instance = parse(data)
    short = data[: instance.pixel_data.offset + 10]
    with pytest.raises(Truncated):
        list(
            convert(
                lambda offset, length: short[offset : offset + length],
                len(short),
                instance.transfer_syntax,
                UNCOMPRESSED[2],
                instance.pixel_data,
            )
        )


def test_pixel_data_stream_in_pieces():
    data_set = small_data_set(Rows=1024, Columns=1500, BitsAllocated=16, SamplesPerPixel=1)
    data_set[0x7FE00010] = DataElement(0x7FE00010, "OW", bytes(2 * 1024 * 1500))
    data = write(data_set)
    instance = parse(data)
    pieces = list(
        convert(
            lambda offset, length: data[offset : offset + length],
            len(data),
            instance.transfer_syntax,
            UNCOMPRESSED[2],
            instance.pixel_data,
        )
    )
    assert max(map(len, pieces)) <= 1 << 20
    assert sum(map(len, pieces)) == len(data)


# --- long values ---------------------------------------------------------------------------


def long_file(syntax):
    """A file with long values of many VRs among short ones."""
    data_set = small_data_set()
    data_set.add_new(0x00091001, "OB", bytes(range(250)) * 5000)
    data_set.add_new(0x00091002, "UN", b"\1\2\3" * 400_001)
    data_set.add_new(0x00091003, "OW", bytes(range(256)) * 5000)
    data_set.add_new(0x00091004, "OD", bytes(range(256)) * 5000)
    data_set.add_new(0x00091005, "UT", "text " * 300_000)
    data_set.add_new(0x00091006, "LO", "short")
    item = Dataset()
    item.add_new(0x00091101, "OW", bytes(range(256)) * 5000)
    data_set.add_new(0x00091007, "SQ", [item, item])
    return write(data_set, syntax)


@pytest.mark.parametrize("source", UNCOMPRESSED)
@pytest.mark.parametrize("target", UNCOMPRESSED)
def test_long_values_stay_in_the_file_and_come_out_the_same(monkeypatch, source, target):
    data = long_file(source)
    there = converted(data, target)
    monkeypatch.setattr("dicomweb_server.dicom.transcode._LONG_HEADER", 1 << 40)
    assert there == converted(data, target)


def test_long_values_take_no_memory():
    data_set = small_data_set()
    data_set.add_new(0x00420011, "OB", bytes(100 << 20))  # Encapsulated Document
    data = write(data_set, "1.2.840.10008.1.2")
    instance = parse(data)
    tracemalloc.start()
    size = 0
    pieces = convert(
        lambda offset, length: data[offset : offset + length],
        len(data),
        instance.transfer_syntax,
        "1.2.840.10008.1.2.1",
        instance.pixel_data,
    )
    for piece in pieces:
        size += len(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 100 << 20
    assert peak < 16 << 20


@pytest.mark.parametrize("where", [0x00420011, 0xFFFCFFFC])
def test_a_deflated_data_set_is_inflated_into_memory_up_to_a_limit(where):
    data_set = small_data_set()
    data_set.add_new(where, "OB", bytes(70 << 20))
    data = write(data_set, "1.2.840.10008.1.2.1.99")
    assert len(data) < 1 << 20
    with pytest.raises(DicomError, match="67108864 are possible"):
        converted(data, "1.2.840.10008.1.2.1")


def test_many_short_values_are_held_up_to_a_limit(monkeypatch):
    monkeypatch.setattr("dicomweb_server.dicom.bounded.MOST_IN_MEMORY", 5 << 20)
    data_set = small_data_set()
    for number in range(12):
        data_set.add_new(0x00091010 + number, "OB", bytes(500_000))
    with pytest.raises(DicomError, match="5242880 are possible"):
        converted(write(data_set, "1.2.840.10008.1.2"), "1.2.840.10008.1.2.1")


def test_a_long_value_that_was_cut_is_found_before_the_first_byte():
    data_set = small_data_set()
    data_set.add_new(0x00420011, "OB", bytes(8 << 20))
    data = write(data_set, "1.2.840.10008.1.2")
    cut = data[:-1000]
    pieces = convert(
        lambda offset, length: cut[offset : offset + length],
        len(cut),
        parse(data).transfer_syntax,
        "1.2.840.10008.1.2.1",
        None,
    )
    with pytest.raises(Truncated, match="0042,0011"):
        next(pieces)
