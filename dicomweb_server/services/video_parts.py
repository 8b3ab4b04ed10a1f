"""Videos: which transfer syntax the file gets, and what the bit stream tells and forbids.

PS3.18, table 8.7.3-5: the codec decides the media type, whatever container is around it. PS3.5,
8.2.5 to 8.2.11: profile and level decide the transfer syntax.
"""

from __future__ import annotations

from typing import Final

from dicomweb_server.dicom import DicomError
from dicomweb_server.dicom.build import LARGEST_ITEM, Place
from dicomweb_server.dicom.video import VideoHeader, count_pictures, read_video_header
from dicomweb_server.dicom.views import ReadRange
from dicomweb_server.ps318.media_types import media_type_of, transfer_syntaxes_of
from dicomweb_server.ps318.store_response import (
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
    TRANSFER_SYNTAX_NOT_SUPPORTED,
)
from dicomweb_server.services.bulk_parts import NotStorable
from dicomweb_server.services.pixel_attributes import Attributes, fill, number

_FRAMES: Final = "00280008"
_FRAME_TIME, _FRAME_TIMES, _CINE_RATE = "00181063", "00181065", "00180040"
_INCREMENT: Final = "00280009"
_RATES: Final = (0.001, 10_000)
"""Frames in a second that are believed."""


def read_video(media_type: str, read: ReadRange, place: Place) -> VideoHeader:
    """The header of a video; raises `DicomError` if it is none of this media type."""
    header = read_video_header(read, place.offsets[0], place.lengths[0])
    for syntax in header.image.syntaxes[:1]:
        if media_type_of(syntax) != media_type:
            raise DicomError(f"It is {header.kind}: {media_type_of(syntax)} is its media type.")
    return header


def take_video(
    attributes: Attributes,
    media_type: str,
    named: tuple[str, tuple[str, ...]],
    read: ReadRange,
    place: Place,
) -> str:
    """The transfer syntax (UID) of one video; `attributes` gets what was missing.

    `named`: transfer syntax of the part, or "", and those of the metadata.

    Raises:
        NotStorable: there is no video, or it contradicts what is named or the attributes.
    """
    try:
        header = read_video(media_type, read, place)
    except DicomError as error:
        raise NotStorable(
            f"the pixel data, {media_type}: {error}", DATA_SET_DOES_NOT_MATCH_SOP_CLASS
        ) from error
    syntax = _choose(header, media_type, *named, place.size)
    fill(attributes, header.image)
    _count(attributes, count_pictures(read, place.offsets[0], place.lengths[0]))
    _fill_times(attributes, header)
    return syntax


def _count(attributes: Attributes, found: int | None) -> None:
    """Number of Frames of a stream that tells it; what an MP4 file shows is for its sender to say.

    Raises `NotStorable` if the metadata say another number.
    """
    told = number(attributes, _FRAMES)
    if found is None:
        return
    if told is None:
        attributes[_FRAMES] = {"vr": "IS", "Value": [found]}
    elif told != found:
        raise NotStorable(
            f"Number of Frames is {told}, the bit stream of the pixel data has {found} frames",
            DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
        )


def _choose(
    header: VideoHeader, media_type: str, given: str, hints: tuple[str, ...], size: int
) -> str:
    whole = header.image.syntaxes
    if not whole:
        raise NotStorable(
            f"the video is {header.kind}, for which DICOM has no transfer syntax; possible are "
            "MPEG-2 Main Profile, H.264 High Profile up to level 4.2, and HEVC Main and Main 10 "
            "Profile up to level 5.1, all 4:2:0 (PS3.5, 8.2.5 to 8.2.11)",
            TRANSFER_SYNTAX_NOT_SUPPORTED,
        )
    known = transfer_syntaxes_of(media_type)
    in_pieces = tuple(uid + ".1" for uid in whole if uid + ".1" in known)
    if given and given not in whole + in_pieces:
        raise NotStorable(
            f"the pixel data have the transfer syntax {given}, but the video is {header.kind}; "
            f"possible are {', '.join(whole + in_pieces)}",
            DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
        )
    fitting = in_pieces if size > LARGEST_ITEM else whole + in_pieces
    wanted = (given,) if given else (*hints, *fitting[:1])
    found = next((uid for uid in wanted if uid in fitting), "")
    if not found:
        raise NotStorable(
            f"the video has {size} bytes, too many for one fragment; possible are "
            f"{', '.join(in_pieces) or f'{LARGEST_ITEM} bytes'} (PS3.5, A.4)",
            TRANSFER_SYNTAX_NOT_SUPPORTED,
        )
    return found


def _fill_times(attributes: Attributes, header: VideoHeader) -> None:
    """Number of Frames, and the Cine Module (PS3.3, C.7.6.5 and C.7.6.6).

    Those that are there stay: a player's clock and a file's differ a little (PS3.5, 8.2.5).
    """
    if header.frames and number(attributes, _FRAMES) is None:
        attributes[_FRAMES] = {"vr": "IS", "Value": [header.frames]}
    rate = header.rate
    if rate is None or not _RATES[0] <= rate <= _RATES[1] or _has(attributes, _FRAME_TIMES):
        return
    if not _has(attributes, _FRAME_TIME):
        attributes[_FRAME_TIME] = {"vr": "DS", "Value": [round(float(1000 / rate), 6)]}
    if not _has(attributes, _CINE_RATE) and round(rate):
        attributes[_CINE_RATE] = {"vr": "IS", "Value": [round(rate)]}
    if not _has(attributes, _INCREMENT):
        attributes[_INCREMENT] = {"vr": "AT", "Value": [_FRAME_TIME]}


def _has(attributes: Attributes, key: str) -> bool:
    return any(name in attributes.get(key, {}) for name in ("Value", "InlineBinary", "BulkDataURI"))
