"""What pydicom reads of a file before it converts anything, in bounds."""

from collections.abc import Iterator
from struct import unpack
from typing import BinaryIO, TypeGuard, cast

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileDataset
from pydicom.filereader import data_element_generator, dcmread

from .elements import CHARACTER_SET, UNDEFINED_LENGTH
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


def read_raw(file: BinaryIO, size: int, limits: Limits) -> tuple[FileDataset, list[AnyElement]]:
    """The data set of a file, and its elements, those inside of sequences excepted."""
    counted = cast("BinaryIO", _CountedFile(file, limits))
    data_set = dcmread(counted, defer_size=limits.inline_value, force=True)
    found = list(data_set.values())
    _, little = data_set.original_encoding
    elements: list[AnyElement] = []
    while True:
        swollen = next((e for e in found if _is_swollen(e, size)), None)
        mended = None if swollen is None else _with_short_length(file, size, swollen, limits)
        if mended is None:
            return data_set, elements + found
        elements += [element for element in found if element is not swollen]
        elements.append(mended)
        file.seek(mended.value_tell + mended.length)
        found = list(_go_on(counted, bool(little), limits))


def _is_swollen(element: AnyElement, size: int) -> TypeGuard[RawDataElement]:
    """Whether an element without a VR is longer than the file.

    Where a VR should be and is not, pydicom takes the length for one of four bytes, as in implicit
    VR, and the two bytes that are no VR for a half of it. Then this is the last element it sees.
    """
    return (
        isinstance(element, RawDataElement)
        and element.VR is None
        and not element.is_implicit_VR
        and element.length != UNDEFINED_LENGTH
        and element.value_tell + element.length > size
    )


def _with_short_length(
    file: BinaryIO, size: int, raw: RawDataElement, limits: Limits
) -> RawDataElement | None:
    """The element with a length of two bytes, if the file holds as many."""
    file.seek(raw.value_tell - 2)
    (length,) = unpack("<H" if raw.is_little_endian else ">H", file.read(2))
    if raw.value_tell + length > size:
        return None
    loaded = length <= limits.inline_value or raw.tag == CHARACTER_SET
    return raw._replace(length=length, value=file.read(length) if loaded else None)


def _go_on(file: BinaryIO, little: bool, limits: Limits) -> Iterator[AnyElement]:
    return data_element_generator(file, False, little, defer_size=limits.inline_value)
