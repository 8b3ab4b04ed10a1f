"""Native DICOM Model XML (PS3.19, A.1), read back with a standard parser."""

import time
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file

from dicomweb_server.dicom.tags import STANDARD
from dicomweb_server.dicom.xml_model import NAMESPACE, to_native_xml

NS = f"{{{NAMESPACE}}}"


def tree_of(attributes):
    return ET.fromstring(to_native_xml(attributes, STANDARD.keyword))


def plain(element):
    """(name, attributes, text, children) without the name space."""
    children = [plain(child) for child in element]
    return element.tag.removeprefix(NS), dict(element.attrib), element.text or "", children


def one(attributes):
    """The only DicomAttribute: its attributes and its children."""
    (found,) = [child for child in tree_of(attributes) if child.get("tag") != "00090010"]
    return dict(found.attrib), [plain(child) for child in found]


def value(number, text):
    return ("Value", {"number": str(number)}, text, [])


VALUES = [
    ("text", {"vr": "LO", "Value": ["a", "b"]}, [value(1, "a"), value(2, "b")]),
    ("numbers", {"vr": "FD", "Value": [1, 2.5, -1e300]}, [value(1, "1"), value(2, "2.5"), value(3, "-1e+300")]),
    ("empty", {"vr": "LO"}, []),
    ("no values", {"vr": "LO", "Value": []}, []),
    ("null between values", {"vr": "CS", "Value": ["a", None, "c"]}, [value(1, "a"), value(3, "c")]),
    ("spaces and markup", {"vr": "LT", "Value": ["  <a> & \"b\"\t'\n\r\n]]> "]}, [value(1, "  <a> & \"b\"\t'\n\r\n]]> ")]),
    ("control characters", {"vr": "LT", "Value": ["a\0b\x1b\ud800\uffff\x0b"]}, [value(1, "a" + "\ufffd" + "b" + "\ufffd" * 4)]),
    ("bulk data", {"vr": "OW", "BulkDataURI": "http://h/a?b&c"}, [("BulkData", {"uri": "http://h/a?b&c"}, "", [])]),
    ("inline", {"vr": "OB", "InlineBinary": "QUJD"}, [("InlineBinary", {}, "QUJD", [])]),
    ("empty inline", {"vr": "OB", "InlineBinary": ""}, [("InlineBinary", {}, "", [])]),
]  # fmt: skip


@pytest.mark.parametrize(("element", "expected"), [pytest.param(*v[1:], id=v[0]) for v in VALUES])
def test_values(element, expected):
    assert one({"00081030": element}) == (
        {"tag": "00081030", "vr": element["vr"], "keyword": "StudyDescription"},
        expected,
    )


def test_person_names():
    name = {"Alphabetic": "Wang^XiaoDong^^Dr^Jr", "Ideographic": "王^小東", "Phonetic": ""}
    _, children = one(
        {"00100010": {"vr": "PN", "Value": [name, {}, {"Alphabetic": "A^B^C^D^E^F"}]}}
    )
    first = [
        ("Alphabetic", {}, "", [("FamilyName", {}, "Wang", []), ("GivenName", {}, "XiaoDong", []),
                                ("NamePrefix", {}, "Dr", []), ("NameSuffix", {}, "Jr", [])]),
        ("Ideographic", {}, "", [("FamilyName", {}, "王", []), ("GivenName", {}, "小東", [])]),
    ]  # fmt: skip
    assert children[0] == ("PersonName", {"number": "1"}, "", first)
    assert children[1][1] == {"number": "3"}
    assert children[1][3][0][3][-1] == ("NameSuffix", {}, "E^F", [])


def test_sequences():
    item = {"00081150": {"vr": "UI", "Value": ["1.2"]}}
    _, children = one({"00081199": {"vr": "SQ", "Value": [item, {}]}})
    assert [child[:2] for child in children] == [
        ("Item", {"number": "1"}),
        ("Item", {"number": "2"}),
    ]
    attribute = {"tag": "00081150", "vr": "UI", "keyword": "ReferencedSOPClassUID"}
    assert children[0][3] == [("DicomAttribute", attribute, "", [value(1, "1.2")])]
    assert children[1][3] == []
    assert one({"00081199": {"vr": "SQ"}})[1] == []


def test_private_attributes_name_their_creator():
    creator = {"vr": "LO", "Value": ["ACME <1>"]}
    attributes, _ = one({"00090010": creator, "00091042": {"vr": "LO", "Value": ["x"]}})
    assert attributes == {"tag": "00090042", "vr": "LO", "privateCreator": "ACME <1>"}
    attributes, _ = one({"00090010": creator, "00091142": {"vr": "UN"}})
    assert attributes == {"tag": "00091142", "vr": "UN"}
    assert [dict(each.attrib) for each in tree_of({"00090010": creator})] == [
        {"tag": "00090010", "vr": "LO"}
    ]


def test_document():
    text = to_native_xml(
        {"00100020": {"vr": "LO"}, "00080005": {"vr": "CS"}, "00080000": {"vr": "UL"}},
        STANDARD.keyword,
    )
    assert text.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">'
        '<DicomAttribute tag="00080005" vr="CS" keyword="SpecificCharacterSet"></DicomAttribute>'
        '<DicomAttribute tag="00100020" vr="LO" keyword="PatientID"></DicomAttribute>'
        "</NativeDicomModel>"
    )  # fmt: skip


def of_file(name):
    return dcmread(get_testdata_file(name)).to_json_dict(1024, lambda element: "http://h/bulk")


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "rtplan.dcm", "nested_priv_SQ.dcm", "reportsi.dcm", "test-SR.dcm"]
)
def test_files_keep_every_attribute(name):
    attributes = of_file(name)

    def tags(data):
        for tag, element in data.items():
            yield tag
            if element["vr"] == "SQ":
                for item in element.get("Value", []):
                    yield from tags(item)

    listed = list(tags(attributes))
    assert len(list(tree_of(attributes).iter(f"{NS}DicomAttribute"))) == len(listed)


texts = st.text(max_size=20)
elements = st.one_of(
    st.builds(lambda v: {"vr": "LT", "Value": v}, st.lists(st.one_of(st.none(), texts, st.floats(), st.integers()), max_size=3)),
    st.builds(lambda v: {"vr": "PN", "Value": [v]}, st.dictionaries(st.sampled_from(["Alphabetic", "Phonetic"]), texts)),
    st.builds(lambda v: {"vr": "OB", "BulkDataURI": v}, texts),
    st.builds(lambda v: {"vr": v}, texts),
)  # fmt: skip
tag_names = st.sampled_from(["00100020", "00090010", "00091001", "00081030"])
data_sets = st.recursive(
    st.dictionaries(tag_names, elements),
    lambda inner: st.dictionaries(
        tag_names, st.builds(lambda v: {"vr": "SQ", "Value": v}, st.lists(inner, max_size=2))
    ),
    max_leaves=6,
)


@given(data_sets)
def test_any_data_set_becomes_well_formed_xml(attributes):
    tree = tree_of(attributes)
    assert len(tree) == len(attributes)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")))
def test_text_comes_back_as_it_was(text):
    _, children = one({"00081030": {"vr": "LT", "Value": [text]}})
    assert children == [value(1, text)]


def test_speed():
    attributes = of_file("CT_small.dcm")
    start = time.perf_counter()
    for _ in range(300):
        to_native_xml(attributes, STANDARD.keyword)
    assert time.perf_counter() - start < 2  # a few hundred µs each: this fails on accidents only
