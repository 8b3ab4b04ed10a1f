"""Attributes of pixel data that the header of a compressed image tells too (PS3.3, C.7.6.3)."""

from __future__ import annotations

from typing import Any, Final

from dicomweb_server.dicom.bitstreams import RLE_LOSSLESS
from dicomweb_server.dicom.image_header import ImageHeader
from dicomweb_server.dicom.instance import first_text
from dicomweb_server.ps318.store_response import DATA_SET_DOES_NOT_MATCH_SOP_CLASS
from dicomweb_server.services.bulk_parts import NotStorable

Attributes = dict[str, dict[str, Any]]

_NAMES: Final = {
    "00280002": "Samples per Pixel",
    "00280010": "Rows",
    "00280011": "Columns",
    "00280103": "Pixel Representation",
}
_SAMPLES, _PHOTOMETRIC, _PLANAR = "00280002", "00280004", "00280006"
_ALLOCATED, _STORED, _HIGH_BIT, _REPRESENTATION = "00280100", "00280101", "00280102", "00280103"
_LOSSY, _LOSSY_METHOD = "00282110", "00282114"
_OF_ONE_SAMPLE: Final = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")


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
        NotStorable: attributes that are there contradict the bit stream.
    """
    if header.syntaxes == (RLE_LOSSLESS,):
        _check_segments(attributes, header.samples)
        return
    _check(attributes, header)
    allocated = 8 if header.precision <= 8 else 16 if header.precision <= 16 else 32
    stored = number(attributes, _STORED) or header.precision
    told = {
        "00280010": header.rows,
        "00280011": header.columns,
        _SAMPLES: header.samples,
        _ALLOCATED: allocated,
        _STORED: stored,
        _HIGH_BIT: stored - 1,
        _REPRESENTATION: int(bool(header.signed)),
    }
    if header.samples > 1:
        told[_PLANAR] = 0
    for key, value in told.items():
        if number(attributes, key) is None:
            attributes[key] = {"vr": "US", "Value": [value]}
    if not first_text(attributes, _PHOTOMETRIC):
        attributes[_PHOTOMETRIC] = {"vr": "CS", "Value": [header.photometric]}
    _tell_loss(attributes, header.lossy)


def _tell_loss(attributes: Attributes, method: str) -> None:
    """What lost something stays lossy (PS3.3, C.7.6.1.1.5); `method`: "" if that is not known."""
    if not method:
        return
    if first_text(attributes, _LOSSY) == "00":
        raise _contradiction("Lossy Image Compression", "00", f"lossy compression ({method})")
    for key, value in ((_LOSSY, "01"), (_LOSSY_METHOD, method)):
        if not first_text(attributes, key):
            attributes[key] = {"vr": "CS", "Value": [value]}


def _check(attributes: Attributes, header: ImageHeader) -> None:
    told = {"00280002": header.samples, "00280011": header.columns}
    if header.rows:  # JPEG may tell them at the end of the image only
        told["00280010"] = header.rows
    if header.signed is not None:
        told["00280103"] = int(header.signed)
    for key, value in told.items():
        found = number(attributes, key)
        if found is not None and found != value:
            raise _contradiction(_NAMES[key], found, str(value))
    precision, allocated = header.precision, number(attributes, _ALLOCATED)
    if allocated is not None and allocated < precision:
        raise _contradiction("Bits Allocated", allocated, f"{precision} bits")
    stored = number(attributes, _STORED)
    if stored is not None and stored > precision:
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
