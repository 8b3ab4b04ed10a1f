"""Attributes of pixel data (PS3.3, C.7.6.3), and what a compressed image tells of them too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dicomweb_server.dicom.bitstreams import RLE_LOSSLESS
from dicomweb_server.dicom.image_header import ImageHeader
from dicomweb_server.dicom.instance import first_text
from dicomweb_server.ps318.store_response import DATA_SET_DOES_NOT_MATCH_SOP_CLASS
from dicomweb_server.services.bulk_parts import NotStorable

Attributes = dict[str, dict[str, Any]]

_NAMES: Final = {
    "00280002": "Samples per Pixel",
    "00280004": "Photometric Interpretation",
    "00280006": "Planar Configuration",
    "00280010": "Rows",
    "00280011": "Columns",
    "00280100": "Bits Allocated",
    "00280101": "Bits Stored",
    "00280102": "High Bit",
    "00280103": "Pixel Representation",
}
_SAMPLES, _PHOTOMETRIC, _PLANAR = "00280002", "00280004", "00280006"
_ROWS, _COLUMNS = "00280010", "00280011"
_ALLOCATED, _STORED, _HIGH_BIT, _REPRESENTATION = "00280100", "00280101", "00280102", "00280103"
_LOSSY, _LOSSY_METHOD = "00282110", "00282114"
_OF_ONE_SAMPLE: Final = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_NOT_OF_FLOATS: Final = (_STORED, _HIGH_BIT, _REPRESENTATION)  # PS3.3, C.7.6.24 and C.7.6.25
_JPEG_XL: Final = "1.2.840.10008.1.2.4.11"
_FLOATS: Final = ("7FE00008", "7FE00009")


def number(attributes: Attributes, key: str) -> int | None:
    """The first value of an element as a whole number, also if it came as text; else None."""
    values = attributes.get(key, {}).get("Value") or [None]
    value = values[0]
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) else None


def fill(attributes: Attributes, header: ImageHeader) -> None:
    """Add what is missing and the bit stream tells.

    Raises:
        NotStorable: attributes that are there contradict the bit stream, or what it does not tell
            is missing.
    """
    if header.syntaxes == (RLE_LOSSLESS,):
        _check_segments(attributes, header.samples)
        demand(attributes)
        _check_high_bit(attributes)
        return
    _check(attributes, header)
    _check_high_bit(attributes)
    allocated = 8 if header.precision <= 8 else 16 if header.precision <= 16 else 32
    stored = number(attributes, _STORED) or header.precision
    told = {
        _SAMPLES: header.samples,
        _ALLOCATED: allocated,
        _STORED: stored,
        _HIGH_BIT: stored - 1,
    } | _told(header)
    if header.syntaxes[0].startswith(_JPEG_XL):
        told.setdefault(_REPRESENTATION, 0)  # ISO/IEC 18181-1 knows no signs
    for key, value in told.items():
        if number(attributes, key) is None:
            attributes[key] = {"vr": "US", "Value": [value]}
    if not first_text(attributes, _PHOTOMETRIC):
        attributes[_PHOTOMETRIC] = {"vr": "CS", "Value": [header.photometric]}
    demand(attributes)
    tell_loss(attributes, header.lossy)


def _told(header: ImageHeader) -> dict[str, int]:
    """What only some bit streams tell: JPEG may have its rows at the end of the image only."""
    told = {_ROWS: header.rows, _COLUMNS: header.columns} if header.rows else {}
    if header.signed is not None:
        told[_REPRESENTATION] = int(header.signed)
    if header.samples > 1:  # PS3.5, tables of 8.2.1 and 8.2.3 to 8.2.15
        told |= {_REPRESENTATION: int(bool(header.signed)), _PLANAR: 0}
    return told


def demand(attributes: Attributes, key: str = "7FE00010") -> None:
    """Raise `NotStorable` if pixel data (of the element `key`) lack what is Type 1 or 1C."""
    wanted = set(_NAMES) - set(_NOT_OF_FLOATS if key in _FLOATS else ())
    if (number(attributes, _SAMPLES) or 1) == 1:
        wanted.discard(_PLANAR)
    missing = [
        f"{_NAMES[tag]} ({tag[:4]},{tag[4:]})"
        for tag in sorted(wanted)
        if (not first_text(attributes, tag) if tag == _PHOTOMETRIC else _lacks(attributes, tag))
    ]
    if missing:
        raise NotStorable(
            f"the metadata lack {', '.join(missing)}, which the pixel data do not tell "
            f"(PS3.3, C.7.6.3: Type 1)",
            DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
        )


def _lacks(attributes: Attributes, tag: str) -> bool:
    return number(attributes, tag) is None


def check_runs(attributes: Attributes, sizes: Sequence[int], frame: int) -> None:
    """Raise `NotStorable` unless each RLE segment yields a byte for each pixel (PS3.5, G.2).

    `sizes`: what the segments of this frame yield.
    """
    rows, columns = number(attributes, _ROWS) or 0, number(attributes, _COLUMNS) or 0
    for segment, size in enumerate(sizes, 1):
        if size != rows * columns:
            raise _contradiction(
                "Rows times Columns",
                f"{rows} x {columns} = {rows * columns}",
                f"{size} bytes in segment {segment} of frame {frame}",
            )


def _check_high_bit(attributes: Attributes) -> None:
    """High Bit is one less than Bits Stored (PS3.3, C.7.6.3.1; PS3.5, tables of 8.2)."""
    stored, high = number(attributes, _STORED), number(attributes, _HIGH_BIT)
    if stored is not None and high is not None and high != stored - 1:
        raise NotStorable(
            f"High Bit is {high}, and Bits Stored is {stored}: possible is {stored - 1}",
            DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
        )


def check_loss(attributes: Attributes) -> None:
    """Raise `NotStorable` for a Lossy Image Compression that is none (PS3.3, C.7.6.1.1.5)."""
    values = attributes.get(_LOSSY, {}).get("Value") or [None]
    told = "\\".join("" if value is None else str(value) for value in values).strip()
    if told not in ("", "00", "01"):
        raise NotStorable(
            f"Lossy Image Compression is {told[:100]}: possible are 00 and 01",
            DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
        )


def tell_loss(attributes: Attributes, method: str) -> None:
    """What lost something stays lossy (PS3.3, C.7.6.1.1.5); `method`: "" if that is not known.

    Raises NotStorable if the metadata say that nothing was lost.
    """
    if not method:
        return
    if first_text(attributes, _LOSSY).strip() == "00":
        raise _contradiction("Lossy Image Compression", "00", f"lossy compression ({method})")
    for key, value in ((_LOSSY, "01"), (_LOSSY_METHOD, method)):
        if not first_text(attributes, key):
            attributes[key] = {"vr": "CS", "Value": [value]}


def _check(attributes: Attributes, header: ImageHeader) -> None:
    told = {_SAMPLES: header.samples, _COLUMNS: header.columns} | _told(header)
    for key, value in told.items():
        found = number(attributes, key)
        if found is not None and found != value:
            raise _contradiction(_NAMES[key], found, str(value))
    precision, allocated = header.precision, number(attributes, _ALLOCATED)
    if allocated is not None and allocated < precision:
        raise _contradiction("Bits Allocated", allocated, f"{precision} bits")
    stored = number(attributes, _STORED)
    # Lossless encoders often code all of Bits Allocated, which keeps every bit that is stored, or
    # no more bits than the values need: those above are copies of the sign, or 0.
    fits = stored is None or stored == precision
    if header.padded and stored is not None:
        fits = fits or stored > precision or precision == (allocated or precision)
    if not fits:
        raise _contradiction("Bits Stored", stored, f"{precision} bits")
    photometric = first_text(attributes, _PHOTOMETRIC)
    if photometric and (photometric in _OF_ONE_SAMPLE) != (header.samples == 1):
        found_samples = f"{header.samples} samples per pixel"
        raise _contradiction("Photometric Interpretation", photometric, found_samples)


def _check_segments(attributes: Attributes, segments: int) -> None:
    """RLE has one segment for each byte of a pixel (PS3.5, G.2)."""
    samples, allocated = number(attributes, _SAMPLES), number(attributes, _ALLOCATED)
    if samples and allocated and samples * ((allocated + 7) // 8) != segments:
        raise _contradiction(
            "Samples per Pixel times Bits Allocated", samples * allocated, f"{segments} segments"
        )


def _contradiction(name: str, found: object, told: str) -> NotStorable:
    return NotStorable(
        f"{name} is {found}, the bit stream of the pixel data has {told}",
        DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
    )
