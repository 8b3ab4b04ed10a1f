"""Character sets of data elements: Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1)."""

import codecs
import re
from collections.abc import Iterable, Sequence

# Names of Python's codecs by the number of the ISO registration. Each contains ASCII as well.
_SINGLE_BYTE = {
    "6": "latin_1",  # ASCII; bytes above 127 are wrong there, Latin-1 is what writers mean
    "13": "shift_jis",  # JIS X 0201 is its single byte part
    "100": "latin_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "126": "iso8859_7",
    "127": "iso8859_6",
    "138": "iso8859_8",
    "144": "iso8859_5",
    "148": "iso8859_9",
    "166": "tis_620",
    "203": "iso8859_15",
}
# Code extensions designated to G1: ASCII stays reachable, so that delimiters can be seen.
_MULTI_BYTE_G1 = {"149": "euc_kr", "58": "gb2312"}
_STAND_ALONE = {"192": "utf_8", "GB18030": "gb18030", "GBK": "gbk"}
_ISO2022_JP = "iso2022_jp_2"

# Escape sequences of tables C.12-3 and C.12-4.
_TO_G0_ASCII = (b"\x1b(B", b"\x1b(J")
_TO_G0_KANJI = (b"\x1b$B", b"\x1b$(D")
_TO_G1 = {
    b"\x1b-A": "latin_1",
    b"\x1b-B": "iso8859_2",
    b"\x1b-C": "iso8859_3",
    b"\x1b-D": "iso8859_4",
    b"\x1b-F": "iso8859_7",
    b"\x1b-G": "iso8859_6",
    b"\x1b-H": "iso8859_8",
    b"\x1b-L": "iso8859_5",
    b"\x1b-M": "iso8859_9",
    b"\x1b-T": "tis_620",
    b"\x1b-b": "iso8859_15",
    b"\x1b)I": "shift_jis",
    b"\x1b$)C": "euc_kr",
    b"\x1b$)A": "gb2312",
}

# Control characters and delimiters that end a code extension (PS3.5, 6.1.2.5.3).
TEXT_DELIMITERS = re.compile(rb"[\t\n\f\r]")
VALUE_DELIMITERS = re.compile(rb"[\\\t\n\f\r]")
NAME_DELIMITERS = re.compile(rb"[\\^=\t\n\f\r]")

# Codecs of Python that are character sets a device may use.
_LEGACY = re.compile(r"(?:cp|iso8859|koi8|euc|big5|gb|mac|shift|tis|utf-8\Z)")
_ASCII = bytes(range(32, 127))  # every character set of DICOM contains it

_FRAGMENT = re.compile(rb"(\x1b(?:\$[()].|\$[@AB]|[()\-.].))?([^\x1b]*|\x1b)", re.DOTALL)
_TERM = re.compile(r"ISO[ _-]?(2022)?[ _-]?(?:IR)?[ _-]?(\d+|GBK)\Z")

# The values of the option DefaultEncoding.
DEFAULT_ENCODINGS = {
    "Ascii": "ISO_IR 6",
    "Utf8": "ISO_IR 192",
    "Latin1": "ISO_IR 100",
    "Latin2": "ISO_IR 101",
    "Latin3": "ISO_IR 109",
    "Latin4": "ISO_IR 110",
    "Latin5": "ISO_IR 148",
    "Cyrillic": "ISO_IR 144",
    "Windows1251": "windows-1251",
    "Arabic": "ISO_IR 127",
    "Greek": "ISO_IR 126",
    "Hebrew": "ISO_IR 138",
    "Thai": "ISO_IR 166",
    "Japanese": "ISO_IR 13",
    "Chinese": "GB18030",
    "JapaneseKanji": "ISO 2022 IR 87",
    "Korean": "ISO 2022 IR 149",
    "SimplifiedChinese": "ISO 2022 IR 58",
}


class Charset:
    """How the text of one data set is encoded. Build with `charset_of` or `default_charset`."""

    __slots__ = ("codec", "terms")

    def __init__(self, codec: str, terms: tuple[str, ...] = ()) -> None:
        self.codec = codec
        self.terms = terms

    def decode(self, raw: bytes, delimiters: re.Pattern[bytes]) -> tuple[str, bool]:
        """The text of a value, and whether every byte of it could be decoded.

        What cannot be decoded becomes U+FFFD. A delimiter ends the code extension in force.
        """
        if b"\x1b" not in raw or self.codec in ("utf_8", "gb18030", "gbk"):
            return _decode(raw, self.codec)
        return self._decode_extended(raw, delimiters)

    def _decode_extended(self, raw: bytes, delimiters: re.Pattern[bytes]) -> tuple[str, bool]:
        texts: list[str] = []
        fine = True
        right = self.codec  # what G1 holds
        for match in _FRAGMENT.finditer(raw):
            escape, body = match[1], match[2]
            if escape in _TO_G0_KANJI:
                # Two bytes a character: a delimiter cannot be told from their halves. The writer
                # has to switch back to ASCII before it, so the codec may take the whole fragment.
                text, good = _decode(escape + body, _ISO2022_JP)
                texts.append(text)
                fine = fine and good
                continue
            if escape is not None and escape not in _TO_G0_ASCII:
                fine = fine and escape in _TO_G1
                right = _TO_G1.get(escape, right)
            end = delimiters.search(body)
            head, rest = (body[: end.start()], body[end.start() :]) if end else (body, b"")
            for part, codec in ((head, right), (rest, self.codec)):
                text, good = _decode(part, codec)
                texts.append(text)
                fine = fine and good
            if end:
                right = self.codec
        return "".join(texts), fine


def _decode(raw: bytes, codec: str) -> tuple[str, bool]:
    try:
        return raw.decode(codec), True
    except UnicodeDecodeError:
        return raw.decode(codec, "replace"), False


def _codec_of(term: str) -> str | None:
    """Python's codec for one defined term of (0008,0005); None for what nobody defined."""
    if term in ("", "ISO_IR 6"):
        return "latin_1"
    text = term.upper()
    if text in _STAND_ALONE:
        return _STAND_ALONE[text]
    if text in ("UTF-8", "UTF8"):
        return "utf_8"
    match = _TERM.match(text)
    if match is None:
        return None
    number = match[2]
    if number in ("87", "159"):
        return _ISO2022_JP
    return _SINGLE_BYTE.get(number) or _MULTI_BYTE_G1.get(number) or _STAND_ALONE.get(number)


def charset_of(terms: Sequence[str], fallback: Charset) -> tuple[Charset, Iterable[str]]:
    """The charset of a data set with these values of (0008,0005), and what is wrong with them.

    An unknown first value falls back to `fallback`, an empty one means ASCII (PS3.3 C.12.1.1.2).
    Text in ASCII alone never depends on this. Escape sequences of the standard are obeyed even
    where the values do not announce them.
    """
    names = [term.strip(" \0") for term in terms]
    problems = [
        f'Specific Character Set "{name}" is unknown: text is decoded as '
        f"{fallback.terms[0] if fallback.terms else fallback.codec}."
        for name in names
        if _codec_of(name) is None
    ]
    first = _codec_of(names[0]) if names else None
    if first is None:
        return fallback, problems
    if first == _ISO2022_JP:
        # G1 is empty and Kanji come by escape sequence: outside of those it is ASCII or JIS X 0201.
        first = "shift_jis"
    return Charset(first, tuple(names)), problems


def default_charset(name: str) -> Charset:
    """The charset for files without (0008,0005): a defined term, or the name of a Python codec.

    Raises:
        ValueError: neither knows the name.
    """
    term = DEFAULT_ENCODINGS.get(name, name)
    codec = _codec_of(term)
    if codec is None:
        try:
            codec = codecs.lookup(term).name
            if not _LEGACY.match(codec) or _ASCII.decode(codec) != _ASCII.decode("ascii"):
                raise LookupError
        except (LookupError, ValueError):
            raise ValueError(
                f'"{name}" is no character set; possible: {", ".join(DEFAULT_ENCODINGS)}, and the '
                "defined terms of Specific Character Set such as ISO_IR 192."
            ) from None
    return Charset("shift_jis" if codec == _ISO2022_JP else codec, (term,))
