"""Headers of data elements (PS3.5, 7.1), decoded once for each tag and VR and then looked up."""

from collections.abc import Callable
from struct import Struct
from typing import Any, NamedTuple

from .errors import NotUnderstood
from .tags import VRS, TagDictionary, format_tag, is_private_creator
from .values import BULK_VRS, CONVERTERS, Converter

UNDEFINED_LENGTH = 0xFFFFFFFF

# Explicit VRs whose length takes four bytes behind two reserved ones (PS3.5, table 7.1-1).
LONG_VRS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"))

# What the reader does with an element.
INLINE = 0  # convert its value
BULK = 1  # leave its value in the file
SEQUENCE = 2
AFTERWARDS = 3  # convert its value, then something depends on it
DEFERRED = 4  # its VR depends on what comes later
INDIRECT = 5  # its VR depends on the private creator, or on its length
DELIMITER = 6
SKIPPED = 7
FORBIDDEN = 8

# Tags the reader cares about.
CHARACTER_SET = 0x00080005
PIXEL_REPRESENTATION = 0x00280103
EXTENDED_OFFSETS = 0x7FE00001
EXTENDED_LENGTHS = 0x7FE00002
PIXEL_DATA_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD

MAX_CACHED = 20_000  # entries; a stream of invented tags must not fill the memory


class Entry(NamedTuple):
    """All that is known of an element from its tag and VR alone."""

    tag: int
    key: str  # "00100010"
    kind: int
    convert: Converter | None
    vr: str
    unpack: Callable[[bytes, int], tuple[Any, ...]]  # of the length
    length_at: int  # from the start of the element
    size: int  # of the header


class Encoding:
    """How data sets are encoded: explicit or implicit VR, byte order; with its cache of entries."""

    def __init__(self, dictionary: TagDictionary, *, implicit: bool, order: str) -> None:
        self.dictionary = dictionary
        self.implicit = implicit
        self.order = order
        self.key_size = 4 if implicit else 6
        self.cache: dict[bytes, Entry] = {}
        self._tag = Struct(order + "HH")
        self._short = Struct(order + "H").unpack_from
        self._long = Struct(order + "I").unpack_from
        self._converters = CONVERTERS[order]

    def entry(self, head: bytes) -> Entry:
        """The entry for the first bytes of an element: its tag, and its VR if explicit.

        Raises:
            NotUnderstood: the VR is none of PS3.5.
        """
        group, element = self._tag.unpack(head[:4])
        tag = group << 16 | element
        if group in (0, 0xFFFE):  # without VR in any encoding
            kind = DELIMITER if group else FORBIDDEN
            entry = self._make(tag, kind, "", self._long, 4, 8)
        elif self.implicit:
            entry = self._implicit(tag)
        else:
            entry = self._explicit(tag, head[4:6])
        if len(self.cache) < MAX_CACHED:
            self.cache[head] = entry
        return entry

    def resolved(self, entry: Entry, vr: str) -> Entry:
        """An entry whose VR was INDIRECT, with this VR."""
        kind = self._kind(entry.tag, vr)
        made = self._make(entry.tag, kind, vr, entry.unpack, entry.length_at, entry.size)
        # What says UN is in little endian, whatever the transfer syntax (PS3.5, 6.2.2).
        return made._replace(convert=CONVERTERS["<"].get(made.vr)) if entry.vr == "UN" else made

    def _implicit(self, tag: int) -> Entry:
        vr = "" if tag >> 16 & 1 else self.dictionary.vr(tag)
        kind = self._kind(tag, vr) if vr else INDIRECT
        return self._make(tag, kind, vr, self._long, 4, 8)

    def _explicit(self, tag: int, code: bytes) -> Entry:
        vr = code.decode("latin_1")
        if vr not in VRS:
            raise NotUnderstood(
                f"Element {format_tag(tag)} has the value representation {vr!r}, which PS3.5 does "
                "not know."
            )
        kind = INDIRECT if vr == "UN" else self._kind(tag, vr)
        if vr in LONG_VRS:
            return self._make(tag, kind, vr, self._long, 8, 12)
        return self._make(tag, kind, vr, self._short, 6, 8)

    def _make(
        self, tag: int, kind: int, vr: str, unpack: Callable[..., Any], at: int, size: int
    ) -> Entry:
        if tag & 0xFFFF == 0 and kind != FORBIDDEN:
            kind = SKIPPED
        vr = _PLAIN_VRS.get(vr, vr)
        return Entry(tag, f"{tag:08X}", kind, self._converters.get(vr), vr, unpack, at, size)

    @staticmethod
    def _kind(tag: int, vr: str) -> int:
        if tag in (EXTENDED_OFFSETS, EXTENDED_LENGTHS):
            return AFTERWARDS
        if vr in BULK_VRS or vr in ("OB or OW", "OW or OB"):
            return BULK
        if vr == "SQ":
            return SEQUENCE
        if " or " in vr:
            return DEFERRED
        if tag in (CHARACTER_SET, PIXEL_REPRESENTATION) or is_private_creator(tag):
            return AFTERWARDS
        return INLINE


# What PS3.5 annex A prescribes for implicit VR, and for what a VR of UN stands in for.
_PLAIN_VRS = {"OB or OW": "OW"}
