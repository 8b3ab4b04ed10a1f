"""Frames of pixel data (PS3.18 10.4.1.1.6): ranges of the stored file, or decoded and encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dicomweb_server.dicom import DicomError, PixelData, load_header
from dicomweb_server.dicom.encode import swap_words
from dicomweb_server.dicom.transfer_syntaxes import EXPLICIT_BIG
from dicomweb_server.imaging import ImageFormat, pack, unpack
from dicomweb_server.interfaces.index import BlobRef, Index, InstanceGone, InstanceRecord
from dicomweb_server.isolation import Runner, Toolbox
from dicomweb_server.isolation.tasks import Source
from dicomweb_server.ps318.media_types import EXPLICIT_VR_LITTLE_ENDIAN, is_video
from dicomweb_server.services import blobs
from dicomweb_server.services.derived import DerivedCache
from dicomweb_server.services.recent import Recent
from dicomweb_server.services.storages import Storages

_NATIVE = EXPLICIT_VR_LITTLE_ENDIAN
_RECENT_BYTES = 16 << 20


@dataclass(frozen=True)
class StoredImage:
    """The pixel data of an instance, and its header when somebody needs it.

    Attributes:
        transfer_syntax: of the file.
        pixels: where the frames lie.
        read_header: gives `header`, which frames as they are stored do not need.
        read: gives ranges of the file as `pixels` counts them: a deflated data set inflated.
        blob: what the file is known by, if it is stored already.
        find_path: gives `path`.
    """

    transfer_syntax: str
    pixels: PixelData
    read_header: Callable[[], bytes] = field(repr=False)
    read: blobs.Read = field(repr=False)
    blob: BlobRef | None = None
    find_path: Callable[[], Path | None] = field(repr=False, default=lambda: None)

    @cached_property
    def header(self) -> bytes:
        """`ParsedInstance.header`."""
        return self.read_header()

    @cached_property
    def path(self) -> Path | None:
        """A file with exactly the bytes that `pixels` counts, if there is one."""
        return self.find_path()

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """The header in the DICOM JSON model."""
        return load_header(self.header)

    @cached_property
    def form(self) -> ImageFormat:
        """How the pixels are encoded; raises `MissingAttributes`."""
        return ImageFormat.of(self.attributes, self.pixels.tag)

    @property
    def is_native(self) -> bool:
        """Whether the frames are not encapsulated."""
        return not self.pixels.encapsulated

    @property
    def delivered_as(self) -> str:
        """The transfer syntax in which stored frames go out: native ones always little endian."""
        return _NATIVE if self.is_native else self.transfer_syntax

    @property
    def frame_count(self) -> int:
        """How many frames there are.

        Raises `FrameNotLocated` if more are declared than there are: nobody counts to that.
        """
        count = self.pixels.number_of_frames
        self.pixels.frame(count)
        return count

    @property
    def is_video(self) -> bool:
        """Whether there is one stream instead of frames."""
        return is_video(self.transfer_syntax)


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """Bytes of a decoded frame at most, and the quality (1 to 100) of lossy encodings."""

    size: int = 1 << 30
    quality: int = 90


class FrameService:
    """Finds and reads frames, and has them decoded and encoded."""

    def __init__(
        self,
        index: Index,
        storages: Storages,
        tools: Toolbox,
        runner: Runner,
        cache: DerivedCache,
        limits: FrameLimits,
    ) -> None:
        self._index = index
        self._storages = storages
        self._tools = tools
        self._cache = cache
        self._recent: Recent[tuple[int, BlobRef], PixelData] = Recent(
            _RECENT_BYTES, lambda pixels: pixels.memory
        )
        self.runner = runner
        self.limits = limits

    def image(self, record: InstanceRecord) -> StoredImage | None:
        """The pixel data of an instance; None when it has none, or is gone."""
        pixels = self._pixels(record)
        if pixels is None:
            return None

        def header() -> bytes:
            details = self._index.details(record.row)
            if details is None:
                raise InstanceGone("The instance is not there any more.")
            return details.header

        def path() -> Path | None:
            return None if record.deflated else blobs.local_path(self._storages, record)

        return StoredImage(
            record.transfer_syntax,
            pixels,
            header,
            blobs.data_reader(self._storages, record),
            record.blob,
            path,
        )

    def _pixels(self, record: InstanceRecord) -> PixelData | None:
        """Where the frames lie: a viewer asks for one frame of an object after the other."""
        # A blob never changes, and its key is used for nothing else.
        key = (record.row, record.blob)
        pixels = self._recent.get(key)
        if pixels is None:
            packed = self._index.pixel_data(record.row)
            if packed is None:
                return None
            pixels = PixelData.from_bytes(packed)
            self._recent.put(key, pixels)
        return pixels

    # --- as stored -------------------------------------------------------------------------

    def stored(self, image: StoredImage, number: int) -> bytes:
        """The bytes of a frame, counted from 1: one read of the file for each of its fragments.

        Raises `NoSuchFrame` or `FrameNotLocated`, as all that take a number.
        """
        data = b"".join(self._raw(image, number))
        if not image.is_native:
            return data
        if image.transfer_syntax == EXPLICIT_BIG:
            data = self._little_endian(image, data)
        bits = image.pixels.bit_offset(number)
        if bits or image.pixels.frame_bits % 8:
            return pack(unpack(data, image.form, bit_offset=bits))
        return data

    def stored_pieces(self, image: StoredImage, number: int) -> Iterator[bytes]:
        """As `stored`, in pieces where the file has the bytes as they are sent."""
        if self._is_made(image):
            return iter((self.stored(image, number),))
        return self._raw(image, number)

    def stored_range(self, image: StoredImage, number: int) -> tuple[int, int] | None:
        """(offset, length) of what `stored` gives, if `StoredImage.path` has it in one piece."""
        if image.path is None or self._is_made(image):
            return None
        parts = image.pixels.frame(number)
        return (parts[0].offset, parts[0].length) if len(parts) == 1 else None

    @staticmethod
    def _is_made(image: StoredImage) -> bool:
        """Whether the file has other bytes than those that go out."""
        big = image.transfer_syntax == EXPLICIT_BIG
        return image.is_native and (big or image.pixels.frame_bits % 8 != 0)

    def _raw(self, image: StoredImage, number: int) -> Iterator[bytes]:
        for part in image.pixels.frame(number):
            yield from blobs.stream_range(image.read, part.offset, part.length)

    def stored_size(self, image: StoredImage, number: int) -> int:
        """Bytes of `stored`."""
        if image.is_native:
            image.pixels.frame(number)
            return -(-image.pixels.frame_bits // 8)
        return sum(part.length for part in image.pixels.frame(number))

    def _little_endian(self, image: StoredImage, data: bytes) -> bytes:
        word = image.form.allocated // 8
        # Frames of bytes in OW are swapped in pairs (PS3.5 A.3, 8.1.1).
        if word == 1 and image.pixels.vr == "OW":
            word = 2
        return swap_words(data, word) if word > 1 else data

    # --- decoded and encoded ---------------------------------------------------------------

    def decodes(self, transfer_syntax: str) -> bool:
        """Whether frames of a compressed transfer syntax can be decoded."""
        return any(transfer_syntax in codec.decodes for codec in self._tools.codecs)

    @property
    def encodable(self) -> frozenset[str]:
        """The compressed transfer syntaxes in which some frames can be encoded."""
        return frozenset[str]().union(*(codec.encodes for codec in self._tools.codecs))

    def targets(self, image: StoredImage) -> Sequence[str]:
        """Transfer syntaxes beside `delivered_as` in which frames can be had, native first."""
        if image.is_video or not (image.is_native or self.decodes(image.transfer_syntax)):
            return ()
        try:
            forms = image.form.unpacked if image.is_native else (image.form.decoded,)
        except DicomError:
            return ()
        native = () if image.is_native else (_NATIVE,)
        encodable = {
            uid
            for uid in self.encodable - {image.transfer_syntax}
            if any(self._tools.encodes(uid, form) for form in forms)
        }
        return (*native, *sorted(encodable))

    def kept(self, image: StoredImage, name: str, make: Callable[[], bytes]) -> bytes:
        """What is made from an image, from the cache if it is there; `name` tells all of it."""
        return make() if image.blob is None else self._cache.get(image.blob, name, make)

    def sweep(self) -> None:
        """Forget what was made from images that are gone."""
        self._cache.sweep()

    def source(self, image: StoredImage) -> Source:
        """How the bytes of `stored` are to be understood; raises `DicomError` for bombs."""
        form = image.form
        if form.array_bytes > self.limits.size:
            raise DicomError(
                f"A frame of {form.rows} x {form.columns} pixels has {form.array_bytes >> 20} MiB; "
                f"possible are {self.limits.size >> 20} (MaximumFrameSizeMB)."
            )
        return Source(form, "" if image.is_native else image.transfer_syntax)

    def frame(self, image: StoredImage, number: int, syntax: str) -> bytes:
        """A frame in a transfer syntax of `targets`, or `delivered_as`.

        Raises:
            NoSuchFrame: there is no such frame.
            DicomError: it cannot be located, decoded or encoded.
        """
        if syntax == image.delivered_as:
            return self.stored(image, number)
        image.pixels.frame(number)
        name = f"{number} {syntax} {self.limits.quality}"
        return self.kept(image, name, lambda: self.transcoded(image, number, syntax)[0])

    def transcoded(self, image: StoredImage, number: int, syntax: str) -> tuple[bytes, ImageFormat]:
        """A frame in another transfer syntax, and the format that it has there."""
        source = self.source(image)
        data = self.stored(image, number)
        arguments: dict[str, Any] = {"source": source.as_document()}
        if syntax == _NATIVE:
            told, frame = self.runner.run("decode", arguments, data)
        else:
            arguments |= {"target": syntax, "quality": self.limits.quality}
            told, frame = self.runner.run("transcode", arguments, data)
        return frame, ImageFormat(**told["form"])
