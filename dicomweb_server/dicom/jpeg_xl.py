"""What the headers of a JPEG XL image tell (ISO/IEC 18181-1, D; PS3.5, 8.2.15 and A.4.12).

The headers end where entropy coding begins. An ICC profile or a preview lies before the header of
the frame, which then is not read: it alone says how the samples are coded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .bits import LowBits
from .errors import DicomError
from .image_header import ImageHeader
from .jpeg_xl_file import Codestream, find_codestream
from .stream_bytes import StreamBytes

WHAT: Final = "JPEG XL image"
_FAMILY: Final = "1.2.840.10008.1.2.4."
_LOSSLESS, _RECOMPRESSED, _ANY = (_FAMILY + number for number in ("110", "111", "112"))
_JPEG_XL: Final = "ISO_18181_1"
_JPEG: Final = "ISO_10918_1"

_LENGTHS: Final = ((1, 9), (1, 13), (1, 18), (1, 30))
_PREVIEW: Final = ((1, 6), (65, 8), (321, 10), (1345, 12))
_PREVIEW_IN_EIGHTS: Final = ((16, 0), (32, 0), (1, 5), (33, 9))
_RATIOS: Final = ((1, 1), (1, 1), (6, 5), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_ENUM: Final = ((0, 0), (1, 0), (2, 4), (18, 6))
_WHOLE: Final = ((8, 0), (10, 0), (12, 0), (1, 6))
_EXTRA: Final = ((0, 0), (1, 0), (2, 4), (1, 12))
_CHROMATICITY: Final = ((0, 19), (524288, 19), (1048576, 20), (2097152, 21))
_GREY, _XYB = 1, 2  # colour spaces
_CUSTOM: Final = 2  # white point or primaries that numbers follow
_F16: Final = 16
_OPSIN: Final = 16  # numbers of a matrix of its own for XYB
_UPSAMPLING: Final = (15, 55, 210)  # weights of their own for each factor
_VARDCT, _MODULAR, _UNKNOWN = "VarDCT", "modular", ""


@dataclass(slots=True)
class _Header:
    """What was read; the defaults are those of a header that says nothing more (D.3.1)."""

    rows: int = 0
    columns: int = 0
    precision: int = 8
    turned: bool = False
    xyb: bool = True
    grey: bool = False
    profile: bool = False
    preview: bool = False
    coding: str = _UNKNOWN
    ycbcr: bool = False


def read_jpeg_xl(data: StreamBytes) -> ImageHeader:
    """The header of one image, bare or in a file with boxes; raises `DicomError`."""
    stream = find_codestream(data, WHAT)
    header = _read(LowBits(stream.beginning, WHAT))
    rows, columns = header.rows, header.columns
    if header.turned:  # decoders give the image as it is to be seen
        rows, columns = columns, rows
    syntaxes, lossy = _syntaxes(header, stream)
    return ImageHeader(
        rows,
        columns,
        1 if header.grey else 3,
        header.precision,
        None,
        _colours(header, stream.reconstructs_jpeg),
        syntaxes,
        stream.start,
        stream.length,
        lossy,
        padded=True,
    )


def _syntaxes(header: _Header, stream: Codestream) -> tuple[tuple[str, ...], str]:
    """Transfer syntaxes and the lossy method (PS3.5, A.4.12; PS3.3, C.7.6.1.1.5).

    Modular coding may have lost something too; only its sender knows.
    """
    if stream.reconstructs_jpeg:
        return (_RECOMPRESSED, _ANY), _JPEG
    if header.xyb:
        return (_ANY,), _JPEG_XL
    if header.coding == _VARDCT:
        return (_ANY, _RECOMPRESSED), ""  # the loss may be that of a JPEG image
    if header.coding == _MODULAR:
        return (_LOSSLESS, _ANY), ""
    return (_ANY, _LOSSLESS, _RECOMPRESSED), ""


def _colours(header: _Header, jpeg: bool) -> str:
    """PS3.5, table 8.2.15-1; a JPEG image is YCbCr if it does not say something else."""
    if header.grey:
        return "MONOCHROME2"
    if header.xyb:
        return "XYB"
    return "YBR_FULL_422" if header.ycbcr or (jpeg and not header.coding) else "RGB"


def _read(bits: LowBits) -> _Header:
    header = _Header()
    bits.u(16)  # the signature, which was looked at
    header.rows, header.columns = _size(bits)
    if not bits.flag():
        _metadata(bits, header)
    if not (header.xyb or header.profile or header.preview):
        _transform(bits)
        bits.align()
        _frame(bits, header)
    return header


def _size(bits: LowBits) -> tuple[int, int]:
    """SizeHeader (D.2): rows and columns, the latter often as a ratio."""
    in_eights = bits.flag()

    def length() -> int:
        return 8 * (1 + bits.u(5)) if in_eights else bits.u32(*_LENGTHS)

    rows = length()
    ratio = bits.u(3)
    if not ratio:
        return rows, length()
    width, height = _RATIOS[ratio]
    return rows, rows * width // height


def _metadata(bits: LowBits, header: _Header) -> None:
    """ImageMetadata (D.3) that is not all default."""
    extra_fields = bits.flag()
    if extra_fields:
        _more(bits, header)
    if bits.flag():
        raise DicomError(
            f"The {WHAT} has floating point samples; possible are whole numbers (PS3.5, 8.2.15)."
        )
    header.precision = bits.u32(*_WHOLE)
    bits.u(1)  # whether 16 bits are enough for buffers
    if channels := bits.u32(*_EXTRA):
        raise DicomError(
            f"The {WHAT} has {channels} channels beside its colours, such as alpha; possible are 1 "
            "or 3 samples per pixel (PS3.5, 8.2.15)."
        )
    header.xyb = bits.flag()
    _colour_encoding(bits, header)
    if extra_fields and not bits.flag():
        bits.u(2 * _F16 + 1 + _F16)  # tone mapping
    _extensions(bits)


def _more(bits: LowBits, header: _Header) -> None:
    """Orientation, intrinsic size, preview and animation (D.3.1)."""
    header.turned = bits.u(3) >= 4  # 5 to 8, counted from 0: rows become columns
    if bits.flag():
        _size(bits)
    header.preview = bits.flag()
    if header.preview:
        _preview(bits)
    if bits.flag():
        raise DicomError(
            f"The {WHAT} is an animation; possible is one image for each frame (PS3.5, A.4.12)."
        )


def _preview(bits: LowBits) -> None:
    """PreviewHeader (D.3.4)."""
    choices = _PREVIEW_IN_EIGHTS if bits.flag() else _PREVIEW
    bits.u32(*choices)
    if not bits.u(3):
        bits.u32(*choices)


def _colour_encoding(bits: LowBits, header: _Header) -> None:
    """ColourEncoding (E.2)."""
    if bits.flag():
        return  # sRGB
    header.profile = bits.flag()
    space = bits.u32(*_ENUM)
    header.grey = space == _GREY
    if header.profile:
        return
    if space != _XYB:
        if bits.u32(*_ENUM) == _CUSTOM:
            _chromaticities(bits, 1)
        if space != _GREY and bits.u32(*_ENUM) == _CUSTOM:
            _chromaticities(bits, 3)
        if bits.flag():
            bits.u(24)  # gamma
        else:
            bits.u32(*_ENUM)  # transfer function
    bits.u32(*_ENUM)  # rendering intent


def _chromaticities(bits: LowBits, count: int) -> None:
    for _ in range(2 * count):
        bits.u32(*_CHROMATICITY)


def _extensions(bits: LowBits) -> None:
    """Extensions (B.3): a length for each, then all of them."""
    present = bits.u64()
    bits.u(sum(bits.u64() for _ in range(present.bit_count())))


def _transform(bits: LowBits) -> None:
    """What stands behind the metadata of an image that is not XYB (D.1, K.2)."""
    if bits.flag():
        return
    given = bits.u(3)
    for position, weights in enumerate(_UPSAMPLING):
        if given >> position & 1:
            bits.u(weights * _F16)


def _frame(bits: LowBits, header: _Header) -> None:
    """The beginning of the frame header (F.2)."""
    if bits.flag():
        header.coding = _VARDCT
        return
    bits.u(2)  # its type
    header.coding = _MODULAR if bits.flag() else _VARDCT
    bits.u64()  # flags
    header.ycbcr = bits.flag()
