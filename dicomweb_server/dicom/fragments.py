"""The walk through encapsulated data, and what all walking has in common."""

from struct import Struct
from typing import Any, cast

from .allowance import HEAD, Allowance
from .charset import Charset
from .elements import (
    ITEM,
    PIXEL_DATA_TAGS,
    SEQUENCE_END,
    UNDEFINED_LENGTH,
    Encoding,
)
from .errors import NotUnderstood
from .instance import Limits, LocatedValue
from .json_model import BulkPath
from .scope import Open, OpenFragments, Scope
from .stream import PushStream, State
from .tags import TagDictionary, describe, format_tag

FRAGMENT_COST = 16  # bytes of memory
_IMAGE_STARTS = (b"\xff\xd8", b"\xff\x4f", b"\xff\x0a")  # JPEG and JPEG-LS, JPEG 2000, JPEG XL
ITEM_HEADS = {"<": Struct("<HHI").unpack_from, ">": Struct(">HHI").unpack_from}


def starts_image(head: bytes) -> bool:
    """Whether a fragment with these first two bytes starts a frame (PS3.5, A.4)."""
    return head in _IMAGE_STARTS


def no_fragment(fragments: OpenFragments, position: int, tag: int) -> str:
    """What stands where a fragment of defined length must, as a sentence."""
    where = f"In {describe(fragments.parent.path, fragments.key)}, at byte {position}, a fragment"
    if tag == ITEM:
        return f"{where} has undefined length; possible is the number of its bytes (PS3.5, A.4)."
    return f"{where} was expected, found {format_tag(tag)}."


class FragmentWalker(PushStream):
    """The state for encapsulated fragments, and what a walk has found so far."""

    def __init__(
        self, state: State, dictionary: TagDictionary, charset: Charset, limits: Limits
    ) -> None:
        super().__init__(state)
        self._dictionary = dictionary
        self._charset = charset
        self._limits = limits
        self._inline = limits.inline_value
        self._allowance = Allowance(limits)
        self._stack: list[Open] = []
        self._depth = 0
        self._current = ("", "00000000")  # path and key of what is being skipped, for messages
        self._problems: list[str] = []
        self._located: list[LocatedValue] = []
        self._deferred: list[tuple[Scope, str, dict[str, Any], str, bytes, int]] = []
        self._tables: dict[int, bytes] = {}  # Extended Offset Table and its lengths
        self._encapsulated: OpenFragments | None = None
        self._encodings = encodings_of(dictionary)

    def _spend(self, scope: Scope, key: str, length: int) -> None:
        """Count an element or item whose value takes so many bytes."""
        self._allowance.take(HEAD + length, scope.path, key)

    def _fragments(self, buffer: bytes, position: int) -> int:
        """State: between the fragments of encapsulated data (PS3.5, A.4)."""
        fragments = cast("OpenFragments", self._stack[-1])
        head_of = ITEM_HEADS[fragments.parent.order]
        lengths, size, allowance = fragments.lengths, len(buffer), self._allowance
        while True:
            if size - position < 8:
                self._need = 8
                return position
            group, element, length = head_of(buffer, position)
            tag = group << 16 | element
            if tag == SEQUENCE_END:
                self._close_fragments(fragments, self._base + position)
                return position + 8
            if tag != ITEM or length == UNDEFINED_LENGTH:
                raise NotUnderstood(no_fragment(fragments, self._base + position, tag))
            start = position + 8
            table = fragments.table is None
            wanted = length if table else min(length, 2)
            if start + wanted > size:
                if wanted > allowance.bytes:
                    allowance.too_long(fragments.parent.path, fragments.key)
                self._need = 8 + wanted
                return position
            position = start + length
            allowance.bytes -= FRAGMENT_COST + (length if table else 0)
            if allowance.bytes < 0:
                allowance.too_long(fragments.parent.path, fragments.key)
            if table:
                fragments.table = buffer[start:position]
                fragments.first = self._base + position
                continue
            lengths.append(length)
            fragments.heads.append(starts_image(buffer[start : start + 2]))
            if position > size:
                self._current = fragments.parent.path, fragments.key
                return position

    def _close_fragments(self, fragments: OpenFragments, end: int) -> None:
        self._stack.pop()
        self._state = self._elements
        scope, key = fragments.parent, fragments.key
        path = BulkPath(scope.path + key.lower())
        length = end - fragments.start
        scope.values[key] = {"vr": "OB"}
        if length:
            scope.values[key]["BulkDataURI"] = path
            self._located.append(LocatedValue(path, "OB", fragments.start, length))
        if not scope.path and int(key, 16) in PIXEL_DATA_TAGS:
            self._encapsulated = fragments

    def _elements(self, buffer: bytes, position: int) -> int:
        """State: a data set."""
        raise NotImplementedError


_ENCODINGS: list[tuple[TagDictionary, dict[tuple[bool, str], Encoding]]] = []


def encodings_of(dictionary: TagDictionary) -> dict[tuple[bool, str], Encoding]:
    """The encodings of data sets with this dictionary; their caches serve all readers."""
    for known, encodings in _ENCODINGS:
        if known is dictionary:
            return encodings
    encodings = {
        (implicit, order): Encoding(dictionary, implicit=implicit, order=order)
        for implicit in (False, True)
        for order in "<>"
    }
    _ENCODINGS.append((dictionary, encodings))
    del _ENCODINGS[:-8]
    return encodings
