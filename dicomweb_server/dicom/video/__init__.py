"""What the headers of a video tell of it (PS3.5, 8.2.5 to 8.2.11); nothing is decoded.

MPEG-2, H.264 and HEVC; alone, in program and transport streams, and, but for MPEG-2, in MP4 files.
"""

from __future__ import annotations

from typing import Final

from dicomweb_server.dicom.errors import DicomError
from dicomweb_server.dicom.image_header import ImageHeader
from dicomweb_server.dicom.stream_bytes import StreamBytes
from dicomweb_server.dicom.views import ReadRange

from .elementary import read_elementary
from .header import FAMILY, Coded, VideoHeader
from .mp4 import FIRST_BOXES, read_mp4
from .packets import PACK, from_program, from_transport, transport_layout

__all__ = ["VideoHeader", "read_video_header"]

_BEGINNING: Final = 4 << 20
"""Bytes in which streams of packets have a sequence header: they repeat it every few seconds."""
_PIECES: Final = 200_000
"""Parts of an MP4 file that are read at most: hours of movie fragments have as many."""
_METHODS: Final = {"MPEG-2": "ISO_13818_2", "H.264": "ISO_14496_10", "HEVC": "ISO_23008_2"}
"""Lossy Image Compression Method (PS3.3, C.7.6.1.1.5.1)."""


def read_video_header(read: ReadRange, offset: int, length: int) -> VideoHeader:
    """The header of one video.

    Args:
        read: gives the bytes of the stream in which the video lies at `offset`.

    Raises:
        DicomError: the bytes are no video.
    """
    data = StreamBytes(read, offset, length, limit=length, pieces=_PIECES)
    first = data.get(0, min(length, 8), "video")
    if first[4:] in FIRST_BOXES:
        coded, frames, rate = read_mp4(data)
    else:
        coded = _coded(data.get(0, min(length, _BEGINNING), "video"))
        frames, rate = None, coded.rate
    if not (coded.rows and coded.columns):
        raise DicomError(f"The video, {_kind(coded)}, does not tell the size of its frames.")
    return VideoHeader(_image(coded, length), _kind(coded), frames, rate)


def _coded(beginning: bytes) -> Coded:
    layout = transport_layout(beginning)
    if layout is not None:
        return read_elementary(from_transport(beginning, layout), "transport stream")
    if beginning[:4] == PACK or (beginning[:3] == b"\0\0\1" and beginning[3:4] >= b"\xbb"):
        return read_elementary(from_program(beginning), "program stream")
    if beginning.lstrip(b"\0")[:1] == b"\1" and beginning[:2] == b"\0\0":
        return read_elementary(beginning, "video")
    raise DicomError(
        f"The video begins with the bytes {beginning[:8].hex().upper()!r}; possible are MP4 files, "
        "transport, program and elementary streams of MPEG-2, H.264 and HEVC."
    )


def _image(coded: Coded, length: int) -> ImageHeader:
    """PS3.5, 8.2.5 to 8.2.11, ask for the same values of all videos."""
    return ImageHeader(
        coded.rows,
        coded.columns,
        3,
        coded.precision,
        False,
        "YBR_PARTIAL_420",
        tuple(FAMILY + number for number in coded.syntaxes),
        0,
        length,
        _METHODS[coded.codec],
    )


def _kind(coded: Coded) -> str:
    return f"{coded.codec}, {coded.profile} Profile, level {coded.level}"
