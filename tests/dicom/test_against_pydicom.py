"""pydicom is the judge of what we read. Known differences, all on purpose:

- DS are strings with their exact text (PS3.18 F.2.3), pydicom has floats; compared as numbers.
- Binary values are BulkDataURI, whatever their size; pydicom has InlineBinary.
- Encapsulated pixel data are OB (PS3.5 A.4), pydicom repeats a wrong OW of the file.
- Empty component groups of a name are left out; an empty name among several is null (PS3.18 F.2.5),
  as is any empty text among several. pydicom has "" there. A sole empty value is no Value.
- Padding on both sides of AE, AS, CS, DA, DT, TM and UI is removed from each value, pydicom does it
  only at the end of the last one (and not for NUL in AE).
- Padding at the end of each value of LO, SH and UC, and of each component group, is removed, as
  pydicom does at the end of the last one and of LT, ST, UR and UT.
- Group lengths are left out (PS3.18 F.2.2).
- An empty sequence has no Value (PS3.18 F.2.5), pydicom has an empty list.
- FL and FD that are no numbers are "NaN", "Infinity", "-Infinity"; pydicom writes them as JSON
  cannot have them.
- An invalid IS or DS is noted, and null among several or no Value alone; pydicom raises.
- The value of an element that says UN and has another VR in the dictionary is little endian also in
  a big endian data set (PS3.5 6.2.2).
- Escape sequences of PS3.3 C.12 are obeyed even if Specific Character Set does not announce them.
- A truncated file is refused.
"""

import math
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicomweb_server.dicom import DicomReader, NotDicom, NotUnderstood, Truncated

from .helpers import UNCOMPRESSED, bundled, judged, ours, parse, read, write

REFUSED = {
    "MR_truncated.dcm": Truncated,
    "rtplan_truncated.dcm": Truncated,
    "no_meta.dcm": NotDicom,
    "meta_missing_tsyntax.dcm": NotUnderstood,
    "DICOMDIR-nooffset": NotUnderstood,
    "badVR.dcm": None,  # pydicom refuses its IS
}


@pytest.mark.parametrize("path", bundled(), ids=lambda path: path.name)
def test_every_bundled_file_reads_as_pydicom_reads_it(path):
    data = path.read_bytes()
    if path.name in REFUSED:
        expected = REFUSED[path.name]
        if expected is not None:
            with pytest.raises(expected):
                parse(data)
        return
    instance = parse(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ours(instance.attributes) == judged(read(data))
    assert list(instance.attributes) == sorted(instance.attributes)
    assert instance.size == len(data)


@pytest.mark.parametrize("path", bundled()[::3], ids=lambda path: path.name)
def test_located_values_are_the_bytes_that_pydicom_has(path):
    data = path.read_bytes()
    if path.name in REFUSED:
        return
    instance = parse(data)
    if instance.deflated:
        return
    data_set = read(data)
    for place in instance.located:
        parts = place.path.split("/")
        inner = data_set
        for tag, number in zip(parts[:-1:2], parts[1::2], strict=True):
            inner = inner[int(tag, 16)].value[int(number) - 1]
        found = inner[int(parts[-1], 16)]
        assert data[place.offset : place.offset + place.length] == found.value


# -- random data sets -----------------------------------------------------------------------------

_TAGS: dict[str, list[int]] = {}
for _tag, (_vr, *_rest) in DicomDictionary.items():
    if 0x00080006 <= _tag < 0x7FE00000 and _tag >> 16 != 0x0028 and len(_vr) == 2:
        _TAGS.setdefault(_vr, []).append(_tag)
_TAGS["OV"] = [0x7FE00001]
_TAGS["UV"] = _TAGS["SV"] = [0x00720082]
for _vr in _TAGS:
    _TAGS[_vr] = _TAGS[_vr][:3] + _TAGS[_vr][-3:]

_word = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ ", max_size=12)
_text = st.text(
    st.characters(codec="utf-8", exclude_characters="\\\0=^", exclude_categories=("Cc", "Cs")),
    max_size=12,
)
_name = st.text("ABCdéΩ^山", min_size=1, max_size=6)  # pydicom fails on empty ones
_uid = st.lists(st.integers(0, 9999).map(str), min_size=1, max_size=5).map(".".join)


def _several(values):
    return values | st.lists(values, min_size=2, max_size=3)


def _numbers(low, high):
    return _several(st.integers(low, high))


_float32 = st.floats(width=32)
_VALUES = {
    "AE": _several(_word),
    "AS": st.just("012Y"),
    "AT": _several(st.integers(0, 0xFFFFFFFF)),
    "CS": _several(_word),
    "DA": _several(st.just("20240229") | st.just("")),
    "DS": _several(st.floats(-1e6, 1e6).map(lambda v: f"{v:.7g}"[:16])),
    "DT": st.just("20240229120000.000000"),
    "FD": _several(st.floats()),
    "FL": _several(_float32),
    "IS": _several(st.integers(-(2**31), 2**31 - 1).map(str)),
    "LO": _several(_text),
    "LT": _text,
    "OB": st.binary(max_size=9),
    "OD": st.binary(max_size=3).map(lambda b: b * 8),
    "OF": st.binary(max_size=3).map(lambda b: b * 4),
    "OL": st.binary(max_size=3).map(lambda b: b * 4),
    "OV": st.binary(max_size=3).map(lambda b: b * 8),
    "OW": st.binary(max_size=5).map(lambda b: b * 2),
    "PN": _several(st.tuples(_name, _text, _text).map("=".join)),
    "SH": _several(_text),
    "SL": _numbers(-(2**31), 2**31 - 1),
    "SS": _numbers(-(2**15), 2**15 - 1),
    "ST": _text,
    "SV": _numbers(-(2**63), 2**63 - 1),
    "TM": st.just("120000"),
    "UC": _several(_text),
    "UI": _several(_uid),
    "UL": _numbers(0, 2**32 - 1),
    "UN": st.binary(max_size=9),
    "UR": st.just("http://example.org/a?b=c"),
    "US": _numbers(0, 2**16 - 1),
    "UT": _text,
    "UV": _numbers(0, 2**64 - 1),
}


@st.composite
def _element(draw):
    vr = draw(st.sampled_from(sorted(_VALUES)))
    if vr in _TAGS and draw(st.booleans()):
        tag = draw(st.sampled_from(_TAGS[vr]))
    else:
        tag = 0x00091000 | draw(st.integers(0, 255))
    return tag, vr, draw(_VALUES[vr])


def _data_set(elements, sequences):
    data_set = Dataset()
    data_set.private_block(0x0009, "SOMEBODY", create=True)
    for tag, vr, value in elements:
        data_set[tag] = DataElement(tag, vr, value)
    for tag, undefined, items in sequences:
        if tag == 0x000910FE and not items:
            continue  # in implicit VR pydicom takes it for UN
        data_set[tag] = DataElement(tag, "SQ", items)
        data_set[tag].is_undefined_length = undefined
        for item in items:
            item.is_undefined_length_sequence_item = undefined
    return data_set


_sequence_tags = st.sampled_from([0x00081140, 0x00400275, 0x52009229, 0x000910FE])
_flat = st.builds(_data_set, st.lists(_element(), max_size=6), st.just([]))
_nested = st.recursive(
    _flat,
    lambda inner: st.builds(
        _data_set,
        st.lists(_element(), max_size=4),
        st.lists(st.tuples(_sequence_tags, st.booleans(), st.lists(inner, max_size=3)), max_size=2),
    ),
    max_leaves=6,
)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(_nested, st.sampled_from(UNCOMPRESSED), st.lists(st.integers(1, 300), min_size=1))
def test_random_data_sets_read_as_pydicom_reads_them(data_set, syntax, sizes):
    data_set.SpecificCharacterSet = "ISO_IR 192"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = write(data_set, syntax)
        expected = judged(read(data))
    reader = DicomReader()
    position = number = 0
    while position < len(data):
        size = sizes[number % len(sizes)]
        reader.feed(data[position : position + size])
        position += size
        number += 1
    instance = reader.close()
    assert _close(ours(instance.attributes), expected)
    assert instance == parse(data)


def _close(left, right):
    """Equal, but for what pydicom's DS loses."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_close(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_close, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right)
    return left == right
