"""The transfer syntax of a video part (PS3.18, table 8.7.3-5)."""

from __future__ import annotations

from typing import Final

from dicomweb_server.dicom.build import Place
from dicomweb_server.dicom.views import ReadRange
from dicomweb_server.ps318.media_types import DEFAULT_TRANSFER_SYNTAXES
from dicomweb_server.ps318.store_response import DATA_SET_DOES_NOT_MATCH_SOP_CLASS
from dicomweb_server.services.bulk_parts import NotStorable

_SEARCHED: Final = 1 << 20
"""Bytes at both ends of an MP4 file in which its description (moov) is looked for."""
_HEVC_MAIN: Final = "1.2.840.10008.1.2.4.107"
_HEVC_MAIN_10: Final = "1.2.840.10008.1.2.4.108"
_HEVC: Final = (_HEVC_MAIN, _HEVC_MAIN_10)


def video_syntax(media_type: str, named: str, read: ReadRange, place: Place) -> str:
    """The transfer syntax (UID) of one video.

    `named`: what the part or the metadata say, or "". Of a bit stream no more is seen than whether
    an MP4 file says that it holds HEVC; levels and profiles of H.264 the sender must name.

    Raises `NotStorable` if what is named contradicts the file.
    """
    found = _hevc(read, place) if media_type == "video/mp4" else None
    if named:
        if found is not None and (named in _HEVC) != bool(found):
            raise NotStorable(
                f"the video is named {named}, and its MP4 file says "
                f"{'HEVC (' + found + ')' if found else 'H.264'}",
                DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
            )
        return named
    return found or DEFAULT_TRANSFER_SYNTAXES[media_type]


def _hevc(read: ReadRange, place: Place) -> str | None:
    """The syntax of HEVC, "" for H.264, None if the file does not tell (ISO/IEC 14496-15)."""
    offset, length = place.offsets[0], place.lengths[0]
    head = min(length, _SEARCHED)
    tail = min(length - head, _SEARCHED)
    for data in (read(offset, head), read(offset + length - tail, tail)):
        at = data.find(b"hvcC")
        if at >= 0 and at + 6 <= len(data):
            main_10 = data[at + 5] & 0x1F == 2  # general_profile_idc
            return _HEVC_MAIN_10 if main_10 else _HEVC_MAIN
        if b"avcC" in data:
            return ""
    return None
