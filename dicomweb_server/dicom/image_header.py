"""What is known of one image or video, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """One image, or a frame of a video.

    Attributes:
        rows, columns, samples: its size and number of components; 0 rows and columns if unknown.
        precision: bits of a sample.
        signed: whether samples are signed, None if the format holds bits only: lossless JPEG.
        padded: whether samples may be coded with all of Bits Allocated although fewer are stored.
        photometric: value of (0028,0004) if the data set has none.
        syntaxes: transfer syntaxes (UIDs) that this bit stream may have, the usual one first.
        start, length: where the bit stream lies within the bytes: without a file format around it.
        coded: where its coded samples begin, counted from `start`; 0 if that is not looked at.
        lossy: the method (0028,2114) if it certainly lost something, "" if that is not looked at.
    """

    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool | None
    photometric: str
    syntaxes: tuple[str, ...]
    start: int
    length: int
    lossy: str = ""
    padded: bool = False
    coded: int = 0
