"""Whether a compressed image was cut: what its format demands at its end is looked for.

JPEG and JPEG-LS end with EOI (ITU-T T.81, B.2.1; T.87, C.1.1), JPEG 2000 and HTJ2K with EOC (T.800,
A.4.4), and neither can stand among coded samples. A bare JPEG XL codestream has no mark at its end.
"""

from __future__ import annotations

from typing import Final

from .boxes import boxes
from .errors import DicomError
from .image_header import ImageHeader
from .stream_bytes import StreamBytes
from .views import ReadRange

_END: Final = b"\xff\xd9"
_ENDS: Final = {
    "image/jpeg": "EOI",
    "image/jls": "EOI",
    "image/jp2": "EOC",
    "image/jpx": "EOC",
    "image/jphc": "EOC",
}
_IN_FILES: Final = frozenset(("image/jp2", "image/jpx", "image/jphc", "image/jxl"))
_FILE: Final = b"\0\0\0\x0cj", b"\0\0\0\x0cJ"  # the signatures of JP2 and JPEG XL files
_BLOCK: Final = 1 << 16
_SOT: Final = 0xFF90
_SHORTEST_TILE: Final = 14
_MOST_TILES: Final = 1 << 20


def check_whole(
    media_type: str, read: ReadRange, offset: int, length: int, header: ImageHeader
) -> None:
    """Raise `DicomError` if the image at `offset` ends too early.

    What stands behind its end does not matter: padding, mostly.
    """
    data = StreamBytes(read, offset, length, limit=length, pieces=_MOST_TILES)
    if media_type in _IN_FILES and data.get(0, min(5, length), "image") in _FILE:
        _check_boxes(data)
    end = _ENDS.get(media_type)
    if end is None:
        return
    found = _last_mark(data, header.start + header.coded, header.start + header.length)
    if found < 0:
        raise DicomError(
            f"The image is cut: it has {header.length} bytes without the marker {end} "
            f"({_END.hex().upper()}), with which it must end."
        )
    if end == "EOC":
        _check_tiles(data, header.start + header.coded, found)


def _check_boxes(data: StreamBytes) -> None:
    for box in boxes(data, 0, data.length, "image"):
        if box.missing:
            raise DicomError(
                f"The image is cut: {box.missing} bytes are missing in its box "
                f"{box.kind.decode('latin-1')!r}, of which {box.end - box.start} are there."
            )


def _last_mark(data: StreamBytes, start: int, end: int) -> int:
    """Where the last end marker stands, -1 if there is none."""
    at = end
    while at > start:
        first = max(at - _BLOCK, start)
        block = data.get(first, min(at + 1, end) - first, "image")
        found = block.rfind(_END)
        if found >= 0:
            return first + found
        at = first
    return -1


def _check_tiles(data: StreamBytes, start: int, end: int) -> None:
    """Tile-parts lie one behind the other as their lengths say (T.800, A.4.2)."""
    at = start
    while end - at >= _SHORTEST_TILE and data.number(at, 2, "image") == _SOT:
        size = data.number(at + 6, 4, "image")
        if size < _SHORTEST_TILE:
            return  # 0: up to the end of the image
        if at + size > end:
            raise DicomError(
                f"The image is cut: its tile-part at byte {at} has {size} bytes, and "
                f"{end - at} are there."
            )
        at += size
