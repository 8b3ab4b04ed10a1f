"""What the Basic Application Level Confidentiality Profile does with an attribute (PS3.15 E.2).

Table E.1-1 comes from the library dicom-anonymizer. Beyond it, what the table does not know and may
identify somebody goes too: private attributes, curves and overlays, attributes that PS3.6 does not
list, and names, dates and UIDs that the table leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Final

from pydicom.datadict import keyword_for_tag

from .tags import is_private, public_vr

_EDITION: Final = "dicomfields_2026c"


class Action(Enum):
    """The action codes of PS3.15 E.1 that are used here."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    REPLACE_UID = "U"
    KEEP = "K"
    """Also: items of a sequence are looked at one by one."""


_CODES: Final = {
    "X_TAGS": Action.REMOVE,
    "Z_TAGS": Action.EMPTY,
    "D_TAGS": Action.DUMMY,
    "U_TAGS": Action.REPLACE_UID,
    # Of a choice the one after which any IOD is still complete, whatever type it gives it.
    "X_Z_TAGS": Action.EMPTY,
    "X_D_TAGS": Action.DUMMY,
    "Z_D_TAGS": Action.DUMMY,
    "X_Z_D_TAGS": Action.DUMMY,
    # Sequences of references: they stay, and the UIDs in them are replaced.
    "X_Z_U_STAR_TAGS": Action.KEEP,
}
_CURVES, _OVERLAYS = 0x50, 0x60
_UIDS_OF_NOBODY: Final = frozenset((
    0x00080016, 0x0008001A, 0x0008001B, 0x00080062, 0x0008010C, 0x0008010D, 0x00080117, 0x00080118,
    0x0008040E, 0x00081150, 0x0008115A, 0x00083002, 0x00340003, 0x04000010, 0x04000510, 0x30100052,
    0x30100053,
))  # fmt: skip
"""Of classes, transfer syntaxes and coding schemes, which may be private ones."""
_OF_SOMEBODY: Final = frozenset((
    0x00080407, 0x00080408, 0x00080409, 0x00081190, 0x00287FE0, 0x00404073, 0x0040E010,
    0x00100033, 0x00100034, 0x00100035,
    0x00140100, 0x0074100A, 0x0074100C, 0x21000160,
    0x4010101A, 0x40101051, 0x40101053, 0x40101054, 0x40101058,
))  # fmt: skip
"""Not in the table, but what identifies must go all the same (E.1.1): addresses of the archive that
something comes from, birth and death by another calendar, contacts, owners, and journeys."""
_REMARKS: Final = ("Comment", "Comments", "CommentTrial", "Notes")
"""Ends of the keywords of free texts, of which the table lists some only."""
_TELLING_VRS: Final = frozenset(("DA", "DT", "PN", "TM"))


@lru_cache(maxsize=1)
def table() -> Mapping[int, Action]:
    """The attributes of table E.1-1 by tag, those of repeating groups excepted."""
    # Only who anonymizes needs it: what comes with it takes a second to import.
    from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector

    categories = dicom_anonymization_database_selector(_EDITION)
    return {
        entry[0] << 16 | entry[1]: action
        for category, action in _CODES.items()
        for entry in categories[category]
        if len(entry) == 2
    }


def is_remark(tag: int) -> bool:
    """Whether an attribute is a free text in which anything may stand."""
    keyword = keyword_for_tag(tag)
    return keyword.endswith(_REMARKS) or keyword.startswith("CommentsOn")


def action_of(tag: int) -> Action:
    """What becomes of an attribute."""
    listed = table().get(tag)
    if listed is not None:
        return listed
    vr = public_vr(tag)
    if is_private(tag) or tag >> 24 in (_CURVES, _OVERLAYS) or vr in ("", "UN"):
        return Action.REMOVE
    if tag in _OF_SOMEBODY:
        return Action.REMOVE
    if is_remark(tag):
        return Action.EMPTY
    if vr == "UI" and tag not in _UIDS_OF_NOBODY:
        return Action.REPLACE_UID
    return Action.EMPTY if vr in _TELLING_VRS else Action.KEEP
