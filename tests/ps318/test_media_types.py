"""Reading and writing media types, and the tables of PS3.18, 8.7.3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.ps318 import media_types as mt
from dicomweb_server.ps318.errors import BadRequest
from tests.ps318 import outcome

SPELLINGS = [
    ("application/dicom", "application/dicom", {}),
    ("  Application/DICOM ;", "application/dicom", {}),
    ('a/b; type="application/dicom"', "a/b", {"type": "application/dicom"}),
    ("a/b;type=application/dicom", "a/b", {"type": "application/dicom"}),
    ("a/b; type=*/*", "a/b", {"type": "*/*"}),
    ('a/b; TYPE = "x"', "a/b", {"type": "x"}),
    ('a/b; x="1;2,3"; y=4', "a/b", {"x": "1;2,3", "y": "4"}),
    (r'a/b; x="say \"hi\""', "a/b", {"x": 'say "hi"'}),
    ('a/b; x=" padded "', "a/b", {"x": "padded"}),
    ("a/b; x=1; X=2", "a/b", {"x": "1"}),
    ('a/b; x="open', "a/b", {"x": "open"}),
    ("a/b;;; x=1", "a/b", {"x": "1"}),
    ("a/b; nonsense; x=1", "a/b", {"x": "1"}),
    ("a/b; x=", "a/b", {"x": ""}),
]


@pytest.mark.parametrize(
    ("text", "essence", "parameters"), SPELLINGS, ids=[s[0] for s in SPELLINGS]
)
def test_spellings(text, essence, parameters):
    found = mt.parse_media_type(text)
    assert (found.essence, dict(found.parameters), found.q) == (essence, parameters, 1.0)


def test_a_value_is_found_by_its_name():
    found = mt.parse_media_type("a/b; boundary=AbC;q=.5")
    assert (found.get("boundary"), found.get("type"), found.q) == ("AbC", None, 0.5)


@pytest.mark.parametrize("text", ["", "a", "/", "a/", "/b", "a b/c", "a/b/c", ";a/b", "é/b"])
def test_what_is_no_media_type(text):
    with pytest.raises(BadRequest, match="not a media type"):
        mt.parse_media_type(text)


def test_values_are_quoted_when_needed():
    parameters = [("type", "image/jpeg"), ("plain", "1.2.3"), ("odd", 'a"b\\')]
    text = mt.format_media_type("multipart/related", parameters)
    assert text == 'multipart/related; type="image/jpeg"; plain=1.2.3; odd="a\\"b\\\\"'


values = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)


@given(st.dictionaries(st.sampled_from(["x", "y", "type"]), values))
def test_what_is_written_is_read(parameters):
    found = mt.parse_media_type(mt.format_media_type("a/b", parameters.items()))
    assert dict(found.parameters) == parameters


@given(st.text())
def test_any_text_is_read_or_refused(text):
    answer = outcome(lambda: mt.parse_media_type(text))
    assert isinstance(answer, mt.MediaType | BadRequest)


FAMILY = "1.2.840.10008.1.2.4."
TYPES = [
    ("1.2.840.10008.1.2.1", "application/octet-stream"),
    ("1.2.840.10008.1.2.1.99", "application/octet-stream"),
    (FAMILY + "50", "image/jpeg"),
    (FAMILY + "70", "image/jpeg"),
    (FAMILY + "81", "image/jls"),
    (FAMILY + "91", "image/jp2"),
    (FAMILY + "92", "image/jpx"),
    (FAMILY + "112", "image/jxl"),
    (FAMILY + "201", "image/jphc"),
    ("1.2.840.10008.1.2.5", "image/dicom-rle"),
    (FAMILY + "100", "video/mpeg"),
    (FAMILY + "107", "video/mp4"),
    ("1.2.3", "application/octet-stream"),
]


@pytest.mark.parametrize(("uid", "media_type"), TYPES, ids=[t[0] for t in TYPES])
def test_media_type_of_a_transfer_syntax(uid, media_type):
    assert mt.media_type_of(uid) == media_type
    assert mt.is_video(uid) == media_type.startswith("video/")


def test_each_default_syntax_belongs_to_its_media_type():
    for media_type, uid in mt.DEFAULT_TRANSFER_SYNTAXES.items():
        if media_type != mt.DICOM:
            assert mt.media_type_of(uid) == media_type
            assert uid in mt.transfer_syntaxes_of(media_type)


def test_names_of_2014():
    assert mt.transfer_syntaxes_of("image/dicom+jpeg") == mt.transfer_syntaxes_of("image/jpeg")
    assert mt.modern_name("image/dicom+jpx") == "image/jpx"
    assert mt.transfer_syntaxes_of("text/plain") == ()
