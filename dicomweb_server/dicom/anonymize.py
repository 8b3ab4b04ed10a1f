"""A Part 10 file without what identifies somebody (PS3.15 annex E), while it streams by.

The Basic Application Level Confidentiality Profile (E.2), without options. Pixel data pass
untouched: what is burned into them stays (E.3.1), and so does a face that can be made of them
(E.3.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import chain
from struct import error, unpack_from
from typing import BinaryIO, Final, cast

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from .anonymous import AnonymousEncoder, Pseudonyms
from .beginning import check_encoding
from .elements import LONG_VRS, PIXEL_DATA_TAGS, UNDEFINED_LENGTH
from .encode import Target
from .errors import DicomError
from .feed import Feed, inflated
from .meta import Meta, MetaElement, read_meta, write_meta
from .tags import STANDARD, TagDictionary
from .transcode import deflate
from .transfer_syntaxes import EXPLICIT_BIG, is_deflated, is_implicit

_MAX_META: Final = 1 << 20
_SOP_INSTANCE_UID = 0x0003
_KEPT: Final[tuple[int, ...]] = (0x0001, 0x0002, _SOP_INSTANCE_UID)
"""Elements of group 0002 that name neither a system nor a person."""
_PYDICOM_ERRORS = (ValueError, KeyError, TypeError, OSError, EOFError, NotImplementedError, error)


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
    meta = read_meta(feed.read(_MAX_META))
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
    except _PYDICOM_ERRORS as problem:
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
    implicit, order, _ = check_encoding(
        first,
        implicit=is_implicit(transfer_syntax),
        order=">" if transfer_syntax == EXPLICIT_BIG else "<",
    )
    encoder = AnonymousEncoder(names, Target(implicit, order), dictionary)
    header = _read(cast(BinaryIO, feed), implicit, order)
    yield encoder.encode(header)
    element = feed.read(8)
    if len(element) < 8:
        return
    if not implicit and element[4:6].decode("latin_1") in LONG_VRS:
        element += feed.exactly(4)
    yield element
    (length,) = unpack_from(f"{order}I", element, len(element) - 4)
    yield from feed.fragments(order) if length == UNDEFINED_LENGTH else feed.passed(length)
    behind = b"".join(feed.remaining())
    if behind.strip(b"\0"):
        yield encoder.encode(_read(BytesIO(behind), implicit, order), (header,))


def _read(file: BinaryIO, implicit: bool, order: str) -> Dataset:
    """The elements up to the pixel data, raw."""
    return read_dataset(
        file,
        implicit,
        order == "<",
        stop_when=lambda tag, vr, length: int(tag) in PIXEL_DATA_TAGS,
    )
