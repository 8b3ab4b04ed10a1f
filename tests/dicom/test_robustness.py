"""Chunks of any size, damaged streams, limits, memory."""

import io
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomweb_server.dicom import (
    DicomError,
    DicomReader,
    LimitExceeded,
    Limits,
    NotDicom,
    NotUnderstood,
    Truncated,
    find_value,
    read_with_pydicom,
)

from .helpers import (
    DATA,
    IDENTITY,
    element,
    item,
    parse,
    part10,
    read,
    small_data_set,
    test_file,
    write,
)

SMALL = [
    "JPEG2000.dcm",
    "SC_rgb_rle_2frame.dcm",
    "ExplVR_BigEndNoMeta.dcm",
    "ExplVR_LitEndNoMeta.dcm",
    "image_dfl.dcm",
    "rtplan.dcm",
    "rtstruct.dcm",
    "nested_priv_SQ.dcm",
    "UN_sequence.dcm",
    "reportsi.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "rtdose_1frame.dcm",
]


@pytest.mark.parametrize("name", SMALL)
def test_byte_by_byte_equals_at_once(name):
    data = test_file(name)
    reader = DicomReader()
    for position in range(len(data)):
        reader.feed(data[position : position + 1])
    assert reader.close() == parse(data)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [3, 1000])
def test_memoryviews_equal_bytes(name, size):
    data = test_file(name)
    reader = DicomReader()
    for position in range(0, len(data), size):
        reader.feed(memoryview(data)[position : position + size])
    assert reader.close() == parse(data)


def _survives(data):
    try:
        parse(data)
    except DicomError as problem:
        message = str(problem)
    else:
        message = "."
    assert message.endswith(".")
    for look in (read_with_pydicom, lambda file: find_value(file, "0040A730/1/0040A043")):
        with suppress(DicomError):
            look(io.BytesIO(data))


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.sampled_from(SMALL), st.floats(0, 1))
def test_any_truncation_is_refused_or_read(name, part):
    data = test_file(name)
    _survives(data[: int(len(data) * part)])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.sampled_from(SMALL),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_any_damage_is_refused_or_read(name, damage):
    data = bytearray(test_file(name))
    for part, byte in damage:
        data[min(int(len(data) * part), len(data) - 1)] = byte
    _survives(bytes(data))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_noise_is_refused(noise):
    for data in (noise, bytes(128) + b"DICM" + noise, part10(noise), part10(IDENTITY + noise)):
        _survives(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<html><body>Not found</body></html>", "HTML"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(300), "JPEG"),
        (b"hello, this is text. " * 30, "no data element"),
        (b'{"a": 1}', "JSON"),
        (bytes(1000), "no data element"),
        (bytes(128) + b"DICM", "no data set"),
        (part10(b""), "no data set"),
    ],
)
def test_what_is_no_dicom_is_refused_with_a_sentence(data, words):
    with pytest.raises(NotDicom, match=words):
        parse(data)


def test_truncation_names_position_and_element():
    data = part10(IDENTITY + element(0x00104000, "LT", b"long text "))
    with pytest.raises(Truncated, match=rf"byte {len(data) - 3}, inside \(0010,4000\)"):
        parse(data[:-3])
    data = part10(IDENTITY + element(0x7FE00010, "OB", bytes(100)))
    with pytest.raises(Truncated, match=r"value of \(7FE0,0010\): 40 bytes are missing"):
        parse(data[:-40])
    sequence = element(0x00081140, "SQ", item(element(0x00081150, "UI", b"1.2\0")))
    data = part10(IDENTITY + sequence)
    with pytest.raises(Truncated, match=r"\(0008,1140\) item 1, \(0008,1150\)"):
        parse(data[:-2])
    with pytest.raises(Truncated, match="deflated"):
        parse(test_file("image_dfl.dcm")[:-40])


def test_padding_behind_the_data_set_is_tolerated():
    plain = parse(part10(IDENTITY))
    for padding in (1, 2, 7, 8, 9, 5000):
        padded = parse(part10(IDENTITY + bytes(padding)))
        assert padded.attributes == plain.attributes
    assert "padding" in padded.problems[0]
    trailing = parse(part10(IDENTITY + element(0xFFFCFFFC, "OB", bytes(10))))
    assert trailing.attributes["FFFCFFFC"]["vr"] == "OB"
    with pytest.raises(NotUnderstood):
        parse(part10(IDENTITY + bytes(16) + b"x"))


def test_odd_lengths_are_tolerated_and_noted():
    instance = parse(part10(element(0x00080060, "CS", b"CT ") + IDENTITY))
    assert instance.attributes["00080060"] == {"vr": "CS", "Value": ["CT"]}
    assert any("(0008,0060) has an odd length" in problem for problem in instance.problems)


def test_elements_in_wrong_order_are_sorted_and_doubles_noted():
    sequence = element(0x00081140, "SQ", item(element(0x00091001, "OB", b"ab")))
    instance = parse(part10(IDENTITY + sequence + element(0x00081140, "SQ", b"")))
    assert list(instance.attributes) == sorted(instance.attributes)
    assert instance.attributes["00081140"] == {"vr": "SQ"}
    assert instance.located == ()
    assert any("(0008,1140) occurs twice" in problem for problem in instance.problems)


def test_doubles_are_noted_once_whatever_the_pieces():
    double = element(0x00280103, "US", b"\1\0") * 2
    data = part10(IDENTITY + double + element(0x00090010, "LO", b"AB") * 2)
    reader = DicomReader()
    for position in range(len(data)):
        reader.feed(data[position : position + 1])
    instance = reader.close()
    assert instance == parse(data)
    assert len(instance.problems) == 2


def test_deep_nesting_hits_the_limit_and_not_the_stack():
    body = b""
    for _ in range(63):
        body = element(0x00081140, "SQ", item(body))
    assert parse(part10(IDENTITY + body)).header
    deep = element(0x00081140, "SQ", b"", 0xFFFFFFFF) + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    with pytest.raises(LimitExceeded, match="64"):
        parse(part10(IDENTITY + deep * 5000))


def test_header_limit():
    text = element(0x00104000, "UT", b"x" * 1000)
    with pytest.raises(LimitExceeded, match="3000"):
        parse(part10(IDENTITY + text * 4), limits=Limits(header_bytes=3000))
    tiny = element(0x00080060, "CS", b"")
    with pytest.raises(LimitExceeded, match="7000 bytes"):
        parse(part10(IDENTITY + tiny * 1000), limits=Limits(header_bytes=7000))
    fragments = element(0x7FE00010, "OB", item(b"") * 5000, 0xFFFFFFFF)
    with pytest.raises(LimitExceeded):
        parse(part10(IDENTITY + fragments), limits=Limits(header_bytes=20000))


def _both(data, limits):
    """Whether reading fast and reading with pydicom refuse the same, and what they say."""
    with pytest.raises(LimitExceeded) as fast:
        parse(data, limits=limits)
    with pytest.raises(LimitExceeded) as slow:
        read_with_pydicom(io.BytesIO(data), limits=limits)
    return str(fast.value), str(slow.value)


def _private(number):
    return b"".join(element(0x40011000 + i, "LO", b"%04d" % i) for i in range(number))


def _items(number):
    return element(0x0040A730, "SQ", item(element(0x00080100, "SH", b"abcd")) * number)


@pytest.mark.parametrize(
    "body",
    [
        _private(995),
        _private(989) + element(0x40011FFF, "DS", b"12\\" * 39 + b"12"),
        _items(497),
        element(0x40011000, "US", bytes(2 * 7952)),
        element(0x40011000, "DS", b"12\\" * 7951 + b"12"),
        element(0x40011000, "CS", b"AB\\" * 7951 + b"AB"),
        element(0x40011000, "LO", b"AB\\" * 7951 + b"AB"),
        element(0x40011000, "IS", b"12\\" * 7951 + b"12"),
        element(0x40011000, "AT", bytes(4 * 7952)),
        element(0x40011000, "FD", bytes(8 * 7952)),
        element(0x40011000, "PN", b"A\\" * 1987 + b"A "),
    ],
    ids=["elements", "and values", "items", "US", "DS", "CS", "LO", "IS", "AT", "FD", "PN"],
)
def test_elements_items_and_values_are_counted(body):
    data, fits = part10(IDENTITY + body), 1000
    assert parse(data, limits=Limits(elements=fits))
    assert read_with_pydicom(io.BytesIO(data), limits=Limits(elements=fits))
    for message in _both(data, Limits(elements=fits - 1)):
        assert f"more than the {fits - 1} elements and items that are possible" in message


def test_elements_are_counted_over_all_pieces():
    data = part10(IDENTITY + _private(500) + element(0x7FE00010, "OW", b"ab"))
    reader = DicomReader(limits=Limits(elements=505))
    with pytest.raises(LimitExceeded, match=r"\(7FE0,0010\)"):
        for position in range(0, len(data), 3):
            reader.feed(data[position : position + 3])


def test_what_pydicom_holds_is_bounded_while_it_reads():
    deep = _items(3)
    for _ in range(5):
        deep = element(0x0040A730, "SQ", b"", 0xFFFFFFFF) + item(deep) * 3 + item(b"", 0xE0DD)
    unknown = element(0x00090001, "ZZ", b"ab")
    data = part10(IDENTITY + unknown + deep)
    with pytest.raises(LimitExceeded, match="Up to byte"):
        read_with_pydicom(io.BytesIO(data), limits=Limits(elements=400))


def test_equal_values_take_memory_once():
    frame = b"".join(
        element(tag, vr, value)
        for tag, vr, value in (
            (0x00080008, "CS", b"ORIGINAL"),
            (0x00180050, "DS", b"1.25"),
            (0x00200013, "IS", b"1234"),
            (0x00209057, "UL", b"\1\2\3\4"),
            (0x00209158, "LO", b"a comment "),
        )
    )
    body = b"\xfe\xff\0\xe0" + len(frame).to_bytes(4, "little") + frame
    count = 4000
    data = part10(IDENTITY + element(0x52009230, "SQ", body * count))
    reader = DicomReader()
    tracemalloc.start()
    reader.feed(data)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken - 2 * len(data) < count * 600  # about 2000 bytes each if nothing is shared
    assert reader.close().attributes["52009230"]["Value"][-1]["00200013"]["Value"] == [1234]


def test_a_message_about_a_deep_place_is_short():
    deep = element(0x00081140, "SQ", b"", 0xFFFFFFFF) + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    with pytest.raises(LimitExceeded) as caught:
        parse(part10(IDENTITY + deep * 100))
    message = str(caught.value)
    assert message.startswith("Sequences lie in more than the 64 items that are possible")
    assert "(0008,1140) item 1, 60 more items, (0008,1140) item 1" in message
    assert len(message) < 300


def test_a_few_bytes_behind_the_data_set_are_tolerated_as_pydicom_does():
    plain = parse(part10(IDENTITY))
    for rest in (b"\n", b"\r\n", b"\xff" * 7, b"\x10\0\x20"):
        data = part10(IDENTITY + rest)
        assert len(read(data)) == len(plain.attributes)
        instance = parse(data)
        assert instance.attributes == plain.attributes
        assert rest.hex(" ") in instance.problems[0]
    with pytest.raises(Truncated):
        parse(part10(IDENTITY + element(0x7FE00010, "OB", b"")[:8]))
    nested = element(0x00081140, "SQ", b"", 0xFFFFFFFF) + item(b"")
    with pytest.raises(Truncated):
        parse(part10(IDENTITY + nested + b"\n"))


def test_long_text_is_located():
    body = IDENTITY + element(0x0008030E, "UT", b"ab" * 50)
    instance = parse(part10(body), limits=Limits(inline_value=20))
    place = next(value for value in instance.located if value.path == "0008030e")
    assert (place.vr, place.length) == ("UT", 100)


def _peak(stream):
    reader = DicomReader()
    tracemalloc.start()
    for chunk in stream:
        reader.feed(chunk)
    instance = reader.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    return instance


@pytest.mark.parametrize("nested", [False, True])
def test_a_large_value_takes_no_memory(nested):
    size = 300 << 20
    value = element(0x7FE00010, "OB", b"", size)
    if nested:
        inner = size + len(value)
        head = b"\xfe\xff\0\xe0" + inner.to_bytes(4, "little") + value
        value = element(0x00081140, "SQ", head, inner + 8)
    chunk = bytes(1 << 20)
    instance = _peak([part10(IDENTITY + value), *[chunk] * 300])
    assert instance.located[0].length == size


def test_a_deflated_bomb_takes_no_memory():
    deflater = zlib.compressobj(wbits=-15)
    size = 100 << 20
    data = deflater.compress(IDENTITY + element(0x7FE00010, "OB", b"", size))
    for _ in range(100):
        data += deflater.compress(bytes(1 << 20))
    data += deflater.flush()
    instance = _peak([part10(data, "1.2.840.10008.1.2.1.99")])
    assert instance.deflated
    assert instance.located[0].length == size


def test_odd_streams():
    meta = test_file("no_meta_group_length.dcm")
    assert parse(meta).attributes
    data = part10(IDENTITY)
    assert parse(data[128:]).attributes == parse(data).attributes
    assert "preamble" in parse(data[128:]).problems[0]
    wrong = part10(IDENTITY, "1.2.840.10008.1.2")
    assert parse(wrong).attributes == parse(data).attributes
    assert "explicit VR" in parse(wrong).problems[0]
    big = write(small_data_set(), "1.2.840.10008.1.2.2")
    lying = big.replace(b"1.2.840.10008.1.2.2\0", b"1.2.840.10008.1.2.1\0")
    assert parse(lying).attributes == parse(big).attributes


def test_bundled_directory_is_there():
    assert len(list(DATA.glob("test_files/*.dcm"))) > 50
