"""Whole objects in another transfer syntax (PS3.18 8.7.3.5, PS3.5 8.2, PS3.3 C.7.6.1.1.5)."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from dicomweb_server.dicom import DicomError, ParsedInstance, TagDictionary
from dicomweb_server.dicom.encode import swap_words
from dicomweb_server.dicom.instance import first_number, first_text
from dicomweb_server.dicom.recode import Changes, Shell, encapsulated, native, shell
from dicomweb_server.dicom.transcode import CONVERTIBLE_SYNTAXES, convert, deflate
from dicomweb_server.dicom.transfer_syntaxes import EXPLICIT_LITTLE, is_deflated
from dicomweb_server.imaging import ImageFormat
from dicomweb_server.services.blobs import Read, inflated_reader
from dicomweb_server.services.frames import FrameService, StoredImage

_JPEG = "1.2.840.10008.1.2.4."
_IN_MEMORY: Final = 16 << 20
_METHODS: Final = {
    **dict.fromkeys((_JPEG + "50", _JPEG + "51"), "ISO_10918_1"),
    _JPEG + "81": "ISO_14495_1",
    _JPEG + "91": "ISO_15444_1",
    _JPEG + "93": "ISO_15444_1",
    _JPEG + "112": "ISO_18181_1",
    _JPEG + "203": "ISO_15444_15",
}
"""Lossy transfer syntaxes, and the Lossy Image Compression Method (0028,2114) of each."""
_ALWAYS_LOSSY: Final = frozenset(_JPEG + number for number in ("50", "51", "81"))
_SPACE: Final = uuid.UUID("6f0f1b0e-58a5-4b3c-9a3e-0a4a3f7b8c11")


@dataclass(frozen=True, slots=True)
class _Frame:
    data: bytes
    form: ImageFormat


class Transcoder:
    """Rewrites files; frames are decoded and encoded one by one, in bounded memory."""

    def __init__(self, frames: FrameService, dictionary: TagDictionary) -> None:
        self._frames = frames
        self._dictionary = dictionary

    @property
    def targets(self) -> frozenset[str]:
        """The transfer syntaxes to which something can be transcoded."""
        return CONVERTIBLE_SYNTAXES | self._frames.encodable

    def is_lossy(self, transfer_syntax: str) -> bool:
        """Whether encoding in a transfer syntax loses something, and makes another instance."""
        return transfer_syntax in _METHODS

    def choices(self, image: StoredImage) -> frozenset[str]:
        """The transfer syntaxes in which the frames can be had; damaged ones show later."""
        choices = {image.delivered_as, *self._frames.targets(image)}
        if EXPLICIT_LITTLE in choices:
            choices |= CONVERTIBLE_SYNTAXES
        return frozenset(choices)

    def transcode_file(
        self, instance: ParsedInstance, file: Read, size: int, target: str
    ) -> Iterator[bytes]:
        """As `transcode`, for a file that is not stored: what was read of it, and its bytes."""
        if instance.pixel_data is None:
            raise DicomError("There are no pixel data.")
        deflated = is_deflated(instance.transfer_syntax)
        image = StoredImage(
            instance.transfer_syntax,
            instance.pixel_data,
            lambda: instance.header,
            inflated_reader(file, size) if deflated else file,
        )
        if image.is_native and target in CONVERTIBLE_SYNTAXES:
            syntaxes = (instance.transfer_syntax, target)
            return convert(file, size, *syntaxes, image.pixels, dictionary=self._dictionary)
        if target not in self.choices(image):
            raise DicomError(f"Its frames cannot be encoded in the transfer syntax {target}.")
        return self.transcode(image, file, size, target)

    def transcode(self, image: StoredImage, file: Read, size: int, target: str) -> Iterator[bytes]:
        """The bytes of the file in another transfer syntax.

        A lossy one makes another instance of it: the same one each time (PS3.3 C.12.1.1.1).

        Args:
            file: gives ranges of the file as it is stored; `size`: its bytes.

        Raises:
            DicomError: it cannot be transcoded; mostly before the first piece.
        """
        if target in CONVERTIBLE_SYNTAXES:
            return self._native(image, file, size, target)
        return self._encapsulated(image, file, size, target)

    def _shell(
        self, image: StoredImage, file: Read, size: int, target: str, changes: Changes
    ) -> Shell:
        places = (image.transfer_syntax, target, image.pixels, changes)
        return shell(file, size, *places, dictionary=self._dictionary)

    def _native(self, image: StoredImage, file: Read, size: int, target: str) -> Iterator[bytes]:
        count = image.frame_count
        first = self._frame(image, 1, EXPLICIT_LITTLE)
        if first.form.frame_bits % 8 and count > 1:
            raise DicomError("Frames that do not end with a byte cannot be put behind each other.")
        around = self._shell(image, file, size, target, _changes(image, first.form))
        word = first.form.allocated // 8 if around.target.order == ">" else 1

        def frames() -> Iterator[bytes]:
            yield swap_words(first.data, word)
            for number in range(2, count + 1):
                frame = self._frame(image, number, EXPLICIT_LITTLE)
                _expect(frame.form, first.form, number)
                yield swap_words(frame.data, word)

        wide = first.form.allocated > 8 or around.target.implicit
        pieces = native(around, "OW" if wide else "OB", len(first.data), count, frames())
        return _deflated(pieces) if is_deflated(target) else pieces

    def _frame(self, image: StoredImage, number: int, target: str) -> _Frame:
        return _Frame(*self._frames.transcoded(image, number, target))

    def _encapsulated(
        self, image: StoredImage, file: Read, size: int, target: str
    ) -> Iterator[bytes]:
        # The offset table stands in front, and the ratio of compression in the header.
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spool:
            sizes: list[int] = []
            form: ImageFormat | None = None
            for number in range(1, image.frame_count + 1):
                frame = self._frame(image, number, target)
                form = form or frame.form
                _expect(frame.form, form, number)
                sizes.append(len(frame.data))
                spool.write(frame.data)
            if form is None:
                raise DicomError("The pixel data have no frames.")
            changes = _changes(image, form)
            if self.is_lossy(target):
                changes |= self._derivation(image, target, sum(sizes))
            around = self._shell(image, file, size, target, changes)
            spool.seek(0)
            yield from encapsulated(around, sizes, (spool.read(each) for each in sizes))

    def _derivation(self, image: StoredImage, target: str, size: int) -> dict[int, Any]:
        """What tells that pixels were lost (PS3.3 C.7.6.1.1.5, C.7.6.1.1.2)."""
        attributes = image.attributes
        native_size = image.form.frame_bits // 8 * image.frame_count
        ratio = f"{native_size / max(size, 1):.6g}"
        kind = [*_texts(attributes, "00080008")] or ["DERIVED", "PRIMARY"]
        kind[0] = "DERIVED"
        before = first_text(attributes, "00082111")
        note = f"Lossy compression, ratio {ratio}, quality {self._frames.limits.quality}"
        original = first_text(attributes, "00080018")
        ratios, methods = _losses(image)
        return {
            0x00080008: ("CS", kind),
            0x00080018: ("UI", self._new_uid(original, target)),
            0x00082111: ("ST", f"{before}; {note}" if before and before.isascii() else note),
            0x00282110: ("CS", "01"),
            0x00282112: ("DS", [*ratios, ratio]),
            0x00282114: ("CS", [*methods, _METHODS[target]]),
        }

    def _new_uid(self, original: str, target: str) -> str:
        name = f"{original} {target} {self._frames.limits.quality}"
        return f"2.25.{uuid.uuid5(_SPACE, name).int}"


def _texts(attributes: Mapping[str, Any], tag: str) -> list[str]:
    values = attributes.get(tag, {}).get("Value", ())
    return ["" if value is None else str(value) for value in values]


def _losses(image: StoredImage) -> tuple[list[str], list[str]]:
    """Ratio and method of each earlier compression: values that belong together."""
    attributes = image.attributes
    ratios, methods = _texts(attributes, "00282112"), _texts(attributes, "00282114")
    count = max(len(ratios), len(methods))
    ratios += [""] * (count - len(ratios))
    methods += [""] * (count - len(methods))
    if count and not methods[-1] and image.transfer_syntax in _ALWAYS_LOSSY:
        methods[-1] = _METHODS[image.transfer_syntax]
    return ratios, methods


def _expect(found: ImageFormat, first: ImageFormat, number: int) -> None:
    if found != first:
        raise DicomError(f"Frame {number} is of another kind than frame 1: {found}, not {first}.")


def _changes(image: StoredImage, form: ImageFormat) -> dict[int, Any]:
    """The Image Pixel module as the new frames need it."""
    attributes = image.attributes
    changes: dict[int, Any] = {}
    numbers = {
        "00280002": form.samples,
        "00280010": form.rows,
        "00280011": form.columns,
        "00280100": form.allocated,
        "00280101": form.stored,
        "00280102": form.high_bit,
        "00280103": int(form.signed),
    }
    if form.samples > 1:
        numbers["00280006"] = form.planar
    for tag, number in numbers.items():
        if first_number(attributes, tag) != number:
            changes[int(tag, 16)] = ("US", number)
    if first_text(attributes, "00280004").strip() != form.photometric:
        changes[0x00280004] = ("CS", form.photometric)
    if image.transfer_syntax in _ALWAYS_LOSSY and first_text(attributes, "00282110") != "01":
        # Once lost is lost for ever, whatever the pixels are encoded as later.
        changes[0x00282110] = ("CS", "01")
    count = image.pixels.number_of_frames
    if (first_number(attributes, "00280008") or 1) != count:
        changes[0x00280008] = ("IS", str(count))
    # Offsets of the frames as they were.
    return changes | {0x7FE00001: None, 0x7FE00002: None, 0x7FE00003: None}


def _deflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Deflated behind group 0002 (PS3.5 A.5)."""
    first = next(pieces)
    start = 132 + 12 + int.from_bytes(first[140:144], "little")
    yield first[:start]
    yield from deflate(chain((first[start:],), pieces))
