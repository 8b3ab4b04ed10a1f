"""Compressed Pixel Data as bulk data (PS3.18 8.7.3.3): what is sent as a part of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from dicomweb_server.dicom import DicomError
from dicomweb_server.ps318.media_types import EXPLICIT_VR_LITTLE_ENDIAN
from dicomweb_server.services import blobs
from dicomweb_server.services.frames import FrameService, StoredImage

Ranges = tuple[tuple[int, int], ...]


class Unit(Protocol):
    """Bytes that go out as one. `frame`: their number; 0 if they are all of the pixel data."""

    @property
    def frame(self) -> int: ...
    @property
    def size(self) -> int: ...
    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """A range of the bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Encoded:
    """Fragments of the file put together: those of a frame, or of a video."""

    frame: int
    ranges: Ranges
    source: blobs.Read = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes of all ranges."""
        return sum(length for _, length in self.ranges)

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """A range of the bytes."""
        for start, size in self.ranges:
            count = min(size - offset, length)
            if count > 0:
                yield from blobs.stream_range(self.source, start + offset, count)
                length -= count
            offset = max(offset - size, 0)


@dataclass(frozen=True, slots=True)
class Decoded:
    """All frames behind each other, as native Pixel Data has them (PS3.5 8.1.1, A.2)."""

    service: FrameService = field(repr=False)
    image: StoredImage
    one: int
    """Bytes of a frame."""
    frame: int = 0

    @classmethod
    def of(cls, service: FrameService, image: StoredImage) -> Decoded:
        """The decoded pixel data; raises `DicomError` if they cannot be."""
        if image.frame_count > 1 and image.form.frame_bits % 8:
            raise DicomError("Frames that do not end with a byte cannot be put behind each other.")
        return cls(service, image, len(service.frame(image, 1, EXPLICIT_VR_LITTLE_ENDIAN)))

    @property
    def size(self) -> int:
        """Bytes of all frames."""
        return self.one * self.image.frame_count

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """A range of the bytes: only the frames that it touches are decoded."""
        end = offset + length
        while offset < end:
            number, skipped = divmod(offset, self.one)
            data = self.service.frame(self.image, number + 1, EXPLICIT_VR_LITTLE_ENDIAN)
            if len(data) != self.one:
                raise DicomError(
                    f"Frame {number + 1} has {len(data)} bytes, frame 1 has {self.one}."
                )
            piece = data[skipped : skipped + end - offset]
            yield piece
            offset += len(piece)


def encoded(image: StoredImage) -> Iterator[Encoded]:
    """Each frame as it is stored; all fragments as one if they cannot be told apart."""
    pixels = image.pixels
    if image.is_video or not pixels.frames_known:
        yield Encoded(0, tuple((part.offset, part.length) for part in pixels.fragments), image.read)
        return
    for number in range(1, pixels.number_of_frames + 1):
        ranges = tuple((part.offset, part.length) for part in pixels.frame(number))
        yield Encoded(number, ranges, image.read)


def units(service: FrameService, image: StoredImage, syntax: str) -> list[Unit]:
    """What goes out in a transfer syntax: the stored one, or Explicit VR Little Endian.

    Raises DicomError if it cannot be decoded.
    """
    if syntax == image.transfer_syntax:
        return list(encoded(image))
    return [Decoded.of(service, image)]
