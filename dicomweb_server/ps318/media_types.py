"""Media types of DICOMweb, and which transfer syntax goes with which (PS3.18, 8.7.3).

The parser is tolerant, for real clients spell media types in many ways: parameters quoted or not,
spaces around `=`, unquoted values that hold a `/`, any case, a `;` at the end.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from dicomweb_server.ps318.errors import BadRequest

DICOM: Final = "application/dicom"
DICOM_JSON: Final = "application/dicom+json"
DICOM_XML: Final = "application/dicom+xml"
JSON: Final = "application/json"
OCTET_STREAM: Final = "application/octet-stream"
MULTIPART_RELATED: Final = "multipart/related"
JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
GIF: Final = "image/gif"
PDF: Final = "application/pdf"
ZIP: Final = "application/zip"

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1.99"

_JPEG_FAMILY = "1.2.840.10008.1.2.4."

# PS3.18, tables 8.7.3-2 to 8.7.3-5: the media type of frames and bulk data in a transfer syntax.
# The first syntax of a media type is not always its default: see DEFAULT_TRANSFER_SYNTAXES.
_SYNTAXES_OF: Final[dict[str, tuple[str, ...]]] = {
    OCTET_STREAM: (
        EXPLICIT_VR_LITTLE_ENDIAN,
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        "1.2.840.10008.1.2.8.1",  # Deflated Image Frame Compression
    ),
    JPEG: tuple(_JPEG_FAMILY + n for n in ("50", "51", "57", "70")),
    "image/jls": (_JPEG_FAMILY + "80", _JPEG_FAMILY + "81"),
    "image/jp2": (_JPEG_FAMILY + "90", _JPEG_FAMILY + "91"),
    "image/jpx": (_JPEG_FAMILY + "92", _JPEG_FAMILY + "93"),
    "image/jxl": tuple(_JPEG_FAMILY + n for n in ("110", "111", "112")),
    "image/jphc": tuple(_JPEG_FAMILY + n for n in ("201", "202", "203")),
    "image/dicom-rle": ("1.2.840.10008.1.2.5",),
    "video/mpeg": tuple(_JPEG_FAMILY + n for n in ("100", "100.1", "101", "101.1")),
    "video/mp4": tuple(
        _JPEG_FAMILY + n
        for n in (
            *("102", "102.1", "103", "103.1", "104", "104.1", "105", "105.1", "106", "106.1"),
            *("107", "108"),
        )
    ),
}

MEDIA_TYPE_OF_TRANSFER_SYNTAX: Final[dict[str, str]] = {
    uid: media_type for media_type, uids in _SYNTAXES_OF.items() for uid in uids
}

# What a media type means when the request names no transfer syntax (the "D" of the tables).
DEFAULT_TRANSFER_SYNTAXES: Final[dict[str, str]] = {
    DICOM: EXPLICIT_VR_LITTLE_ENDIAN,
    OCTET_STREAM: EXPLICIT_VR_LITTLE_ENDIAN,
    JPEG: _JPEG_FAMILY + "70",
    "image/jls": _JPEG_FAMILY + "80",
    "image/jp2": _JPEG_FAMILY + "90",
    "image/jpx": _JPEG_FAMILY + "92",
    "image/jxl": _JPEG_FAMILY + "110",
    "image/jphc": _JPEG_FAMILY + "201",
    "image/dicom-rle": "1.2.840.10008.1.2.5",
    "video/mpeg": _JPEG_FAMILY + "100",
    "video/mp4": _JPEG_FAMILY + "102",
}

# Names of the 2014 edition, names with the "x-" of experiments, and misspellings seen in clients.
_MODERN_NAMES: Final[dict[str, str]] = {
    "image/dicom+jpeg": JPEG,
    "image/dicom+rle": "image/dicom-rle",
    "image/dicom+jpeg-ls": "image/jls",
    "image/dicom+jp2": "image/jp2",
    "image/dicom+jpx": "image/jpx",
    "image/x-dicom-rle": "image/dicom-rle",
    "image/x-jls": "image/jls",
    "image/jpg": JPEG,
    JSON: DICOM_JSON,
}

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_PIECES = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*"?)+', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_REMEMBERED: Final = 120
_WEIGHT = re.compile(r"(?:\d+\.?\d*|\.\d+)\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class MediaType:
    """One media type or media range; `type`, `subtype` and parameter names are in lower case.

    `parameters` keeps the order of the text, each name once, values unquoted and without `q`.
    """

    type: str
    subtype: str
    parameters: tuple[tuple[str, str], ...] = ()
    q: float = 1.0

    @property
    def essence(self) -> str:
        """`type/subtype`, without parameters."""
        return f"{self.type}/{self.subtype}"

    def get(self, name: str) -> str | None:
        """The value of a parameter, or None."""
        return next((value for key, value in self.parameters if key == name), None)

    def __str__(self) -> str:
        text = format_media_type(self.essence, self.parameters)
        return text if self.q == 1.0 else f"{text};q={self.q:.3f}".rstrip("0").rstrip(".")


def parse_media_type(text: str) -> MediaType:
    """Read one media type, as of a `Content-Type` header or one element of `Accept`.

    Raises BadRequest if there is no `type/subtype`, or if `q` is not a number from 0 to 1.
    """
    found = parse_or_none(text)
    if found is None:
        raise BadRequest(
            f"{text[:300]!r} is not a media type; it should look like application/dicom."
        )
    return found


def parse_or_none(text: str) -> MediaType | None:
    """Like `parse_media_type`, but None for no media type; a bad `q` raises BadRequest."""
    # Servers read the same few texts again and again; longer ones are boundaries and mischief.
    return _parsed_before(text) if len(text) <= _REMEMBERED else _parse(text)


def _parse(text: str) -> MediaType | None:
    pieces = _PIECES.findall(text) if '"' in text else text.split(";")
    essence = pieces[0].strip().lower() if pieces else ""
    if essence == "*":  # HttpURLConnection of Java sends "*; q=.2"
        essence = "*/*"
    main, _, sub = essence.partition("/")
    if not (_TOKEN.match(main) and _TOKEN.match(sub)):
        return None
    parameters = dict[str, str]()
    for piece in pieces[1:]:
        name, equals, value = piece.partition("=")
        name = name.strip().lower()
        if equals and name:
            parameters.setdefault(name, _unquoted(value.strip()))
    q = _weight(parameters.pop("q", "1"), text)
    return MediaType(main, sub, tuple(parameters.items()), q)


_parsed_before = lru_cache(maxsize=512)(_parse)


def format_media_type(essence: str, parameters: Iterable[tuple[str, str]] = ()) -> str:
    """Write a media type; a parameter value is quoted if it is not a token."""
    return "".join([essence, *(f"; {name}={_quoted(value)}" for name, value in parameters)])


def modern_name(essence: str) -> str:
    """The name that today's PS3.18 uses for a media type, given in lower case.

    `application/json` counts as another name of `application/dicom+json`.
    """
    return _MODERN_NAMES.get(essence, essence)


def media_type_of(transfer_syntax: str) -> str:
    """The media type of a frame in a transfer syntax (UID); octet-stream for unknown ones."""
    return MEDIA_TYPE_OF_TRANSFER_SYNTAX.get(transfer_syntax, OCTET_STREAM)


def transfer_syntaxes_of(media_type: str) -> tuple[str, ...]:
    """The transfer syntaxes (UIDs) whose frames have this media type; () if there is none."""
    return _SYNTAXES_OF.get(modern_name(media_type), ())


def is_video(transfer_syntax: str) -> bool:
    """Whether a transfer syntax (UID) holds one video stream instead of frames."""
    return media_type_of(transfer_syntax).startswith("video/")


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    inner = value[1:-1] if len(value) > 1 and value.endswith('"') else value[1:]
    return (_ESCAPED.sub(r"\1", inner) if "\\" in inner else inner).strip()


def _quoted(value: str) -> str:
    if _TOKEN.match(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _weight(value: str, text: str) -> float:
    number = float(value) if _WEIGHT.match(value) else -1.0
    if not 0.0 <= number <= 1.0:
        raise BadRequest(f"q={value[:30]!r} in {text.strip()[:300]!r} is not a number from 0 to 1.")
    return number
