"""Character sets: the examples of PS3.5 annexes H to K, and what writers get wrong."""

import pytest

from dicomweb_server.dicom.charset import DEFAULT_ENCODINGS, default_charset

from .helpers import DATA, IDENTITY, element, item, parse, part10, read


def _padded(value):
    return value + b" " * (len(value) % 2)


def text_of(charset, value, tag=0x00100010, vr="PN", **options):
    """The JSON element of a value under a Specific Character Set."""
    body = element(tag, vr, _padded(value))
    if charset is not None:
        body = element(0x00080005, "CS", _padded(charset.encode())) + body
    instance = parse(part10(body + IDENTITY.replace(b"P1", b"P2")), **options)
    return instance.attributes[f"{tag:08X}"].get("Value"), instance.problems


def name(*groups):
    labels = ("Alphabetic", "Ideographic", "Phonetic")
    return [dict(zip(labels, groups, strict=False))]


STANDARD = [
    # PS3.5 H.3, example 1
    (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        name("Yamada^Tarou", "山田^太郎", "やまだ^たろう"),
    ),
    # H.3, example 2: half-width katakana first
    (
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
        b"=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        name("ﾔﾏﾀﾞ^ﾀﾛｳ", "山田^太郎", "やまだ^たろう"),
    ),
    # I.2: Korean, G1 designated again after each delimiter
    (
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        name("Hong^Gildong", "洪^吉洞", "홍^길동"),
    ),
    # J.1: Unicode
    (
        "ISO_IR 192",
        "Wang^XiaoDong=王^小東=".encode(),
        name("Wang^XiaoDong", "王^小東"),
    ),
    # J.2: GB18030
    ("GB18030", "Wang^XiaoDong=王^小东=".encode("gb18030"), name("Wang^XiaoDong", "王^小东")),
    # K.2: GB 2312 by code extension
    (
        "\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        name("Zhang^XiaoDong", "张^小东"),
    ),
    ("ISO_IR 100", b"Buc^J\xe9r\xf4me", name("Buc^Jérôme")),
    ("ISO_IR 101", b"W\xb3a\xb6\xe6", name("Właść")),
    ("ISO_IR 109", b"\xa1\xf8", name("Ħĝ")),
    ("ISO_IR 110", b"\xa1\xe0", name("Ąā")),
    ("ISO_IR 144", b"\xbb\xee\xda\x63\xd5\xdc\xd1\xe3\xe0\xd3", name("Люкcембург")),
    ("ISO_IR 127", b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1", name("قباني^لنزار")),
    ("ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", name("Διονυσιος")),
    ("ISO_IR 138", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", name("שרון^דבורה")),
    ("ISO_IR 148", b"\xd0\xdd\xde", name("Ğİş".replace("ş", "Ş"))),
    ("ISO_IR 166", b"\xb9\xd2\xc2", name("นาย")),
    ("ISO_IR 203", b"\xa4", name("€")),
    ("ISO_IR 13", b"\xd4\xcf\xc0\xde", name("ﾔﾏﾀﾞ")),
    ("GBK", "王^小東".encode("gbk"), name("王^小東")),
    ("ISO 2022 IR 6\\ISO 2022 IR 100\\ISO 2022 IR 126", b"\x1b-A\xe9\x1b-F\xe1", name("éα")),
    ("\\ISO 2022 IR 159", b"\x1b$(D\x30\x21\x1b(B", name("丂")),
    ("\\ISO 2022 IR 87\\ISO 2022 IR 13", b"\x1b)I\xd4\x1b$B;3\x1b(B", name("ﾔ山")),
]


@pytest.mark.parametrize(("charset", "value", "expected"), STANDARD, ids=lambda v: repr(v)[:20])
def test_examples_of_the_standard(charset, value, expected):
    assert text_of(charset, value) == (expected, ())


def test_delimiters_end_a_code_extension():
    value = b"\x1b$)C\xb1\xe8\xc8\xf1\xc1\xdf^Lat\xe9in"
    found, _ = text_of("ISO 2022 IR 100\\ISO 2022 IR 149", value)
    assert found == name("김희중^Latéin")
    value = b"\x1b-F\xe1\\\xe1"
    found, _ = text_of("ISO 2022 IR 100\\ISO 2022 IR 126", value, 0x00101001, "LO")
    assert found == ["α", "á"]
    found, _ = text_of("ISO 2022 IR 100\\ISO 2022 IR 126", b"\x1b-F\xe1^\xe1", 0x00101001, "LO")
    assert found == ["α^α"]
    found, _ = text_of("ISO 2022 IR 100\\ISO 2022 IR 126", b"\x1b-F\xe1\r\n\xe1", 0x00104000, "LT")
    assert found == ["α\r\ná"]


@pytest.mark.parametrize("charset", ["GB18030", "GBK"])
def test_backslash_as_second_half_of_a_character_splits_nothing(charset):
    text = "誠\\乗"  # the first has 0x5C as its second byte
    raw = text.encode(charset)
    assert raw.count(b"\\") > 1
    assert text_of(charset, raw, 0x00101001, "LO")[0] == ["誠", "乗"]
    assert text_of(charset, raw)[0] == [{"Alphabetic": "誠"}, {"Alphabetic": "乗"}]
    assert text_of(charset, raw, 0x00104000, "LT")[0] == [text]


@pytest.mark.parametrize(
    "written", ["ISO IR 100", "ISO-IR 100", "ISO_IR_100", "ISO_IR100", "iso_ir 100", "ISO_IR 100\0"]
)
def test_spellings_that_are_seen(written):
    assert text_of(written, b"J\xe9", 0x00101001, "LO") == (["Jé"], ())


def test_wrong_charsets_lose_no_study():
    found, problems = text_of("KLINGON", b"J\xe9", 0x00101001, "LO")
    assert found == ["Jé"]
    assert "KLINGON" in problems[0]
    found, problems = text_of("ISO_IR 192", b"J\xe9", 0x00101001, "LO")
    assert found == ["J\ufffd"]
    assert "(0010,1001)" in problems[0]
    found, problems = text_of("ISO_IR 100", b"\x1b$)Z\xe9", 0x00101001, "LO")
    assert problems
    for odd in (b"\x1b", b"\x1b\x1b", b"abc\x1b", b"\x1b$", b"\x1b$B\xff\xff", b"\x1b$)"):
        assert text_of("\\ISO 2022 IR 87", odd, 0x00101001, "LO")


def test_default_charset():
    assert text_of(None, b"J\xe9", 0x00101001, "LO")[0] == ["Jé"]
    options = {"default_charset": "Greek"}
    assert text_of(None, b"\xe1", 0x00101001, "LO", **options)[0] == ["α"]
    assert text_of("", b"\xe1", 0x00101001, "LO", **options)[0] == ["α"]
    assert text_of("ISO_IR 100", b"\xe1", 0x00101001, "LO", **options)[0] == ["á"]
    for encoding in DEFAULT_ENCODINGS:
        assert b"A".decode(default_charset(encoding).codec) == "A"
    assert default_charset("Windows1251").codec == "cp1251"
    for wrong in ("Klingon", "rot13", "hex", "utf-16", "utf-7", "cp037", "idna"):
        with pytest.raises(ValueError, match=wrong):
            default_charset(wrong)


def test_items_inherit_and_override():
    charset = element(0x00080005, "CS", b"ISO_IR 144")
    text = element(0x00081030, "LO", b"\xbb\xee")
    greek = element(0x00080005, "CS", b"ISO_IR 126") + text
    sequence = element(0x00081140, "SQ", item(text) + item(greek) + item(text))
    items = parse(part10(charset + sequence + IDENTITY)).attributes["00081140"]["Value"]
    assert [i["00081030"]["Value"] for i in items] == [["Лю"], ["»ξ"], ["Лю"]]


@pytest.mark.parametrize("path", sorted(DATA.glob("charset_files/*.dcm")), ids=lambda p: p.name)
def test_names_of_bundled_files(path):
    data = path.read_bytes()
    attributes = parse(data).attributes
    if "Value" in attributes.get("00100010", {}):
        groups = attributes["00100010"]["Value"][0].values()
        assert "=".join(groups) == "=".join(g for g in read(data).PatientName.components if g)
