"""What turns the bytes of a compressed frame into pixels, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from dicomweb_server.dicom import DicomError
from dicomweb_server.imaging import Image, ImageFormat
from dicomweb_server.interfaces.provider import Provider


class CodecError(DicomError):
    """A frame cannot be decoded or encoded; the message says why, to the client too."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """The bytes of a compressed frame, and the format that the data set must declare for it.

    Of the format that was given, Photometric Interpretation, Bits Stored (with High Bit) and Planar
    Configuration may differ: they must be consistent with the bit stream (PS3.5, 8.2). `frame` may
    be of an odd length: whoever makes a fragment of it pads it (PS3.5, A.4).
    """

    frame: bytes
    format: ImageFormat


class Codec(Provider, ABC):
    """Decodes, and maybe encodes, the frames of some transfer syntaxes.

    It runs in helper processes with a limit of memory and of time, where it is built anew from the
    configuration: MUST NOT need anything but its settings, and is never bound to a context. The
    class MUST be importable by its module and name. Frames come from strangers: whatever is wrong
    with one MUST raise `CodecError`.
    """

    decodes: ClassVar[frozenset[str]] = frozenset()
    """Transfer syntaxes (UIDs) of which `decode` understands frames."""

    encodes: ClassVar[frozenset[str]] = frozenset()
    """Transfer syntaxes (UIDs) of which `encode` makes frames."""

    def warm_up(self) -> None:
        """MAY import what is heavy: called once, in the process that helpers are forked from.

        MUST NOT start threads. Elsewhere heavy modules SHOULD be imported where they are used.
        """

    @abstractmethod
    def decode(
        self, frame: bytes | memoryview, transfer_syntax: str, form: ImageFormat, *, reduce: int = 0
    ) -> Image:
        """The pixels of a frame.

        Args:
            frame: the bit stream without items, maybe with padding behind it.
            form: what the data set declares.
            reduce: halvings of rows and columns that would do. MAY be ignored, wholly or partly.

        Returns:
            an image whose format says what its pixels are now: colour by pixel; RGB where the bit
            stream tells how its colours are transformed (JPEG YCbCr, YBR_ICT, YBR_RCT), else as
            declared. Pixels are of the declared Bits Allocated and sign.

        Raises:
            CodecError: the bit stream is damaged or was cut, or has another number of rows,
                columns or samples, or a greater precision than Bits Allocated, than declared. A
                precision above Bits Stored is common, and loses nothing.
        """

    def can_encode(self, transfer_syntax: str, form: ImageFormat) -> bool:
        """Whether `encode` takes pixels of a format; they come back as they were if the transfer
        syntax is lossless, unless `encode` raises since bits above Bits Stored would be lost.
        """
        return False

    def encode(self, image: Image, transfer_syntax: str, *, quality: int = 90) -> Encoded:
        """The bit stream of a frame.

        Args:
            image: of a format that `can_encode` accepts; RGB, MONOCHROME1, MONOCHROME2, PALETTE
                COLOR or YBR_FULL.
            quality: 1 to 100, for lossy syntaxes.

        Raises:
            CodecError: the frame cannot be encoded.
        """
        raise CodecError(f"The codec {self.name!r} encodes nothing.")
