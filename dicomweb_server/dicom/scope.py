"""The open places of a walk through a data set: data sets and sequences, outermost first."""

from array import array
from typing import Any

from .allowance import Allowance
from .charset import Charset
from .tags import describe

UNDEFINED = -1
MAX_PROBLEMS = 100


class Scope:
    """A data set whose end was not seen yet: the main one, or an item of a sequence."""

    __slots__ = (
        "allowance",
        "charset",
        "creators",
        "end",
        "implicit",
        "last",
        "order",
        "parent",
        "path",
        "pixel_representation",
        "problems",
        "unsorted",
        "values",
    )

    def __init__(
        self,
        parent: "Scope | None",
        path: str,
        end: int,
        charset: Charset,
        problems: list[str],
        allowance: Allowance,
        *,
        implicit: bool,
        order: str,
    ) -> None:
        self.parent = parent
        self.path = path  # "60031010/2/" for the second item of that sequence, "" for the main one
        self.end = end  # byte position behind the last element, or UNDEFINED
        self.charset = charset
        self.problems = problems
        self.allowance = allowance
        self.implicit = implicit
        self.order = order  # "<" or ">"
        self.values: dict[str, Any] = {}
        self.creators: dict[int, str] | None = None  # by group << 8 | block
        self.last = -1
        self.unsorted = False
        self.pixel_representation: int | None = None

    def note(self, key: str, text: str) -> None:
        """Remember what was tolerated in an element ("00100010") of this data set."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(f"{describe(self.path, key)} {text}.")

    def several(self, key: str, count: int) -> None:
        """Count the values of an element of this data set; raises `LimitExceeded`."""
        self.allowance.several(count, self.path, key)

    def creator(self, tag: int) -> str:
        """The private creator that reserved the block of a private tag here, or ""."""
        if self.creators is None:
            return ""
        return self.creators.get(tag >> 16 << 8 | (tag & 0xFFFF) >> 8, "")

    def nearest_pixel_representation(self) -> int:
        """(0028,0103) of this data set or the closest one around it; 0 if none has it."""
        scope: Scope | None = self
        while scope is not None:
            if scope.pixel_representation is not None:
                return scope.pixel_representation
            scope = scope.parent
        return 0

    def sort(self) -> None:
        """Put the elements into ascending order of their tags (PS3.18, F.2.2)."""
        if self.unsorted:
            items = sorted(self.values.items())
            self.values.clear()
            self.values.update(items)


class OpenSequence:
    """A sequence whose end was not seen yet."""

    __slots__ = ("end", "implicit", "items", "key", "order", "parent", "path", "start")

    def __init__(
        self, parent: Scope, key: str, start: int, end: int, *, implicit: bool, order: str
    ) -> None:
        self.parent = parent
        self.key = key
        self.path = parent.path + key.lower()
        self.start = start
        self.end = end
        self.implicit = implicit
        self.order = order
        self.items = 0


class OpenFragments:
    """Encapsulated data (PS3.5, A.4) whose sequence delimiter was not seen yet."""

    __slots__ = ("first", "heads", "key", "lengths", "parent", "start", "table")

    def __init__(self, parent: Scope, key: str, start: int) -> None:
        self.parent = parent
        self.key = key
        self.start = start  # byte position of the first item tag, that of the offset table
        self.table: bytes | None = None
        self.first = start  # byte position of the item tag behind the offset table
        self.lengths = array("I")
        self.heads = bytearray()  # for each fragment: 1 if it starts with the start of an image


Open = Scope | OpenSequence | OpenFragments
