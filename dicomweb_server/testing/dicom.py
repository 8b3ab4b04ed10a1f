"""Makers of small DICOM files, as bytes, and of the bodies that carry them."""

from __future__ import annotations

import io
import uuid
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from dicomweb_server.imaging import Image, pack

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
UNCOMPRESSED = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

_CHUNK = 1 << 20


def new_uid() -> str:
    """A UID that nobody else has."""
    return f"2.25.{uuid.uuid4().int}"


def make_dataset(**attributes: Any) -> Dataset:
    """A data set of a secondary capture; attributes by keyword, None removes one."""
    data_set = Dataset()
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": SECONDARY_CAPTURE,
        "SOPInstanceUID": new_uid(),
        "StudyInstanceUID": new_uid(),
        "SeriesInstanceUID": new_uid(),
        "PatientID": "P1",
        "PatientName": "Doe^Jane",
        "Modality": "OT",
    }
    for keyword, value in (values | attributes).items():
        if value is not None:
            setattr(data_set, keyword, value)
    return data_set


def write_dataset(data_set: Dataset, transfer_syntax: str = EXPLICIT) -> bytes:
    """A DICOM file (PS3.10) with the data set."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.MediaStorageSOPClassUID = UID(data_set.get("SOPClassUID") or SECONDARY_CAPTURE)
    meta.MediaStorageSOPInstanceUID = UID(data_set.get("SOPInstanceUID") or new_uid())
    data_set.file_meta = meta
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(buffer, data_set, enforce_file_format=True)
    return buffer.getvalue()


def make_instance(
    *, transfer_syntax: str = EXPLICIT, pixels: bytes | None = None, **attributes: Any
) -> bytes:
    """A small DICOM file.

    `attributes` by keyword; None leaves one of the usual ones out. `pixels`: bytes of an 8 bit
    image of one row, which make the file as large as is wanted; an even number of them.
    """
    if pixels is not None:
        image = {
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": 1,
            "Columns": min(len(pixels), 0xFFFF),
            "BitsAllocated": 8,
            "BitsStored": 8,
            "HighBit": 7,
            "PixelRepresentation": 0,
            "PixelData": pixels,
        }
        attributes = image | attributes
    data_set = make_dataset(**attributes)
    if pixels is not None:
        data_set["PixelData"].VR = "OW" if transfer_syntax == IMPLICIT else "OB"
    return write_dataset(data_set, transfer_syntax)


def make_picture(
    images: Sequence[Image], transfer_syntax: str = EXPLICIT, **attributes: Any
) -> bytes:
    """A file with native frames of one format."""
    form = images[0].format
    picture: dict[str, Any] = {
        "SamplesPerPixel": form.samples,
        "PhotometricInterpretation": form.photometric,
        "Rows": form.rows,
        "Columns": form.columns,
        "BitsAllocated": form.allocated,
        "BitsStored": form.stored,
        "HighBit": form.high_bit,
        "PixelRepresentation": int(form.signed),
    }
    if form.samples > 1:
        picture["PlanarConfiguration"] = 0
    if len(images) > 1:
        picture["NumberOfFrames"] = len(images)
    frames = b"".join(pack(image) for image in images)
    big = transfer_syntax == BIG_ENDIAN and form.allocated == 16
    pixels = np.frombuffer(frames, "<u2").byteswap().tobytes() if big else frames
    data_set = make_dataset(**picture | attributes)
    data_set.PixelData = pixels + b"\0" * (len(pixels) % 2)
    data_set["PixelData"].VR = "OW" if form.allocated > 8 or transfer_syntax == IMPLICIT else "OB"
    return write_dataset(data_set, transfer_syntax)


def make_study(*, series: int = 2, instances: int = 3, **attributes: Any) -> list[bytes]:
    """The files of one study, in the order of series and instance number."""
    shared = {"StudyInstanceUID": new_uid()} | attributes
    files = []
    for number in range(1, series + 1):
        of_series = {"SeriesInstanceUID": new_uid(), "SeriesNumber": number}
        files += [
            make_instance(**shared | of_series | {"InstanceNumber": each})
            for each in range(1, instances + 1)
        ]
    return files


def large_instance(pixel_bytes: int, **attributes: Any) -> tuple[int, Iterator[bytes]]:
    """(size, pieces) of a file with that many bytes of pixel data, an even number below 4 GB.

    The pieces are made while they are taken: no file of that size is ever in memory.
    """
    header = make_instance(**attributes)
    element = b"\xe0\x7f\x10\x00OW\0\0" + pixel_bytes.to_bytes(4, "little")
    block = bytes(range(256)) * (_CHUNK // 256)

    def pieces() -> Iterator[bytes]:
        yield header + element
        for start in range(0, pixel_bytes, _CHUNK):
            yield block[: min(_CHUNK, pixel_bytes - start)]

    return len(header) + len(element) + pixel_bytes, pieces()


def read(data: bytes) -> Dataset:
    """A file as pydicom reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(io.BytesIO(data), force=True)


def uids_of(data: bytes) -> tuple[str, str, str]:
    """(study, series, instance) UIDs of a file."""
    data_set = read(data)
    return (
        str(data_set.StudyInstanceUID),
        str(data_set.SeriesInstanceUID),
        str(data_set.SOPInstanceUID),
    )


def path_of(data: bytes) -> str:
    """`studies/S/series/E/instances/I` of a file."""
    study, series, instance = uids_of(data)
    return f"studies/{study}/series/{series}/instances/{instance}"


def multipart_body(
    parts: Sequence[bytes],
    *,
    boundary: str = "example-boundary",
    part_type: str | None = "application/dicom",
    lengths: bool = True,
    newline: bytes = b"\r\n",
    preamble: bytes = b"",
    epilogue: bytes = b"",
    closed: bool = True,
) -> tuple[bytes, str]:
    """(body, Content-Type) of a multipart/related message (RFC 2387), well-formed or less so.

    `part_type`: Content-Type of each part, None for none. `lengths`: whether each part has a
    Content-Length. `newline`: what ends a line. `closed`: whether the final boundary is there.
    """
    delimiter = b"--" + boundary.encode()
    pieces = [preamble + newline] if preamble else []
    for part in parts:
        lines = [delimiter]
        if part_type is not None:
            lines.append(f"Content-Type: {part_type}".encode())
        if lengths:
            lines.append(b"Content-Length: %d" % len(part))
        pieces += [newline.join([*lines, b"", b""]), part, newline]
    if closed:
        pieces += [delimiter, b"--", newline, epilogue]
    content_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return b"".join(pieces), content_type


def split_multipart(body: bytes, content_type: str) -> list[tuple[dict[str, str], bytes]]:
    """(headers, bytes) of each part of an answer; header names in lower case.

    Raises ValueError for what no strict client would take.
    """
    _, _, boundary = content_type.partition("boundary=")
    delimiter = b"\r\n--" + boundary.partition(";")[0].strip('" ').encode()
    first, *sections = (b"\r\n" + body).split(delimiter)
    if first or not sections or sections[-1].strip(b"\r\n") != b"--":
        raise ValueError("the body does not begin and end with its boundary")
    parts = []
    for section in sections[:-1]:
        head, found, data = section.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not found:
            raise ValueError("a part has no empty line after its headers")
        pairs = (line.partition(":") for line in head.decode().split("\r\n") if line)
        parts.append(({name.lower(): value.strip() for name, _, value in pairs}, data))
    return parts
