"""JPEG 2000 and HTJ2K (PS3.5, 8.2.4, 8.2.14, A.4.4 and A.4.9), decoded; `jpeg_2000_encode`."""

from __future__ import annotations

from struct import unpack_from

from dicomweb_server.dicom.bitstreams import read_image_header
from dicomweb_server.dicom.image_header import ImageHeader
from dicomweb_server.imaging import Image, ImageFormat
from dicomweb_server.imaging.image import Pixels
from dicomweb_server.interfaces.codecs import CodecError

from .jpeg_2000_encode import HIGH_THROUGHPUT, PART_1, can_encode, encode
from .jpeg_2000_reduced import reduced
from .samples import Found, as_declared, check_declared, to_words

__all__ = ["PART_2", "SYNTAXES", "can_encode", "decode", "encode"]

PART_2 = frozenset(("1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.93"))
SYNTAXES = PART_1 | PART_2 | HIGH_THROUGHPUT
_WHAT = "JPEG 2000 image"
_SIZ, _SOT, _EOC = b"\xff\x51", 0xFF90, b"\xff\xd9"
_FEW_TILES = 64
_SMALLEST_TILE = 4096
_SHORTEST_PART = 14
_MOST_PARTS = 1 << 20
_MOST_BITS_HT = 16
"""Of HTJ2K in OpenJPEG, measured."""


def decode(frame: bytes, syntax: str, form: ImageFormat, reduce: int) -> Image:
    """The pixels; RGB if the bit stream says that its colours are transformed."""
    header = _header(frame, syntax)
    stream = frame[header.start : header.start + header.length]
    found = Found(
        _WHAT, header.rows, header.columns, header.samples, header.precision, header.signed
    )
    check_declared(found, form, len(stream))
    _check_size_marker(stream, form)
    _check_tile_parts(stream)
    transformed = form.samples == 3 and header.photometric.startswith("YBR")
    photometric = "RGB" if transformed else as_declared(form)
    pixels = reduced(stream, found, form, reduce) if reduce else None
    if pixels is None:
        pixels = _pixels(stream, syntax, header.precision)
    return to_words(pixels, found, form, photometric)


def _header(frame: bytes, syntax: str) -> ImageHeader:
    kind = "image/jp2" if syntax in PART_1 else "image/jpx"
    if syntax in HIGH_THROUGHPUT:
        kind = "image/jphc"
    return read_image_header(kind, lambda at, n: frame[at : at + n], 0, len(frame))


def _pixels(stream: bytes, syntax: str, precision: int) -> Pixels:
    """OpenJPEG wherever it can: it tells of damage, and numbers stay within their range.

    OpenJPH is twice as fast with HTJ2K, but its binding loses the errors of code-blocks, and lets
    numbers of lossy images run over.
    """
    import imagecodecs

    if syntax in HIGH_THROUGHPUT and precision > _MOST_BITS_HT:
        return imagecodecs.htj2k_decode(stream, planar=False)
    return imagecodecs.jpeg2k_decode(stream, planar=False, numthreads=1)


def _check_size_marker(stream: bytes, form: ImageFormat) -> None:
    """SIZ (T.800, A.5.1): tiles cost memory, and components must be alike."""
    if stream[2:4] != _SIZ:
        raise CodecError(f"The {_WHAT} does not begin with the markers SOC and SIZ.")
    width, height, _, _, tile_width, tile_height, left, top = unpack_from(">8I", stream, 8)
    if not tile_width or not tile_height or left >= width or top >= height:
        raise CodecError(f"The tiles of the {_WHAT} have no size (T.800, A.5.1).")
    across, down = -(-(width - left) // tile_width), -(-(height - top) // tile_height)
    if across * down > max(_FEW_TILES, form.rows * form.columns // _SMALLEST_TILE):
        raise CodecError(
            f"The {_WHAT} has {across * down} tiles for {form.rows * form.columns} pixels; "
            f"possible is one for {_SMALLEST_TILE}, or {_FEW_TILES}."
        )
    components = {stream[at : at + 3] for at in range(42, 42 + 3 * form.samples, 3)}
    if len(components) > 1 or any(each[1:] != b"\1\1" for each in components):
        raise CodecError(f"The components of the {_WHAT} differ in bits, sign or size.")


def _check_tile_parts(stream: bytes) -> None:
    """Whether all tile-parts (T.800, A.4.2) and the end are there: decoders do without some."""
    at, parts = 2, 0
    while (marker := int.from_bytes(stream[at : at + 2])) != _SOT:
        if marker >> 8 != 0xFF:
            raise CodecError(f"The {_WHAT} has no tile-parts.")
        at += 2 + int.from_bytes(stream[at + 2 : at + 4])
    while int.from_bytes(stream[at : at + 2]) == _SOT and parts < _MOST_PARTS:
        length = int.from_bytes(stream[at + 6 : at + 10])
        if not length:
            at = stream.rfind(_EOC)
            break
        if length < _SHORTEST_PART:
            raise CodecError(f"The {_WHAT} has a tile-part of {length} bytes.")
        at, parts = at + length, parts + 1
    if at < 0 or stream[at : at + 2] != _EOC:
        raise CodecError(f"The {_WHAT} ends without the marker EOC (FFD9): it was cut.")
