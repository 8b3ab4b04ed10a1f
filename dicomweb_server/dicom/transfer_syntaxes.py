"""Transfer syntaxes (PS3.5, annex A), as far as reading a data set needs them."""

import re

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_GE_PRIVATE = "1.2.840.113619.5.2"  # implicit VR, its pixel data in big endian
_IMPLICIT = frozenset((IMPLICIT_LITTLE, _GE_PRIVATE))
# Deflated JPIP syntaxes deflate the data set as well (PS3.5, A.7 and A.10).
_DEFLATED = frozenset((DEFLATED, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"))
# MPEG-2, MPEG-4 AVC, HEVC; some with ".1" behind for streams in fragments.
_VIDEO = tuple(f"1.2.840.10008.1.2.4.{number}" for number in range(100, 109))


def is_uid(text: str) -> bool:
    """Whether a transfer syntax is named by one UID: digits and dots, at most 64 (PS3.5, 9.1)."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def is_implicit(uid: str) -> bool:
    """Whether elements come without their VR."""
    return uid in _IMPLICIT


def is_deflated(uid: str) -> bool:
    """Whether everything behind group 0002 is deflated."""
    return uid in _DEFLATED


def is_video(uid: str) -> bool:
    """Whether all frames make one stream, so that none of them is a fragment."""
    return uid.removesuffix(".1") in _VIDEO
