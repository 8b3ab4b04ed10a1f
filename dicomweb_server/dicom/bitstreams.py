"""What the header of a compressed image tells of it; nothing is decoded.

JPEG and JPEG-LS (ITU-T T.81, T.87), JPEG 2000 with and without a JP2 file around it (T.800), HTJ2K
(T.814), JPEG XL (`jpeg_xl`) and RLE (PS3.5, G). Videos are read by `video`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import unpack_from
from typing import Final

from .boxes import boxes
from .errors import DicomError
from .image_header import ImageHeader
from .jpeg_xl import read_jpeg_xl
from .stream_bytes import StreamBytes
from .views import ReadRange

JPEG_FAMILY: Final = "1.2.840.10008.1.2.4."
RLE_LOSSLESS: Final = "1.2.840.10008.1.2.5"


def read_image_header(media_type: str, read: ReadRange, offset: int, length: int) -> ImageHeader:
    """The header of one image.

    Args:
        media_type: one for which `has_header` is true.
        read: gives the bytes of the stream in which the image lies at `offset`.

    Raises:
        DicomError: the bytes are no such image.
    """
    return _READERS[media_type](StreamBytes(read, offset, length))


def has_header(media_type: str) -> bool:
    """Whether `read_image_header` knows the images of a media type."""
    return media_type in _READERS


# --- JPEG and JPEG-LS ------------------------------------------------------------------------

_SOF_JPEG_LS: Final = 0xF7
_LOSSLESS: Final = frozenset((0xC3, _SOF_JPEG_LS))
_SCAN: Final = 0xDA
_ADOBE: Final = 0xEE
_BARE: Final = frozenset((0x01, 0xFF, *range(0xD0, 0xD9)))  # markers without a length
_SYNTAXES_OF_SOF: Final[Mapping[int, tuple[str, ...]]] = {
    0xC0: ("50", "51"),  # baseline; any extended decoder reads it too
    0xC1: ("51",),
    0xC2: ("55",),  # progressive: retired, but it is what it is
    0xC3: ("70", "57"),
}


@dataclass(slots=True)
class _Jpeg:
    """The marker segments that were seen."""

    sof: int = 0
    frame: bytes = b""
    adobe: int | None = None


def _jpeg(data: StreamBytes, what: str = "JPEG image") -> ImageHeader:
    if data.get(0, 2, what) != b"\xff\xd8":
        raise DicomError(f"The {what} does not begin with the marker SOI (FFD8).")
    seen, at = _Jpeg(), 2
    while True:
        marker = data.number(at, 2, what)
        if marker >> 8 != 0xFF:
            raise DicomError(f"The {what} has {marker:04X} at byte {at} instead of a marker.")
        kind = marker & 0xFF
        if kind in _BARE:
            at += 1 if kind == 0xFF else 2
            continue
        size = data.number(at + 2, 2, what)
        body = data.get(at + 4, max(size - 2, 0), what)
        if kind == _SCAN:
            return _jpeg_header(seen, body, (at, data.length), what)
        if kind == _SOF_JPEG_LS or (0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC)):
            seen.sof, seen.frame = kind, body
        elif kind == _ADOBE and body[:5] == b"Adobe" and len(body) > 11:
            seen.adobe = body[11]
        at += 2 + size


def _jpeg_header(seen: _Jpeg, scan: bytes, place: tuple[int, int], what: str) -> ImageHeader:
    """`place`: where the first scan begins, and the image ends."""
    if len(seen.frame) < 6 or len(seen.frame) < 6 + 3 * seen.frame[5] or len(scan) < 4:
        raise DicomError(f"The {what} has no whole frame header (SOF) before its first scan.")
    precision, rows, columns, samples = unpack_from(">BHHB", seen.frame)
    if not samples:
        raise DicomError(f"The {what} has no components; possible are 1 and more.")
    components = [seen.frame[6 + 3 * n : 9 + 3 * n] for n in range(samples)]
    return ImageHeader(
        rows,
        columns,
        samples,
        precision,
        None if seen.sof in _LOSSLESS else False,  # PS3.5, tables 8.2.1-1, 8.2.1-2 and 8.2.3-1
        _jpeg_colours(seen, components),
        _jpeg_syntaxes(seen.sof, scan, what),
        0,
        place[1],
        _jpeg_loss(seen.sof, scan),
        padded=seen.sof in _LOSSLESS,
        coded=place[0],
    )


def _jpeg_syntaxes(sof: int, scan: bytes, what: str) -> tuple[str, ...]:
    parameter = scan[-3]  # predictor of lossless JPEG, NEAR of JPEG-LS
    if sof == _SOF_JPEG_LS:
        numbers: tuple[str, ...] = ("81",) if parameter else ("80", "81")
    elif sof == 0xC3 and parameter != 1:
        numbers = ("57",)
    else:
        numbers = _SYNTAXES_OF_SOF.get(sof, ())
    if not numbers:
        raise DicomError(f"The {what} is of process SOF {sof:02X}, which DICOM does not know.")
    return tuple(JPEG_FAMILY + number for number in numbers)


def _jpeg_loss(sof: int, scan: bytes) -> str:
    """The method of what cannot but lose something: the DCT of JPEG, JPEG-LS with NEAR."""
    if sof == _SOF_JPEG_LS:
        return "ISO_14495_1" if scan[-3] else ""
    return "" if sof in _LOSSLESS else "ISO_10918_1"


def _jpeg_colours(seen: _Jpeg, components: list[bytes]) -> str:
    if len(components) == 1:
        return "MONOCHROME2"
    names = bytes(component[0] for component in components)
    if seen.sof in _LOSSLESS or seen.adobe == 0 or names == b"RGB":
        return "RGB"
    subsampled = components[0][1] != components[1][1]
    return "YBR_FULL_422" if subsampled else "YBR_FULL"


def _jpeg_ls(data: StreamBytes) -> ImageHeader:
    found = _jpeg(data, "JPEG-LS image")
    if not found.syntaxes[0].endswith((".80", ".81")):
        raise DicomError("The JPEG-LS image is a JPEG image: image/jpeg is its media type.")
    return found


def _plain_jpeg(data: StreamBytes) -> ImageHeader:
    found = _jpeg(data)
    if found.syntaxes[0].endswith((".80", ".81")):
        raise DicomError("The JPEG image is a JPEG-LS image: image/jls is its media type.")
    return found


# --- JPEG 2000 -------------------------------------------------------------------------------

_JP2_SIGNATURE: Final = b"\0\0\0\x0cjP  "
_RPCL: Final = 2
_SIZ, _CAP, _COD, _SOT = 0xFF51, 0xFF50, 0xFF52, 0xFF90
_NEEDS_PART_15: Final = 0x4000  # of Rsiz (T.814, A.2)
_LOSSY_METHODS: Final = ("ISO_15444_1", "ISO_15444_15")
"""What the wavelet 9-7 lost (T.800, table A.20), without and with Part 15 (PS3.3, C.7.6.1.1.5)."""


def _jpeg_2000(
    data: StreamBytes,
    family: Callable[[bool, int], tuple[str, ...]],
    *,
    high_throughput: bool = False,
) -> ImageHeader:
    """`family`: syntaxes for (reversible, progression order)."""
    start, length = _codestream(data)
    segments, tiles = _main_header(data, start)
    if _SIZ not in segments or _COD not in segments:
        raise DicomError("The JPEG 2000 image has no markers SIZ and COD before its first tile.")
    size, coding = segments[_SIZ], segments[_COD]
    if len(size) < 39 or len(coding) < 10:
        raise DicomError("The markers SIZ and COD of the JPEG 2000 image are too short.")
    capabilities, width, height, left, top = unpack_from(">H4I", size)
    if capabilities & _NEEDS_PART_15 and not high_throughput and _CAP not in segments:
        raise DicomError(
            "The marker SIZ of the JPEG 2000 image is damaged: it asks for Part 15, whose marker "
            "CAP is not there."
        )
    if bool(capabilities & _NEEDS_PART_15) != high_throughput:
        found, kind = ("HTJ2K", "image/jphc") if not high_throughput else ("J2K", "image/jp2")
        raise DicomError(f"The JPEG 2000 image is {found}: {kind} is its media type.")
    (samples,) = unpack_from(">H", size, 34)
    reversible, mixed = coding[9] == 1, coding[4] == 1
    colours = ("YBR_RCT" if reversible else "YBR_ICT") if mixed else "RGB"
    return ImageHeader(
        height - top,
        width - left,
        samples,
        (size[36] & 0x7F) + 1,
        bool(size[36] & 0x80),
        colours if samples > 1 else "MONOCHROME2",
        tuple(JPEG_FAMILY + number for number in family(reversible, coding[1])),
        start,
        length,
        "" if reversible else _LOSSY_METHODS[high_throughput],
        padded=True,
        coded=tiles - start,
    )


def _codestream(data: StreamBytes) -> tuple[int, int]:
    """Where the codestream is: DICOM holds it without the boxes of a file (PS3.5, A.4.4)."""
    what = "JPEG 2000 image"
    if data.get(0, min(8, data.length), what) != _JP2_SIGNATURE:
        return 0, data.length
    for box in boxes(data, 0, data.length, what):
        if box.kind == b"jp2c":
            return box.start, box.end - box.start
    raise DicomError("The JP2 file has no codestream (jp2c).")


def _main_header(data: StreamBytes, start: int) -> tuple[dict[int, bytes], int]:
    """The marker segments, and where the first tile-part begins."""
    what = "JPEG 2000 image"
    if data.get(start, 2, what) != b"\xff\x4f":
        raise DicomError(f"The {what} does not begin with the marker SOC (FF4F).")
    segments: dict[int, bytes] = {}
    at = start + 2
    while (marker := data.number(at, 2, what)) != _SOT:
        size = data.number(at + 2, 2, what)
        if marker >> 8 != 0xFF or size < 2:
            raise DicomError(f"The {what} has {marker:04X} at byte {at} instead of a marker.")
        segments[marker] = data.get(at + 4, size - 2, what)
        at += 2 + size
    return segments, at


def _part_1(reversible: bool, _order: int) -> tuple[str, ...]:
    return ("90", "91") if reversible else ("91",)


def _part_2(reversible: bool, _order: int) -> tuple[str, ...]:
    return ("92", "93") if reversible else ("93",)


def _high_throughput(reversible: bool, order: int) -> tuple[str, ...]:
    if not reversible:
        return ("203",)
    return ("201", "202", "203") if order == _RPCL else ("201", "203")


# --- RLE -------------------------------------------------------------------------------------


def _rle(data: StreamBytes) -> ImageHeader:
    """PS3.5, G.5: only the number of segments is known, one for each byte of a pixel."""
    count, first = unpack_from("<2I", data.get(0, 64, "RLE frame"))
    if not 1 <= count <= 15 or first != 64:
        raise DicomError("The RLE frame has no header of 1 to 15 segments (PS3.5, G.5).")
    return ImageHeader(0, 0, count, 8, None, "", (RLE_LOSSLESS,), 0, data.length)


_READERS: Final[Mapping[str, Callable[[StreamBytes], ImageHeader]]] = {
    "image/jpeg": _plain_jpeg,
    "image/jls": _jpeg_ls,
    "image/jp2": lambda data: _jpeg_2000(data, _part_1),
    "image/jpx": lambda data: _jpeg_2000(data, _part_2),
    "image/jxl": read_jpeg_xl,
    "image/jphc": lambda data: _jpeg_2000(data, _high_throughput, high_throughput=True),
    "image/dicom-rle": _rle,
}
