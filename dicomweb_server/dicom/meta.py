"""File meta information, group 0002 (PS3.10, 7.1): always explicit VR little endian."""

from struct import pack, unpack_from
from typing import NamedTuple

from .beginning import ENOUGH, find_start
from .elements import LONG_VRS
from .errors import NotUnderstood
from .transfer_syntaxes import is_deflated
from .views import ReadRange

LARGEST = 1 << 20
"""Bytes of a file of which its group 0002 is read: more than any has."""
GROUP_LENGTH = 0x0000
TRANSFER_SYNTAX = 0x0010


class MetaElement(NamedTuple):
    """An element of group 0002."""

    vr: str
    value: bytes


class Meta(NamedTuple):
    """The start of a file."""

    preamble: bytes  # 128 bytes
    elements: dict[int, MetaElement]  # by element number
    end: int  # byte position of the data set


def read_meta(head: bytes) -> Meta:
    """Read the file meta information at the start of a file; `head` must hold all of it.

    Raises:
        NotDicom: see `find_start`.
        NotUnderstood: an element overruns `head`.
    """
    position = find_start(head[:ENOUGH]).position
    preamble = head[:128] if position == ENOUGH else bytes(128)
    elements: dict[int, MetaElement] = {}
    end = -1
    while position + 8 <= len(head) and head[position : position + 2] == b"\x02\x00":
        if position == end and is_deflated(text_of(elements)):
            break  # deflated bytes that look like group 0002
        (element,) = unpack_from("<H", head, position + 2)
        vr = head[position + 4 : position + 6].decode("latin_1")
        long = vr in LONG_VRS
        if position + 12 > len(head):
            break
        (length,) = unpack_from("<I" if long else "<H", head, position + (8 if long else 6))
        start = position + (12 if long else 8)
        position = start + length
        if position > len(head):
            raise NotUnderstood(f"Element (0002,{element:04X}) is longer than the file.")
        elements[element] = MetaElement(vr, head[start:position])
        if element == GROUP_LENGTH and length == 4:
            end = position + unpack_from("<I", head, start)[0]
    return Meta(preamble, elements, position)


def meta_of(read: ReadRange, size: int) -> Meta:
    """As `read_meta`, of a file of `size` bytes of which `read` gives ranges."""
    return read_meta(read(0, min(size, LARGEST)))


def text_of(elements: dict[int, MetaElement], element: int = TRANSFER_SYNTAX) -> str:
    """The text of a UID in the file meta information, "" if missing."""
    found = elements.get(element)
    return found.value.decode("latin_1").strip(" \0") if found else ""


def write_meta(meta: Meta, transfer_syntax: str) -> bytes:
    """Preamble, prefix and file meta information with another transfer syntax."""
    elements = dict(meta.elements)
    uid = transfer_syntax.encode("ascii")
    elements[TRANSFER_SYNTAX] = MetaElement("UI", uid + b"\0" * (len(uid) % 2))
    elements.setdefault(0x0001, MetaElement("OB", b"\0\1"))
    elements.pop(GROUP_LENGTH, None)
    body = b"".join(_element(number, elements[number]) for number in sorted(elements))
    length = _element(GROUP_LENGTH, MetaElement("UL", pack("<I", len(body))))
    return meta.preamble + b"DICM" + length + body


def _element(number: int, element: MetaElement) -> bytes:
    vr = element.vr.encode("latin_1")
    if element.vr in LONG_VRS:
        head = pack("<HH2sHI", 2, number, vr, 0, len(element.value))
    else:
        head = pack("<HH2sH", 2, number, vr, len(element.value))
    return head + element.value
