"""What the headers of a video tell of it (PS3.5, 8.2.5 to 8.2.11); nothing is decoded.

MPEG-2, H.264 and HEVC; alone, in program and transport streams, and, but for MPEG-2, in MP4 files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dicomweb_server.dicom.errors import DicomError
from dicomweb_server.dicom.image_header import ImageHeader
from dicomweb_server.dicom.stream_bytes import StreamBytes
from dicomweb_server.dicom.views import ReadRange

from .counting import count_frames
from .elementary import read_elementary
from .header import FAMILY, Coded, VideoHeader
from .mp4 import FIRST_BOXES, read_mp4
from .packets import PACK, from_program, from_transport, transport_layout

__all__ = ["VideoHeader", "count_pictures", "read_video_header"]

_BEGINNING: Final = 4 << 20
"""Bytes in which streams of packets have a sequence header: they repeat it every few seconds."""
_PACKETS: Final = 20_000
"""Packets of a program stream that are looked at, and more in proportion where all are."""
_SMALL_PACKET: Final = 64
_PIECE: Final = 1 << 18
_LONGEST: Final = 1 << 29
"""Bytes of a stream that are counted in a few seconds."""
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
        first, step = layout
        stream = b"".join(from_transport((beginning[first:],), step))
        return read_elementary(stream, "transport stream")
    if _is_program(beginning):
        stream = b"".join(from_program((beginning,), _PACKETS))
        return read_elementary(stream, "program stream")
    if beginning.lstrip(b"\0")[:1] == b"\1" and beginning[:2] == b"\0\0":
        return read_elementary(beginning, "video")
    raise DicomError(
        f"The video begins with the bytes {beginning[:8].hex().upper()!r}; possible are MP4 files, "
        "transport, program and elementary streams of MPEG-2, H.264 and HEVC."
    )


def _is_program(beginning: bytes) -> bool:
    return beginning[:4] == PACK or (beginning[:3] == b"\0\0\1" and beginning[3:4] >= b"\xbb")


def count_pictures(read: ReadRange, offset: int, length: int) -> int | None:
    """Frames of a coded stream, which is read once; None if it does not tell, or is too long.

    An MP4 file says it in its header. Arguments and errors as of `read_video_header`.
    """
    if length > _LONGEST:
        return None
    data = StreamBytes(read, offset, length, limit=length, pieces=_PIECES)
    beginning = data.get(0, min(length, _BEGINNING), "video")
    if beginning[4:8] in FIRST_BOXES:
        return None
    codec = _coded(beginning).codec
    layout = transport_layout(beginning)
    if layout is not None:
        first, step = layout
        return count_frames(from_transport(_pieces(data, first, 1000 * step), step), codec)
    pieces = _pieces(data, 0, _PIECE)
    if _is_program(beginning):
        pieces = from_program(pieces, _PACKETS + length // _SMALL_PACKET)
    return count_frames(pieces, codec)


def _pieces(data: StreamBytes, at: int, size: int) -> Iterator[bytes]:
    while at < data.length:
        piece = data.get(at, min(size, data.length - at), "video")
        yield piece
        at += size


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
