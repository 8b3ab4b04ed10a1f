"""Tags, keywords and Value Representations (PS3.6), plus the user's own private tags."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from pydicom._dicom_dict import DicomDictionary
from pydicom._private_dict import private_dictionaries
from pydicom.datadict import (
    dictionary_has_tag,
    dictionary_keyword,
    dictionary_VR,
    keyword_dict,
    tag_for_keyword,
)

VRS = frozenset((
    "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OD", "OF", "OL",
    "OV", "OW", "PN", "SH", "SL", "SQ", "SS", "ST", "SV", "TM", "UC", "UI", "UL", "UN", "UR", "US",
    "UT", "UV",
))  # fmt: skip

_TAG = re.compile(r"([0-9a-fA-F]{4})[,-]?([0-9a-fA-F]{4})\Z")
_SHORT_TAG = re.compile(r"([0-9a-fA-F]{1,4}),([0-9a-fA-F]{1,4})\Z")
_IN_PARENTHESES = re.compile(r"\((.*)\)\Z")
_NAMED = 6  # items around an element that a message names


def format_tag(tag: int) -> str:
    """A tag as people write it: ``(0010,0010)``."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def describe(path: str, key: str) -> str:
    """An element for people: ``(0010,0010)``, or ``(0040,A730) item 2, (0008,0100)``.

    Of a deep path, only both ends are named.
    """
    parts = [part for part in path.split("/") if part]
    around = [
        f"{format_tag(int(tag, 16))} item {number}, "
        for tag, number in zip(parts[::2], parts[1::2], strict=True)
    ]
    if len(around) > _NAMED:
        around[2:-2] = [f"{len(around) - 4} more items, "]
    return "".join(around) + format_tag(int(key, 16))


def is_private(tag: int) -> bool:
    """Whether the group is odd (PS3.5, 7.8)."""
    return bool(tag >> 16 & 1)


def is_private_creator(tag: int) -> bool:
    """Whether the element reserves a block of private elements: (gggg,0010-00FF), gggg odd."""
    return bool(tag >> 16 & 1) and 0x10 <= (tag & 0xFFFF) <= 0xFF


@lru_cache(maxsize=8192)
def public_vr(tag: int) -> str:
    """The VR of a tag of PS3.6, "" if it has none there; ambiguous ones as "US or SS"."""
    if tag & 0xFFFF == 0:
        return "UL"
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return ""


def is_public(tag: int) -> bool:
    """Whether PS3.6 lists the tag itself (not as one of a repeating group)."""
    return tag in DicomDictionary


@lru_cache(maxsize=8192)
def _known_private_vr(tag: int, creator: str) -> str:
    known = private_dictionaries.get(creator)
    if known is None:
        return ""
    group, element = f"{tag >> 16:04X}", f"{tag & 0xFFFF:04X}"
    for key in (group + element, f"{group}xx{element[2:]}", f"{group[:2]}xxxx{element[2:]}"):
        if key in known:
            return str(known[key][0])
    return ""


class TagDictionary:
    """Names and VRs of tags: PS3.6, the private tags that pydicom knows, and the user's own.

    `custom` is the option ``Dictionary``: ``{"0009,1001": ["DS", "MyName", 1, 1, "Creator"]}``, all
    after the name optional. `default_private_creator` is the creator of entries without one and of
    private tags whose block nobody reserved.

    Raises:
        ValueError: an entry is malformed; the sentence names it and says what is possible.
    """

    def __init__(
        self,
        custom: Mapping[str, Sequence[Any]] | None = None,
        default_private_creator: str = "",
    ) -> None:
        self.default_private_creator = default_private_creator
        self._vrs: dict[int, str] = {}
        self._private_vrs: dict[tuple[int, str], str] = {}
        self._tags: dict[str, int] = {}
        self._keywords: dict[int, str] = {}
        for name, entry in (custom or {}).items():
            self._add(name, entry)

    def _add(self, name: str, entry: Sequence[Any]) -> None:
        tag = _parse_entry(name)
        where = f'Entry "{name}" of Dictionary'
        if tag is None:
            raise ValueError(f'{where}: a tag is written as "gggg,eeee" in hexadecimal digits.')
        if isinstance(entry, str | bytes) or not isinstance(entry, Sequence) or len(entry) < 2:
            raise ValueError(
                f"{where}: expected a list of VR, name, and optionally minimum and maximum "
                f"multiplicity and private creator, found {entry!r}."
            )
        vr, keyword = entry[0], entry[1]
        if vr not in VRS:
            raise ValueError(
                f"{where}: {vr!r} is no value representation; possible: {', '.join(sorted(VRS))}."
            )
        if not isinstance(keyword, str) or not keyword:
            raise ValueError(f"{where}: the name must be text, found {keyword!r}.")
        creator = self._creator(where, tag, entry)
        if is_private(tag):
            self._private_vrs[_block_free(tag), creator] = vr
        else:
            self._vrs[tag] = vr
        self._tags[keyword] = tag
        self._keywords[tag] = keyword

    def _creator(self, where: str, tag: int, entry: Sequence[Any]) -> str:
        for limit in entry[2:4]:
            if not isinstance(limit, int) or limit < 0:
                raise ValueError(
                    f"{where}: minimum and maximum multiplicity are whole numbers (0 as maximum: "
                    f"no limit), found {limit!r}."
                )
        creator = entry[4] if len(entry) > 4 else self.default_private_creator
        if len(entry) > 5 or not isinstance(creator, str):
            raise ValueError(
                f"{where}: after the multiplicities only the private creator, a text, may follow; "
                f"found {list(entry[4:])!r}."
            )
        return creator if is_private(tag) else ""

    def resolve(self, name: str) -> str | None:
        """The tag of a keyword or of a tag in any spelling, as "00100010"; None if unknown.

        >>> STANDARD.resolve("PatientName"), STANDARD.resolve("7fe0,0010")
        ('00100010', '7FE00010')
        """
        tag = self._tags.get(name)
        if tag is None:
            tag = _parse_tag(name)
        if tag is None and name:  # some retired tags have no keyword
            tag = tag_for_keyword(name)
        return None if tag is None else f"{tag:08X}"

    def vr(self, tag: int | str, private_creator: str = "") -> str:
        """The VR of a tag (number or "00100010"); "UN" if unknown, "US or SS" if it depends.

        A private tag belongs to `private_creator`, or to the default creator if that is empty.
        """
        number = int(tag, 16) if isinstance(tag, str) else tag
        if number >> 16 & 1:
            return self._private_vr(number, private_creator or self.default_private_creator)
        custom = self._vrs.get(number) if self._vrs else None
        return custom or public_vr(number) or "UN"

    def _private_vr(self, tag: int, creator: str) -> str:
        if is_private_creator(tag):
            return "LO"
        if tag & 0xFFFF == 0:
            return "UL"
        if self._private_vrs:
            custom = self._private_vrs.get((_block_free(tag), creator))
            if custom:
                return custom
        return _known_private_vr(tag, creator) or "UN"

    def keyword(self, tag: int | str) -> str:
        """The keyword of a tag (number or "00100010"), "" if it has none."""
        number = int(tag, 16) if isinstance(tag, str) else tag
        if number in self._keywords:
            return self._keywords[number]
        return str(dictionary_keyword(number)) if dictionary_has_tag(number) else ""

    @cached_property
    def keywords(self) -> tuple[str, ...]:
        """Every known keyword: to tell the right spelling of a wrong one."""
        return tuple(filter(None, dict.fromkeys((*self._tags, *keyword_dict))))


def _block_free(tag: int) -> int:
    """A private tag without the number of its block, which each file chooses (PS3.5, 7.8.1)."""
    return tag & 0xFFFF00FF if tag & 0xFFFF >= 0x1000 else tag


def _parse_tag(name: str) -> int | None:
    inner = _IN_PARENTHESES.match(name)
    match = _TAG.match(inner[1] if inner else name)
    return int(match[1] + match[2], 16) if match else None


def _parse_entry(name: str) -> int | None:
    """A tag as configurations of Orthanc spell it: `2001,5f` is element 5F of any block."""
    match = _SHORT_TAG.match(name)
    if match is None:
        return _parse_tag(name)
    group, element = (int(digits, 16) for digits in match.groups())
    in_block = is_private(group << 16) and 0 < element <= 0xFF
    return group << 16 | element | (0x1000 if in_block else 0)


STANDARD = TagDictionary()
