"""Where the value of any element lies in a file, by its bulk data path (PS3.18, 10.4.1.1.5)."""

import sys
from dataclasses import dataclass, replace
from typing import BinaryIO

from .assemble import settle_vr
from .elements import AFTERWARDS, Entry
from .errors import NotUnderstood
from .fallback import read_with_pydicom
from .instance import MAX_DEPTH, Limits
from .reader import DicomReader
from .scope import OpenFragments, OpenSequence, Scope
from .tags import STANDARD, TagDictionary

_CHUNK = 1 << 16
_MAX_CONVERTED = 1 << 16  # of Specific Character Set and private creators


@dataclass(frozen=True, slots=True)
class FoundValue:
    """A value in a file.

    Attributes:
        path: the normal form, "60031010/2/60031011".
        vr: value representation; "OB" for encapsulated data, "SQ" for sequences.
        offset, length: bytes; length 0 for an empty element.
        items: of a sequence.
        deflated: whether offset counts in the stream with its data set inflated.
    """

    path: str
    vr: str
    offset: int
    length: int
    items: int
    deflated: bool


def normal_path(path: str, dictionary: TagDictionary = STANDARD) -> str | None:
    """A path of tags or keywords and item numbers in its normal form; None for unknown keywords.

    Raises:
        ValueError: it ends with an item, or an item is no number.
    """
    parts = path.strip("/").split("/")
    if len(parts) % 2 == 0:
        raise ValueError(
            f'The bulk data path "{path}" has {len(parts)} segments; possible is a tag, or a '
            "sequence, an item number and a tag, and so on: an odd number of segments."
        )
    normal: list[str] = []
    for index, part in enumerate(parts):
        if index % 2:
            if not (part.isascii() and part.isdigit()):
                raise ValueError(f'The item "{part}" in the bulk data path "{path}" is no number.')
            normal.append(str(int(part[:20])))
            continue
        tag = dictionary.resolve(part)
        if tag is None:
            return None
        normal.append(tag.lower())
    return "/".join(normal)


def find_value(
    file: BinaryIO,
    path: str,
    *,
    dictionary: TagDictionary = STANDARD,
    limits: Limits = Limits(),  # noqa: B008  # frozen
) -> FoundValue | None:
    """Locate the value of any element, whether `ParsedInstance.located` has it or not.

    Walks the file in constant memory and does not read values it can seek over.

    Args:
        file: a seekable DICOM file, read from its start; see `views.open_view`.
        path: "7fe00010", "PatientName", "60031010/2/6003,1011".

    Returns:
        None if there is no such element.

    Raises:
        ValueError: see `normal_path`.
        DicomError: as for `DicomReader.feed` and `read_with_pydicom`.
    """
    wanted = normal_path(path, dictionary)
    if wanted is None:
        return None
    try:
        return _walk(file, _Finder(wanted, dictionary, limits))
    except NotUnderstood:
        everything = replace(limits, inline_value=0)
        instance = read_with_pydicom(file, dictionary=dictionary, limits=everything)
    place = next((value for value in instance.located if value.path == wanted), None)
    if place is None:
        return None
    return FoundValue(wanted, place.vr, place.offset, place.length, 0, instance.deflated)


def _walk(file: BinaryIO, finder: "_Finder") -> FoundValue | None:
    file.seek(0)
    while finder.found is None:
        data = file.read(_CHUNK)
        if not data:
            finder.finish()
            break
        finder.feed(data)
        skip = finder.take_skip()
        if skip:
            file.seek(skip, 1)
    return finder.found


class _Finder(DicomReader):
    """The reader in a mode that locates every value and keeps none."""

    def __init__(self, wanted: str, dictionary: TagDictionary, limits: Limits) -> None:
        # Nothing is kept, so that a file that was taken under wider limits is no danger here.
        nothing_inline = replace(limits, inline_value=-1, depth=MAX_DEPTH, elements=sys.maxsize)
        super().__init__(dictionary=dictionary, limits=nothing_inline)
        self._wanted = wanted
        self.found: FoundValue | None = None

    def take_skip(self) -> int:
        """How many bytes the caller may seek over; 0 while inflating."""
        if self._inflating:
            return 0
        skip, self._skip = self._skip, 0
        self._position += skip
        return skip

    def finish(self) -> None:
        """Close sequences that end with the file."""
        while len(self._stack) > 1 and self._closes_here():
            pass

    def _check(self, path: str, vr: str, offset: int, length: int, items: int = 0) -> None:
        if path == self._wanted:
            self.found = FoundValue(path, vr, offset, length, items, self._inflating)

    def _stays(self, entry: Entry, length: int) -> bool:
        return entry.kind != AFTERWARDS or length > _MAX_CONVERTED

    def _locate(self, scope: Scope, entry: Entry, offset: int, length: int) -> None:
        vr = settle_vr(entry.vr, scope, entry.key) if " or " in entry.vr else entry.vr
        self._check(scope.path + entry.key.lower(), vr, offset, length)

    def _convert(self, entry: Entry, raw: bytes, scope: Scope, offset: int) -> None:
        super()._convert(entry, raw, scope, offset)
        scope.values.clear()
        self._locate(scope, entry, offset, len(raw))

    def _close_fragments(self, fragments: OpenFragments, end: int) -> None:
        super()._close_fragments(fragments, end)
        self._located.clear()
        self._check(
            fragments.parent.path + fragments.key.lower(),
            "OB",
            fragments.start,
            end - fragments.start,
        )

    def _close_sequence(self, sequence: OpenSequence, end: int) -> None:
        super()._close_sequence(sequence, end)
        sequence.parent.values.clear()
        self._check(sequence.path, "SQ", sequence.start, end - sequence.start, sequence.items)
