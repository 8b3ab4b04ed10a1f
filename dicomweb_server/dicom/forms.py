"""Forms of values that have one (PS3.5, table 6.2-1): dates, times, integers, text."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from typing import Final

_TIME: Final = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?"
_DATE: Final = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_TM: Final = re.compile(_TIME, re.ASCII)
_DT: Final = re.compile(rf"(\d{{4}})(?:(\d\d)(?:(\d\d)(?:{_TIME})?)?)?([+-]\d\d[0-5]\d)?", re.ASCII)
_OFFSETS: Final = (-1200, 1400)
_INTEGERS: Final = range(-(2**31), 2**31)
_COMPONENTS: Final = 5
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROLS_BUT_FORMATS: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")


def has_form(vr: str, value: object) -> bool:
    """Whether a value has the form of its VR, as far as it is one that is looked at here.

    Escape sequences of character sets were decoded: an ESC that is left belongs to none.
    """
    if isinstance(value, str):
        allowed = _TEXTS.get(vr)
        return allowed is None or allowed(value)
    return vr != "IS" or not isinstance(value, int) or value in _INTEGERS


def _is_date(text: str) -> bool:
    found = _DATE.fullmatch(text)
    return found is not None and _exists(*map(int, found.groups()))


def _is_date_time(text: str) -> bool:
    found = _DT.fullmatch(text)
    if found is None:
        return False
    year, month, day, offset = found.groups()
    if offset and (offset == "-0000" or not _OFFSETS[0] <= int(offset) <= _OFFSETS[1]):
        return False
    return _exists(int(year), int(month or 1), int(day or 1))


def _exists(year: int, month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= monthrange(max(year, 1), month)[1]


def _without(controls: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: controls.search(text) is None


def _is_name(text: str) -> bool:
    """A name has five components in each group (6.2.1.1)."""
    groups = text.split("=")
    few = all(group.count("^") < _COMPONENTS for group in groups)
    return few and _CONTROLS.search(text) is None


_TEXTS: Final[Mapping[str, Callable[[str], bool]]] = {
    "DA": _is_date,
    "DT": _is_date_time,
    "PN": _is_name,
    "TM": lambda text: _TM.fullmatch(text) is not None,
    **dict.fromkeys(("AE", "LO", "SH", "UC", "UR"), _without(_CONTROLS)),
    **dict.fromkeys(("LT", "ST", "UT"), _without(_CONTROLS_BUT_FORMATS)),
}
