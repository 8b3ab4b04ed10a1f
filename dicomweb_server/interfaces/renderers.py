"""What turns rendered frames into files that a browser shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from dicomweb_server.dicom import DicomError
from dicomweb_server.imaging.image import Pixels
from dicomweb_server.interfaces.provider import Provider


class RendererError(DicomError):
    """Frames cannot be written as a media type; the message says why, to the client too."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """How rendered frames are written.

    Attributes:
        quality: 1 to 100, where the media type knows one.
        seconds_per_frame: of an animation.
        icc_profile: that colours are of, to embed; b"" for none. Only beside colour frames.
    """

    quality: int = 90
    seconds_per_frame: float = 0.1
    icc_profile: bytes = b""


class Renderer(Provider, ABC):
    """Writes images of some media types.

    It runs in helper processes, like a `Codec`: MUST need nothing but its settings, and the module
    of the class SHOULD import libraries only where they are used.
    """

    media_types: ClassVar[tuple[str, ...]] = ()
    """Media types that `write` makes, the preferred one first."""

    animated: ClassVar[frozenset[str]] = frozenset()
    """Those of them that hold several frames."""

    deep: ClassVar[frozenset[str]] = frozenset()
    """Those of them that hold grey images of 16 bits."""

    def warm_up(self) -> None:
        """MAY import what is heavy: called once, in the process that helpers are forked from.

        MUST NOT start threads. Elsewhere heavy modules SHOULD be imported where they are used.
        """

    @abstractmethod
    def write(self, frames: Iterator[Pixels], media_type: str, rendering: Rendering) -> bytes:
        """The file.

        Args:
            frames: uint8 of shape (rows, columns) or (rows, columns, 3), or uint16 of shape (rows,
                columns) for a media type of `deep`; more than one only for one of `animated`.
                All are of one shape. MUST be taken one by one: there may be thousands.

        Raises:
            RendererError: there is no frame, the media type is none of `media_types`, or it holds
                no frames of that size, number or depth.
        """
