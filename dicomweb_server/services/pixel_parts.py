"""Pixel data parts: which transfer syntax the file gets, and what the bit stream tells and forbids.

PS3.18, 8.7.3, tables 8.7.3-2 to 8.7.3-5: the media type of a part decides, its parameter
`transfer-syntax` says more, the bit stream has the last word. Attributes that a bit stream tells
may be left out by a client (10.5.2), so that filling them changes nothing that was sent.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any, Final

from dicomweb_server.dicom import DicomError
from dicomweb_server.dicom.assemble import frame_bits
from dicomweb_server.dicom.bitstreams import RLE_LOSSLESS, has_header, read_image_header
from dicomweb_server.dicom.build import Encapsulated, Place
from dicomweb_server.dicom.completeness import check_whole
from dicomweb_server.dicom.image_header import ImageHeader
from dicomweb_server.dicom.instance import first_text
from dicomweb_server.dicom.rle import decoded_sizes
from dicomweb_server.dicom.views import ReadRange
from dicomweb_server.ps318.media_types import (
    DEFAULT_TRANSFER_SYNTAXES,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    MEDIA_TYPE_OF_TRANSFER_SYNTAX,
    OCTET_STREAM,
    is_video,
    media_type_of,
    transfer_syntaxes_of,
)
from dicomweb_server.ps318.store_response import (
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
    TRANSFER_SYNTAX_NOT_SUPPORTED,
)
from dicomweb_server.services.bulk_parts import BulkPart, NotStorable
from dicomweb_server.services.pixel_attributes import (
    Attributes,
    check_loss,
    check_runs,
    demand,
    fill,
    number,
    tell_loss,
)
from dicomweb_server.services.video_parts import read_video, take_video

_PIXEL_DATA: Final = "7FE00010"
_FRAMES: Final = "00280008"
_SIZES: Final = ("00280010", "00280011", "00280002", "00280100")
_LITTLE: Final = frozenset((
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
))  # fmt: skip
_POSSIBLE: Final = ", ".join(sorted(set(MEDIA_TYPE_OF_TRANSFER_SYNTAX.values())))


def _mismatch(sentence: str) -> NotStorable:
    return NotStorable(sentence, DATA_SET_DOES_NOT_MATCH_SOP_CLASS)


class PixelParts:
    """The pixel data of one instance.

    After `take`, `transfer_syntax` is that of its file, and `attributes` has what was missing.
    """

    def __init__(self, attributes: Attributes, hints: tuple[str, ...], read: ReadRange) -> None:
        """`hints`: transfer syntaxes that the metadata name; `read`: gives the bytes of parts."""
        self.attributes = attributes
        self.transfer_syntax = EXPLICIT_VR_LITTLE_ENDIAN
        self._hints = hints
        self._read = read

    def take(self, key: str, part: BulkPart) -> Place | Encapsulated:
        """What the value of the element becomes; raises `NotStorable` for what contradicts."""
        if key != _PIXEL_DATA and part.media_type != OCTET_STREAM:
            raise NotStorable(
                f"the part for ({key[:4]},{key[4:]}) has the type {part.media_type}; possible is "
                f"{OCTET_STREAM}"
            )
        check_loss(self.attributes)
        media_type, syntax = self._kind(part)
        if media_type == OCTET_STREAM and syntax in _LITTLE:
            return self._native(key, part.place)
        if is_video(syntax) or media_type.startswith("video/"):
            return self._video(media_type, part)
        if has_header(media_type):
            return self._images(media_type, part.transfer_syntax, part.place)
        return self._opaque(media_type, syntax, part.place)

    def check_inline(self, key: str, size: int) -> None:
        """Raise `NotStorable` unless the value of `size` bytes in the metadata is what they say."""
        check_loss(self.attributes)
        self._native(key, Place(array("Q", (0,)), array("Q", (size,))))

    def _kind(self, part: BulkPart) -> tuple[str, str]:
        """Media type and transfer syntax; "" for one that the bit stream must tell."""
        media_type, given = part.media_type, part.transfer_syntax
        if not transfer_syntaxes_of(media_type):
            raise NotStorable(
                f"the pixel data have the type {media_type[:100]!r}; possible are {_POSSIBLE}"
            )
        if media_type != OCTET_STREAM:
            if given and media_type_of(given) != media_type:
                raise _mismatch(
                    f"the pixel data have the type {media_type} and the transfer syntax "
                    f"{given[:70]}; possible are {', '.join(transfer_syntaxes_of(media_type))}"
                )
            return media_type, given
        unknown = bool(given) and given not in MEDIA_TYPE_OF_TRANSFER_SYNTAX
        if unknown or given == EXPLICIT_VR_BIG_ENDIAN:
            raise NotStorable(
                f"the pixel data have the transfer syntax {given[:70]}, which is not taken as bulk "
                f"data; possible is {EXPLICIT_VR_LITTLE_ENDIAN}",
                TRANSFER_SYNTAX_NOT_SUPPORTED,
            )
        if given:
            return media_type_of(given), given
        return self._guess(part.place)

    def _guess(self, place: Place) -> tuple[str, str]:
        """Bytes without more: compressed if the metadata say so and the bytes agree."""
        for hint in self._hints:
            kind = media_type_of(hint)
            if kind != OCTET_STREAM and self._looks_like(kind, place):
                return kind, hint
        return OCTET_STREAM, EXPLICIT_VR_LITTLE_ENDIAN

    def _looks_like(self, media_type: str, place: Place) -> bool:
        video = media_type.startswith("video/")
        if not video and not has_header(media_type):
            # A client may have decompressed what the metadata still call compressed.
            bits = frame_bits(self.attributes) * (number(self.attributes, _FRAMES) or 1)
            return not bits or not 0 <= place.size - (bits + 7) // 8 <= 1
        try:
            if video:
                read_video(media_type, self._read, place)
            else:
                read_image_header(media_type, self._read, place.offsets[0], place.lengths[0])
        except DicomError:
            return False
        return True

    def _native(self, key: str, place: Place) -> Place:
        bits, size = frame_bits(self.attributes, key), place.size
        demand(self.attributes, key)
        if not bits:
            raise _mismatch(self._of_another_size(size, 0, number(self.attributes, _FRAMES) or 1))
        if len(place.lengths) > 1 and bits % 8:
            raise _mismatch(
                f"frames of {bits} bits do not begin on whole bytes: they must come as one part"
            )
        frames = number(self.attributes, _FRAMES)
        # What has several frames says so (PS3.3, C.7.6.6: Type 1), or sends a part for each:
        # a length that fits by chance makes no frames.
        count = frames if frames is not None else len(place.lengths)
        wanted = (bits * count + 7) // 8
        if not wanted <= size <= wanted + wanted % 2:
            raise _mismatch(self._of_another_size(size, wanted, count))
        self._count_frames(count if frames is None else None, frames, len(place.lengths))
        return place

    def _of_another_size(self, size: int, wanted: int, frames: int) -> str:
        """The sentence with all values that could be wrong."""
        values = [number(self.attributes, tag) for tag in _SIZES]
        return (
            f"the pixel data have {size} bytes; Rows, Columns, Samples per Pixel, Bits Allocated "
            f"and Number of Frames ({', '.join(map(str, values))}, {frames}) make {wanted}"
        )

    def _count_frames(self, told: int | None, frames: int | None, parts: int) -> None:
        if frames is None and told is not None and told > 1:
            self.attributes[_FRAMES] = {"vr": "IS", "Value": [told]}
        if parts > 1 and (frames or told) != parts:
            raise _mismatch(
                f"there are {parts} parts of pixel data, Number of Frames is {frames or told}"
            )

    def _images(self, media_type: str, given: str, place: Place) -> Encapsulated:
        frames = Place()
        first: ImageHeader | None = None
        possible: tuple[str, ...] = ()
        for count, (offset, length) in enumerate(place.ranges(), 1):
            header = self._header(media_type, offset, length, count)
            frames.add(offset + header.start, header.length)
            if first is None:
                first, possible = header, header.syntaxes
                fill(self.attributes, header)
            elif not _alike(header, first):
                raise _mismatch(f"frame {count} is an image of another size or kind than frame 1")
            tell_loss(self.attributes, header.lossy)
            self._check_runs(header, offset, count)
            possible = tuple(each for each in possible if each in header.syntaxes)
        self.transfer_syntax = self._choose(possible, given)
        self._count_compressed(len(frames.lengths))
        return Encapsulated(frames)

    def _header(self, media_type: str, offset: int, length: int, count: int) -> ImageHeader:
        try:
            header = read_image_header(media_type, self._read, offset, length)
            check_whole(media_type, self._read, offset, length, header)
            return header
        except DicomError as error:
            raise _mismatch(f"frame {count} of the pixel data, {media_type}: {error}") from error

    def _check_runs(self, header: ImageHeader, offset: int, count: int) -> None:
        if header.syntaxes != (RLE_LOSSLESS,):
            return
        rows, columns = (number(self.attributes, tag) or 0 for tag in _SIZES[:2])
        try:
            sizes = decoded_sizes(self._read, offset, header.length, rows * columns)
        except DicomError as error:
            raise _mismatch(f"frame {count} of the pixel data: {error}") from error
        check_runs(self.attributes, sizes, count)

    def _choose(self, possible: tuple[str, ...], given: str) -> str:
        if given and given not in possible:
            raise _mismatch(
                f"the pixel data have the transfer syntax {given}, but the bit stream is one of "
                f"{', '.join(possible) or 'several'}"
            )
        hinted = next((hint for hint in self._hints if hint in possible), "")
        if not possible:
            raise _mismatch("the frames have bit streams of different transfer syntaxes")
        return given or hinted or possible[0]

    def _count_compressed(self, found: int) -> None:
        frames = number(self.attributes, _FRAMES)
        if frames is None and found > 1:
            self.attributes[_FRAMES] = {"vr": "IS", "Value": [found]}
        elif (frames or 1) != found:
            raise _mismatch(
                f"Number of Frames is {frames}, and there are {found} parts of pixel data: each "
                f"frame is a part with the Content-Location of all"
            )

    def _opaque(self, media_type: str, syntax: str, place: Place) -> Encapsulated:
        """Frames of which only the metadata tell what they are."""
        demand(self.attributes)
        hinted = next((hint for hint in self._hints if media_type_of(hint) == media_type), "")
        self.transfer_syntax = syntax or hinted or DEFAULT_TRANSFER_SYNTAXES[media_type]
        self._count_compressed(len(place.lengths))
        return Encapsulated(place)

    def _video(self, media_type: str, part: BulkPart) -> Encapsulated:
        if len(part.place.lengths) != 1:
            raise _mismatch(
                f"a video is one part, and {len(part.place.lengths)} have the Content-Location "
                f"{part.location[:200]!r}"
            )
        named = part.transfer_syntax, self._hints
        self.transfer_syntax = take_video(
            self.attributes, media_type, named, self._read, part.place
        )
        return Encapsulated(part.place, video=True)


def _alike(header: ImageHeader, first: ImageHeader) -> bool:
    return (header.rows, header.columns, header.samples, header.precision, header.signed) == (
        *(first.rows, first.columns, first.samples, first.precision, first.signed),
    )


def transfer_syntax_hints(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Transfer syntaxes that metadata name: (0002,0010), else (0008,3002)."""
    for key in ("00020010", "00083002"):
        if first_text(dict(attributes), key):
            return tuple(v for v in attributes[key]["Value"] if isinstance(v, str))
    return ()
