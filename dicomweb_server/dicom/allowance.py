"""What a stream may still make its reader hold in memory."""

from typing import NoReturn

from .errors import LimitExceeded
from .instance import Limits
from .tags import describe

HEAD = 8  # bytes that an element or item takes in the file, at least, without its value
_TOGETHER = 8  # values of one element that take about as much memory as another element
FEW = 2 * _TOGETHER  # bytes of text that cannot hold more values than come free


class Allowance:
    """What is left of the limits; shared by a reader and all data sets that it has open.

    The bytes of a file do not tell what they take in memory: an element of ten bytes becomes
    objects of about four hundred. So elements are counted, and the bytes beside them.
    """

    __slots__ = ("bytes", "elements", "limits")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.bytes = limits.header_bytes
        self.elements = limits.elements

    def take(self, length: int, path: str, key: str, elements: int = 1) -> None:
        """Count an element or item with so many bytes; raises `LimitExceeded`."""
        self.bytes -= length
        self.elements -= elements
        if self.bytes < 0:
            self.too_long(path, key)
        if self.elements < 0:
            self.too_many(path, key)

    def several(self, count: int, path: str, key: str) -> None:
        """Count the values of one element beyond the first few; raises `LimitExceeded`."""
        if count > _TOGETHER:
            self.take(0, path, key, count // _TOGETHER)

    def too_long(self, path: str, key: str) -> NoReturn:
        """Refuse a header of too many bytes."""
        raise LimitExceeded(
            f"Up to {describe(path, key)} the header has more than the "
            f"{self.limits.header_bytes} bytes that are possible."
        )

    def too_many(self, path: str, key: str) -> NoReturn:
        """Refuse a header of too many elements."""
        raise LimitExceeded(
            f"Up to {describe(path, key)} the header has more than the {self.limits.elements} "
            f"elements and items that are possible; of many values in one element, {_TOGETHER} "
            "count as one."
        )
