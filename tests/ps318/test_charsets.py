"""Character sets of answers: who is sent UTF-8, who is told its name, and who is refused."""

import pytest

from dicomweb_server.ps318.charsets import negotiate_charset
from dicomweb_server.ps318.errors import BadRequest, NotAcceptable
from dicomweb_server.ps318.media_types import parse_media_type

BROWSER = "ISO-8859-1,utf-8;q=0.7,*;q=0.3"
JAVA = "big5, euc-jp, iso-8859-1, shift_jis, us-ascii, utf-16, utf-8, windows-1252, x-jis0208"


@pytest.mark.parametrize("header", [None, "", "  ", "*", "*;q=0.1", "iso-8859-1, *;q=0.1"])
def test_any_character_set_will_do(header):
    assert negotiate_charset(header) is None
    assert negotiate_charset(None, query=header) is None


@pytest.mark.parametrize(
    "text",
    [
        "utf-8",
        "UTF-8",
        "utf8",
        '"ISO_IR 192"',
        "ISO_IR 192",
        "iso-8859-1, utf-8",
        "iso-8859-1;q=1, utf-8;q=0.001",
        "utf-8; q=0.5 , ,",
        "utf-8;Q=1.000, *;q=0",
        '"ISO 2022 IR 87", utf-8',
        BROWSER,
        JAVA,
    ],
)
def test_utf_8_by_name(text):
    assert negotiate_charset(text) == "utf-8"
    assert negotiate_charset(None, query=text) == "utf-8"


@pytest.mark.parametrize("text", ["iso-8859-1", "ISO_IR 100", "us-ascii, utf-16;q=0.5", "klingon"])
def test_others_alone(text):
    with pytest.raises(NotAcceptable, match="possible is utf-8"):
        negotiate_charset(text)
    with pytest.raises(BadRequest, match="possible is utf-8"):
        negotiate_charset(None, query=text)


@pytest.mark.parametrize("text", ["utf-8;q=0", "*;q=0", "utf-8;q=0, *", "*;q=0.0, iso-8859-1"])
def test_what_is_excluded(text):
    with pytest.raises(NotAcceptable, match="takes nothing that can be sent"):
        negotiate_charset(text)
    with pytest.raises(NotAcceptable):
        negotiate_charset(None, query=text)


@pytest.mark.parametrize(
    "text", ["utf-8;q=2", "utf-8;q=x", "utf-8;level=1", '"utf-8', "a/b", "[x]"]
)
def test_what_is_no_list_of_character_sets(text):
    for call in ({"accept_charset": text}, {"accept_charset": "*", "query": text}):
        with pytest.raises(BadRequest, match="it should look like"):
            negotiate_charset(**call)


def test_the_parameter_beats_the_header():
    assert negotiate_charset("iso-8859-1", query="utf-8") == "utf-8"
    with pytest.raises(BadRequest):
        negotiate_charset("utf-8", query="iso-8859-1")


def test_the_media_type_beats_both():
    utf8 = parse_media_type("application/dicom+json; charset=UTF-8")
    other = parse_media_type("application/dicom+json; charset=iso-8859-1")
    assert negotiate_charset("iso-8859-1", query="koi8-r", media_range=utf8) == "utf-8"
    assert negotiate_charset(None, media_range=other) is None
    assert negotiate_charset("utf-8", media_range=other) == "utf-8"


def test_a_long_list_takes_no_long_time():
    assert negotiate_charset(",".join(["x" * 50] * 5000) + ",utf-8") == "utf-8"
    with pytest.raises(BadRequest):
        negotiate_charset("a " * 50_000 + "!")
