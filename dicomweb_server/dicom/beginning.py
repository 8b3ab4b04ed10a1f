"""How a stream begins (PS3.10, 7.1): preamble, and what the first data set looks like."""

from struct import unpack_from
from typing import NamedTuple

from .errors import NotDicom
from .tags import VRS, format_tag, is_public, public_vr
from .transfer_syntaxes import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, is_implicit

PREAMBLE = 128
PREFIX = b"DICM"
ENOUGH = PREAMBLE + 4  # bytes that `find_start` needs, unless the stream ends before

_SIGNATURES = {
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "gzip-compressed data",
    b"<": "HTML or XML text",
    b"{": "JSON text",
    b"[": "JSON text",
}


class Start(NamedTuple):
    """Where the first element is, and what is odd about that."""

    position: int
    problem: str


def find_start(head: bytes) -> Start:
    """Find the first element from the first 132 bytes, or all there are.

    Raises:
        NotDicom: neither a preamble nor anything that looks like the first element of a data set.
    """
    if head[PREAMBLE:ENOUGH] == PREFIX:
        return Start(ENOUGH, "")
    if head[:4] == PREFIX:
        return Start(4, "The preamble of 128 bytes is missing.")
    if looks_like_meta(head) or guess_syntax(head):
        return Start(0, "Preamble and prefix are missing.")
    if not head:
        raise NotDicom("The stream is empty: a DICOM file (PS3.10) was expected.")
    kind = next((text for start, text in _SIGNATURES.items() if head.startswith(start)), "")
    found = f"like {kind}" if kind else "which is no data element either"
    raise NotDicom(
        'The stream is no DICOM file (PS3.10): at byte 128 "DICM" was expected, and it starts '
        f"with {head[:8].hex(' ')}, {found}."
    )


def looks_like_meta(head: bytes) -> bool:
    """Whether group 0002 starts here, in explicit VR little endian."""
    return head[:2] == b"\x02\x00" and head[4:6].decode("latin_1") in VRS


def guess_syntax(head: bytes) -> str:
    """The transfer syntax of a data set of which nobody told, from its first element; "" if none.

    Believed is only a public element of a low group with a plausible VR or length.
    """
    if len(head) < 8:
        return ""
    vr = head[4:6].decode("latin_1")
    if vr in VRS:
        for order, syntax in (("<", EXPLICIT_LITTLE), (">", EXPLICIT_BIG)):
            tag = _tag(order, head)
            if _plausible(tag) and (vr == "UN" or vr in (public_vr(tag) or vr)):
                return syntax
        return ""
    tag = _tag("<", head)
    (length,) = unpack_from("<I", head, 4)
    return IMPLICIT_LITTLE if _plausible(tag) and length <= 1 << 16 else ""


def _tag(order: str, head: bytes) -> int:
    group, element = unpack_from(order + "HH", head)
    return int(group) << 16 | int(element)


def _plausible(tag: int) -> bool:
    return 0x00040000 < tag < 0x00210000 and (is_public(tag) or tag & 0xFFFF == 0)


class DataSetStart(NamedTuple):
    """The encoding in which the first element of a data set really is."""

    implicit: bool
    order: str
    problem: str


def check_encoding(head: bytes, *, implicit: bool, order: str) -> DataSetStart:
    """Correct a wrong transfer syntax by the first six bytes of the data set.

    Two capital letters where explicit VR has its VR are taken for one: as the length of a first
    element they would mean more than 16 KiB.
    """
    vr = head[4:6]
    explicit = len(vr) == 2 and vr.isalpha() and vr.isupper() and vr.isascii()
    problem = ""
    if explicit == implicit:
        found = "explicit" if explicit else "implicit"
        problem = f"The transfer syntax is wrong: the data set is in {found} VR."
        implicit = not explicit
    if implicit:
        return DataSetStart(implicit, "<", problem)
    (group,) = unpack_from(order + "H", head)
    # No first group is above 00FF; that of the other byte order looks so.
    if group & 0xFF == 0 and 4 <= group >> 8 <= 0x20 and group > 0xFF:
        order = "<" if order == ">" else ">"
        name = "little" if order == "<" else "big"
        problem = f"The transfer syntax is wrong: the data set is in {name} endian."
    return DataSetStart(implicit, order, problem)


def encoding_of(head: bytes, transfer_syntax: str) -> DataSetStart:
    """`check_encoding` for a data set that is said to be in a transfer syntax."""
    order = ">" if transfer_syntax == EXPLICIT_BIG else "<"
    return check_encoding(head, implicit=is_implicit(transfer_syntax), order=order)


def describe_tag(head: bytes, order: str) -> str:
    """The tag at these bytes, for people."""
    return format_tag(_tag(order, head)) if len(head) >= 4 else "an element"
