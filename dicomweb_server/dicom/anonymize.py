"""A Part 10 file without what identifies somebody (PS3.15 annex E), while it streams by.

The Basic Application Level Confidentiality Profile (E.2), without options. Pixels pass untouched:
what is burned into them stays (E.3.1), and so does a face that can be made of them (E.3.2). Overlay
planes in unused bits of theirs are taken out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from struct import unpack_from
from typing import BinaryIO, Final, cast

from .anonymous import AnonymousEncoder, Pseudonyms
from .beginning import encoding_of
from .bounded import joined
from .elements import LONG_VRS, UNDEFINED_LENGTH
from .encode import Target
from .errors import DicomError
from .feed import Feed, inflated
from .meta import LARGEST, Meta, MetaElement, read_meta, write_meta
from .overlay_bits import overlay_bits, without_bits, word_size
from .tags import STANDARD, TagDictionary
from .transcode import PYDICOM_ERRORS, deflate, parse, parse_file
from .transfer_syntaxes import is_deflated

_SOP_INSTANCE_UID = 0x0003
_PIXEL_DATA: Final = (0x7FE0, 0x0010)
_KEPT: Final[tuple[int, ...]] = (0x0001, 0x0002, _SOP_INSTANCE_UID)
"""Elements of group 0002 that name neither a system nor a person."""


def anonymized(
    pieces: Iterable[bytes],
    transfer_syntax: str,
    names: Pseudonyms,
    *,
    dictionary: TagDictionary = STANDARD,
) -> Iterator[bytes]:
    """The same file without what identifies somebody, in the same transfer syntax.

    Everything but the pixel data is held in memory.

    Args:
        pieces: of a file that begins as PS3.10 7.1 wants it.
        names: instances that were given the same ones still refer to each other.

    Raises:
        DicomError: it cannot be understood well enough; mostly before the first piece.
    """
    feed = Feed(pieces)
    meta = read_meta(feed.read(LARGEST))
    feed.seek(meta.end)
    deflated = is_deflated(transfer_syntax)
    if deflated:
        feed = Feed(inflated(feed.remaining()))
    try:
        body = _body(feed, transfer_syntax, names, dictionary)
        first = next(body)
        yield write_meta(_anonymous_meta(meta, names), transfer_syntax)
        whole = chain((first,), body)
        yield from deflate(whole) if deflated else whole
    except PYDICOM_ERRORS as problem:
        raise DicomError(f"The data set cannot be anonymized: {problem}.") from problem


def _anonymous_meta(meta: Meta, names: Pseudonyms) -> Meta:
    elements = {number: meta.elements[number] for number in _KEPT if number in meta.elements}
    if _SOP_INSTANCE_UID in elements:
        value = names.value(elements[_SOP_INSTANCE_UID].value)
        elements[_SOP_INSTANCE_UID] = MetaElement("UI", value)
    # A preamble may belong to another format, such as TIFF, and hold what that tells.
    return Meta(bytes(128), elements, meta.end)


def _body(
    feed: Feed, transfer_syntax: str, names: Pseudonyms, dictionary: TagDictionary
) -> Iterator[bytes]:
    start = feed.tell()
    first = feed.read(8)
    feed.seek(start)
    implicit, order, _ = encoding_of(first, transfer_syntax)
    encoder = AnonymousEncoder(names, Target(implicit, order), dictionary)
    header = parse_file(cast(BinaryIO, feed), implicit, order)
    encoded = encoder.encode(header)
    element = feed.read(8)
    if len(element) < 8:
        yield encoded
        return
    if not implicit and element[4:6].decode("latin_1") in LONG_VRS:
        element += feed.exactly(4)
    (length,) = unpack_from(f"{order}I", element, len(element) - 4)
    bits = overlay_bits(header) if unpack_from(f"{order}HH", element) == _PIXEL_DATA else 0
    if bits and length == UNDEFINED_LENGTH:
        raise DicomError(
            "Overlay planes lie in unused bits of the pixel data, from which only an uncompressed "
            "transfer syntax lets them be taken."
        )
    yield encoded + element
    if length == UNDEFINED_LENGTH:
        yield from feed.fragments(order)
    else:
        pieces = feed.passed(length)
        yield from without_bits(pieces, bits, word_size(header), order) if bits else pieces
    behind = joined("What stands behind the pixel data", feed.remaining())
    if behind.strip(b"\0"):
        yield encoder.encode(parse(behind, implicit, order), (header,))
