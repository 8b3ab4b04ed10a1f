"""What is known of one video."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from dicomweb_server.dicom.image_header import ImageHeader

FAMILY = "1.2.840.10008.1.2.4."


@dataclass(frozen=True, slots=True)
class Coded:
    """What the headers of a coded stream say.

    Attributes:
        codec, profile, level: as their standard calls them.
        rows, columns: of a frame as it is shown.
        precision: bits of a sample.
        syntaxes: ends of the transfer syntaxes that allow this profile and level, the usual first.
        rate: frames in a second, None if it does not tell.
    """

    codec: str
    profile: str
    level: str
    rows: int
    columns: int
    precision: int
    syntaxes: tuple[str, ...]
    rate: Fraction | None = None


@dataclass(frozen=True, slots=True)
class VideoHeader:
    """One video.

    Attributes:
        image: one frame of it; `syntaxes` is empty if DICOM has none for it.
        kind: what it is, for people.
        frames: how many there are, None if that is not told in one place.
        rate: frames in a second, None if it is not told.
    """

    image: ImageHeader
    kind: str
    frames: int | None
    rate: Fraction | None
