"""The codec: finds the family of a transfer syntax, and turns its errors into `CodecError`."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Protocol, cast

from dicomweb_server.dicom import DicomError
from dicomweb_server.imaging import Image, ImageFormat
from dicomweb_server.interfaces.codecs import Codec, CodecError, Encoded

from . import jpeg, jpeg_2000, jpeg_ls, jpeg_xl, native, rle

# What libraries raise on damaged frames; all errors of imagecodecs are RuntimeErrors.
_ERRORS = (RuntimeError, ValueError, OverflowError, MemoryError, zlib.error)


class _Family(Protocol):
    """A module of this package: transfer syntaxes that are coded alike."""

    SYNTAXES: frozenset[str]

    def decode(self, frame: bytes, syntax: str, form: ImageFormat, reduce: int) -> Image: ...

    def can_encode(self, syntax: str, form: ImageFormat) -> bool: ...

    def encode(self, image: Image, syntax: str, quality: int) -> Encoded: ...


_MODULES: tuple[Any, ...] = (native, rle, jpeg, jpeg_ls, jpeg_2000, jpeg_xl)
_FAMILIES: Mapping[str, _Family] = {
    syntax: cast("_Family", module) for module in _MODULES for syntax in module.SYNTAXES
}
_DECODED_ONLY = jpeg_2000.PART_2 | {jpeg_xl.RECOMPRESSION}


class ImagecodecsCodec(Codec):
    """Frames of all transfer syntaxes that are no videos."""

    name = "imagecodecs"
    decodes = frozenset(_FAMILIES)
    encodes = frozenset(_FAMILIES) - _DECODED_ONLY

    def decode(
        self, frame: bytes | memoryview, transfer_syntax: str, form: ImageFormat, *, reduce: int = 0
    ) -> Image:
        """The pixels of a frame."""
        family = _FAMILIES.get(transfer_syntax)
        if family is None:
            raise CodecError(f"The codec {self.name!r} decodes no {transfer_syntax}.")
        if not frame:
            raise CodecError("The frame is empty.")
        if form.is_float:
            raise CodecError("Float pixel data cannot be compressed (PS3.5, A.4).")
        data = frame if isinstance(frame, bytes) else bytes(frame)
        try:
            return family.decode(data, transfer_syntax, form, reduce)
        except CodecError:
            raise
        except DicomError as error:
            raise CodecError(str(error)) from error
        except _ERRORS as error:
            raise CodecError(f"The frame cannot be decoded: {error}.") from error

    def can_encode(self, transfer_syntax: str, form: ImageFormat) -> bool:
        """Whether `encode` takes pixels of a format."""
        if transfer_syntax not in self.encodes or form.is_float:
            return False
        if form.signed and form.allocated == 1:
            return False
        return _FAMILIES[transfer_syntax].can_encode(transfer_syntax, form)

    def encode(self, image: Image, transfer_syntax: str, *, quality: int = 90) -> Encoded:
        """The bit stream of a frame."""
        form = image.format
        if not self.can_encode(transfer_syntax, form):
            raise CodecError(
                f"Transfer syntax {transfer_syntax} has no frames of {form.samples} samples of "
                f"{form.stored} in {form.allocated} bits, {form.photometric}"
                f"{', signed' if form.signed else ''}."
            )
        try:
            quality = min(max(quality, 1), 100)
            return _FAMILIES[transfer_syntax].encode(image, transfer_syntax, quality)
        except _ERRORS as error:
            raise CodecError(f"The frame cannot be encoded: {error}.") from error
