"""Native DICOM Model XML (PS3.19, A.1) read into the DICOM JSON model, and what is refused."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from dicomweb_server.dicom import DicomError, DicomReader, LimitExceeded, Limits, load_header
from dicomweb_server.dicom.tags import STANDARD
from dicomweb_server.dicom.xml_model import NAMESPACE, from_native_xml, to_native_xml

HEAD = f'<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'


def model(content):
    return f"{HEAD}{content}</NativeDicomModel>".encode()


def attribute(content, tag="00081030", vr="LO", more=""):
    return f'<DicomAttribute tag="{tag}" vr="{vr}" {more}>{content}</DicomAttribute>'


def one(content, **options):
    return from_native_xml(model(attribute(content, **options)))[options.get("tag", "00081030")]


ELEMENTS = [
    ("", "LO", {}),
    ('<Value number="1">a</Value>', "LO", {"Value": ["a"]}),
    ('<Value number="3">c</Value><Value number="1">a</Value>', "LO", {"Value": ["a", None, "c"]}),
    ("<Value>a</Value><Value>b</Value>", "LO", {"Value": ["a", "b"]}),
    ("<Value>a</Value><Value></Value>", "LO", {"Value": ["a", None]}),
    ('<Value number="1"> a &amp; b </Value>', "LO", {"Value": [" a & b "]}),
    ('<Value number="1"><![CDATA[<x>]]></Value>', "LO", {"Value": ["<x>"]}),
    ('<Value number="1">7</Value>', "US", {"Value": [7]}),
    ('<Value number="1">1.5</Value>', "FD", {"Value": [1.5]}),
    ('<Value number="1">NaN</Value>', "FD", {"Value": ["NaN"]}),
    ('<Value number="1">1.50</Value>', "DS", {"Value": ["1.50"]}),
    ('<Value number="1">7</Value>', "IS", {"Value": [7]}),
    ('<BulkData uri="a?b&amp;c"/>', "OW", {"BulkDataURI": "a?b&c"}),
    ('<BulkData URI="a?b&amp;c"/>', "OW", {"BulkDataURI": "a?b&c"}),
    ('<BulkData URI="other" uri="a"/>', "OW", {"BulkDataURI": "a"}),
    ("<InlineBinary>QU\nJD</InlineBinary>", "OB", {"InlineBinary": "QUJD"}),
    ("\n  <!-- a comment -->\n", "LO", {}),
    ('<Item number="1"></Item>', "SQ", {"Value": [{}]}),
    ('<Item number="2"></Item>', "SQ", {"Value": [{}, {}]}),
]


@pytest.mark.parametrize(("content", "vr", "expected"), ELEMENTS)
def test_elements(content, vr, expected):
    assert one(content, vr=vr) == {"vr": vr} | expected


def test_names():
    content = (
        '<PersonName number="1"><Alphabetic><FamilyName>Wang</FamilyName>'
        "<NamePrefix>Dr</NamePrefix></Alphabetic><Ideographic><FamilyName>王</FamilyName>"
        '</Ideographic></PersonName><PersonName number="3"></PersonName>'
    )
    assert one(content, tag="00100010", vr="PN")["Value"] == [
        {"Alphabetic": "Wang^^^Dr", "Ideographic": "王"},
        None,
        {},
    ]


def test_without_name_space():
    assert from_native_xml(b"<NativeDicomModel></NativeDicomModel>") == {}


def test_private_attributes_find_their_blocks():
    found = from_native_xml(
        model(
            attribute('<Value number="1">x</Value>', tag="00090042", more='privateCreator="B"')
            + attribute('<Value number="1">A</Value>', tag="00090010")
            + attribute('<Value number="1">y</Value>', tag="00090042", more='privateCreator="A"')
        )
    )
    assert found["00091042"]["Value"] == ["y"]
    assert found["00090011"]["Value"] == ["B"]
    assert found["00091142"]["Value"] == ["x"]
    assert list(found) == sorted(found)


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    "<NativeDicomModel>&b;</NativeDicomModel>"
)
REFUSED = [
    ("", "no XML"),
    ("<NativeDicomModel>", "no XML"),
    (BOMB, "document type"),
    ('<!DOCTYPE x SYSTEM "file:///etc/hosts"><NativeDicomModel/>', "document type"),
    ("<NativeDicomModel>&x;</NativeDicomModel>", "no XML"),
    ("<html></html>", "'html'"),
    ('<NativeDicomModel xmlns="urn:x"></NativeDicomModel>', "name space"),
    (model("text").decode(), "Text"),
    (model("<Value>x</Value>").decode(), "DicomAttribute"),
    (model(attribute("", tag="x")).decode(), "tag"),
    (model(attribute("", vr="")).decode(), "VR"),
    (model(attribute("") * 2).decode(), "twice"),
    (model(attribute("<Value number='0'>x</Value>")).decode(), "number"),
    (model(attribute("<Value number='1'>x</Value>" * 2)).decode(), "number"),
    (model(attribute("<Value number='9999999999'>x</Value>")).decode(), "number"),
    (model(attribute("<Value>x</Value><BulkData uri='x'/>")).decode(), "binary"),
    (model(attribute("<BulkData/>", vr="OB")).decode(), "uri"),
    (model(attribute("<Value>x</Value>", vr="US")).decode(), "US"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_what_is_refused(text, words):
    with pytest.raises(DicomError, match=words):
        from_native_xml(text.encode())


def test_limits():
    nested = ""
    for _ in range(20):
        nested = attribute(f'<Item number="1">{nested}</Item>', tag="00081199", vr="SQ")
    with pytest.raises(LimitExceeded):
        from_native_xml(model(nested), Limits(depth=10))
    with pytest.raises(LimitExceeded):
        from_native_xml(model(attribute("<Value>x</Value>" * 100)), Limits(elements=50))
    with pytest.raises(LimitExceeded):
        from_native_xml(model(attribute('<Value number="900000">x</Value>')), Limits(elements=1000))


XML_TEXT = st.text("aB0 <>&\"'\t\n\r\\ü山😀]", min_size=1, max_size=12)
NAMES = st.text(string.ascii_letters + "山 田", min_size=1, max_size=8)
GROUPS = st.dictionaries(
    st.sampled_from(["Alphabetic", "Ideographic", "Phonetic"]),
    st.lists(NAMES, min_size=1, max_size=5).map("^".join),
    min_size=1,
)


def listed(vr, values):
    """Elements of one VR; the last value is one, for a number behind it is not written."""
    inner = st.lists(st.none() | values, max_size=3)
    whole = st.tuples(inner, values).map(lambda pair: [*pair[0], pair[1]])
    return whole.map(lambda found: {"vr": vr, "Value": found}) | st.just({"vr": vr})


SIMPLE = st.one_of(
    listed("LO", XML_TEXT),
    listed("DS", st.integers(-999, 999).map(str)),
    listed("IS", st.integers(-(2**31), 2**31 - 1)),
    listed("US", st.integers(0, 65535)),
    listed("SV", st.integers(-(2**63), 2**63 - 1)),
    listed("FD", st.floats(allow_nan=False, allow_infinity=False).filter(lambda n: n % 1)),
    listed("PN", GROUPS),
    listed("AT", st.just("00100010")),
    st.binary(max_size=9).map(lambda data: {"vr": "OB", "InlineBinary": data.hex()}),
    XML_TEXT.map(lambda text: {"vr": "OW", "BulkDataURI": text}),
)
TAGS = st.sampled_from([f"{group:04X}{n:04X}" for group in (8, 16, 32) for n in range(1, 40)])


def data_sets(elements):
    return st.dictionaries(TAGS, elements, max_size=5)


DATA_SETS = data_sets(
    st.recursive(
        SIMPLE,
        lambda inner: st.lists(data_sets(inner), min_size=1, max_size=3).map(
            lambda items: {"vr": "SQ", "Value": items}
        ),
        max_leaves=8,
    )
)


@given(DATA_SETS)
def test_what_is_written_is_read_back(data_set):
    assert from_native_xml(to_native_xml(data_set, STANDARD.keyword)) == data_set


@pytest.mark.parametrize("name", ["CT_small.dcm", "rtplan.dcm", "reportsi.dcm", "test-SR.dcm"])
def test_files_are_read_back(name):
    reader = DicomReader()
    reader.feed(Path(get_testdata_file(name)).read_bytes())
    expected = load_header(reader.close().header)
    found = from_native_xml(to_native_xml(expected, STANDARD.keyword))
    assert found == expected
