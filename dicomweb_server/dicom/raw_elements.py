"""What pydicom reads of a file before it converts anything, in bounds."""

from typing import BinaryIO, cast

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileDataset
from pydicom.filereader import dcmread

from .errors import LimitExceeded
from .instance import Limits

AnyElement = RawDataElement | DataElement
_HEAD = 8


class _CountedFile:
    """A file that refuses to be read in too many small pieces.

    pydicom reads the head of each element on its own, and keeps what it read: this bounds the
    memory at any depth. Values of the same size count too, so twice the elements are allowed here;
    the exact limit is for who converts them.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self.seek, self.tell = file.seek, file.tell
        self._file = file
        self._most = limits.elements
        self._left = 2 * limits.elements

    def read(self, size: int = -1) -> bytes:
        """As of any file; raises `LimitExceeded`."""
        if size == _HEAD:
            self._left -= 1
            if self._left < 0:
                raise LimitExceeded(
                    f"Up to byte {self.tell()} the header has more than the {self._most} elements "
                    "and items that are possible."
                )
        return self._file.read(size)


def read_raw(file: BinaryIO, limits: Limits) -> tuple[FileDataset, list[AnyElement]]:
    """The data set of a file, and its elements, those inside of sequences excepted."""
    counted = cast("BinaryIO", _CountedFile(file, limits))
    data_set = dcmread(counted, defer_size=limits.inline_value, force=True)
    return data_set, list(data_set.values())
