"""The Image Pixel module (PS3.3 C.7.6.3) of a frame, and its pixels as an array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomweb_server.dicom.errors import DicomError
from dicomweb_server.dicom.instance import first_number, first_text

FLOAT_PIXEL_DATA = "7FE00008"
DOUBLE_FLOAT_PIXEL_DATA = "7FE00009"
_WORDS = {1: "u1", 8: "u1", 16: "u2", 32: "u4", 64: "u8"}
_HALVED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
_OF_BIT_STREAMS = frozenset({*_HALVED, "YBR_PARTIAL_420", "YBR_RCT", "YBR_ICT", "XYB"})

Pixels = NDArray[Any]


class MissingAttributes(DicomError):
    """Attributes without which pixel data have no meaning are missing, or are out of range."""


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """How the pixels of each frame are encoded.

    Attributes:
        rows, columns: of a frame.
        samples: Samples per Pixel: 1, 3 or 4.
        allocated, stored, high_bit: in bits; 32 or 64 allocated for float pixel data.
        signed: whether Pixel Representation is 1.
        photometric: Photometric Interpretation.
        planar: Planar Configuration; 0 when there is one sample.
        is_float: whether the pixels are IEEE 754 numbers.
    """

    rows: int
    columns: int
    samples: int = 1
    allocated: int = 8
    stored: int = 8
    high_bit: int = 7
    signed: bool = False
    photometric: str = "MONOCHROME2"
    planar: int = 0
    is_float: bool = False

    @classmethod
    def of(cls, attributes: Mapping[str, Any], tag: str = "7FE00010") -> ImageFormat:
        """The format that a data set in the DICOM JSON model declares.

        Raises:
            MissingAttributes: the sentence names all that is missing or impossible.
        """
        is_float = tag in (FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA)
        rows = first_number(attributes, "00280010") or 0
        columns = first_number(attributes, "00280011") or 0
        samples = first_number(attributes, "00280002") or 1
        allocated = first_number(attributes, "00280100") or 0
        if is_float:
            allocated = 32 if tag == FLOAT_PIXEL_DATA else 64
        checks = {
            "Rows (0028,0010)": 0 < rows <= 65535,
            "Columns (0028,0011)": 0 < columns <= 65535,
            "Bits Allocated (0028,0100)": allocated in _WORDS,
            "Samples per Pixel (0028,0002)": samples in (1, 3, 4),
        }
        wrong = [name for name, right in checks.items() if not right]
        if wrong:
            raise MissingAttributes(
                f"The pixel data cannot be interpreted: {', '.join(wrong)} "
                f"{'is' if len(wrong) == 1 else 'are'} missing or not possible."
            )
        stored = first_number(attributes, "00280101") or allocated
        stored = min(max(stored, 1), allocated)
        high = first_number(attributes, "00280102")
        if high is None or not stored - 1 <= high < allocated:
            high = stored - 1
        default = "MONOCHROME2" if samples == 1 else "RGB"
        return cls(
            rows,
            columns,
            samples,
            allocated,
            stored,
            high,
            signed=first_number(attributes, "00280103") == 1,
            photometric=(first_text(attributes, "00280004") or default).strip(),
            planar=(first_number(attributes, "00280006") or 0) if samples > 1 else 0,
            is_float=is_float,
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the array of a frame: of Bits Allocated, little endian."""
        if self.is_float:
            return np.dtype("<f4" if self.allocated == 32 else "<f8")
        word = _WORDS[self.allocated]
        return np.dtype("<" + (word.replace("u", "i") if self.signed else word))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array of a frame: (rows, columns), or (rows, columns, samples)."""
        pixels = (self.rows, self.columns)
        return pixels if self.samples == 1 else (*pixels, self.samples)

    @property
    def frame_bits(self) -> int:
        """Bits of a frame that is not compressed (PS3.5 8.1)."""
        bits = self.rows * self.columns * self.samples * self.allocated
        return bits // 3 * 2 if self.is_halved else bits

    @property
    def array_bytes(self) -> int:
        """Bytes of the array of a frame."""
        return self.rows * self.columns * self.samples * self.dtype.itemsize

    @property
    def is_halved(self) -> bool:
        """Whether two pixels share their colour (PS3.3 C.7.6.3.1.2)."""
        return self.samples == 3 and self.photometric in _HALVED

    @property
    def unpacked(self) -> tuple[ImageFormat, ...]:
        """What native frames can be encoded as, the form that loses nothing first.

        Pixels that share their colour have it each, as YBR_FULL; or RGB of 8 bits, which is all
        that is left of YBR_PARTIAL_422, for nothing but it has that range (C.7.6.3.1.2).
        """
        if not self.is_halved:
            return (self,)
        if self.photometric != "YBR_FULL_422":
            return (self.as_rgb,)
        return replace(self, photometric="YBR_FULL", planar=0), self.as_rgb

    @property
    def as_rgb(self) -> ImageFormat:
        """Of the same frames as RGB of 8 bits."""
        return ImageFormat(self.rows, self.columns, 3, photometric="RGB")

    @property
    def decoded(self) -> ImageFormat:
        """Of frames out of a bit stream: colours that only such have are RGB (C.7.6.3.1.2)."""
        if self.photometric in _OF_BIT_STREAMS:
            return replace(self, photometric="RGB", planar=0)
        return self


@dataclass(frozen=True, slots=True)
class Image:
    """A frame: `pixels` of shape `format.shape` and type `format.dtype`, colour by pixel.

    Bits of a word beyond Bits Stored are as they came: overlays may lie there.
    """

    pixels: Pixels
    format: ImageFormat
