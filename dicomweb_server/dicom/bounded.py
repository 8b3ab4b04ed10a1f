"""What may be held in memory of one file beside its pixel data."""

from collections.abc import Iterable
from typing import Final

from .errors import DicomError

MOST_IN_MEMORY: Final = 64 << 20
"""Bytes of attributes, as they stand in the file or come out of a deflated data set."""


def require_room(what: str, size: int) -> None:
    """Raise `DicomError` unless so many bytes may be held in memory."""
    if size > MOST_IN_MEMORY:
        raise DicomError(
            f"{what} has {size} bytes or more; {MOST_IN_MEMORY} are possible where a file is "
            f"rewritten, so that it can only be had as it is stored."
        )


def joined(what: str, pieces: Iterable[bytes]) -> bytes:
    """The pieces, once it is known that there is room for them."""
    held = bytearray()
    for piece in pieces:
        held += piece
        require_room(what, len(held))
    return bytes(held)
