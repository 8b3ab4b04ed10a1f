"""Dates and times as text of fixed width (PS3.5, 6.2; PS3.4, C.2.2.2.5).

So comparing texts compares moments. A text of partial precision stands for a span: `first_moment`
and `last_moment` give its two ends. DA: `YYYYMMDD`. TM: `HHMMSS.FFFFFF`. DT:
`YYYYMMDDHHMMSS.FFFFFF`. The old forms with punctuation, `2008.08.19` and `08:37:22`, are read too.
"""

import re
from calendar import monthrange
from datetime import datetime, timedelta
from typing import Final

# each field: its width, first and last value
_DATE_FIELDS: Final = ((4, "0000", "9999"), (2, "01", "12"), (2, "01", "31"))
_TIME_FIELDS: Final = ((2, "00", "23"), (2, "00", "59"), (2, "00", "59"))
_FIELDS: Final = {"DA": _DATE_FIELDS, "TM": _TIME_FIELDS, "DT": _DATE_FIELDS + _TIME_FIELDS}

_OFFSET = r"[+-](?:0\d|1[0-4])[0-5]\d"
_DA = re.compile(r"\d{8}|\d{4}\.\d\d\.\d\d", re.ASCII)
_DA_PARTIAL = re.compile(r"\d{4}(?:\d\d){0,2}|\d{4}\.\d\d\.\d\d", re.ASCII)
_TM = re.compile(
    r"\d\d(?:\d\d(?:\d\d(?:\.\d{1,6})?)?)?|\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?", re.ASCII
)
_DT = re.compile(rf"(\d{{4}}(?:\d\d){{0,5}}(?:(?<=\d{{14}})\.\d{{1,6}})?)({_OFFSET})?", re.ASCII)

SYNTAX: Final[dict[str, str]] = {
    "DA": "YYYYMMDD, or a range such as 20080101-20081231, 20080101- or -20081231",
    "TM": "HH, HHMM, HHMMSS or HHMMSS.FFFFFF, or a range such as 08-1130",
    "DT": "YYYY to YYYYMMDDHHMMSS.FFFFFF, with an offset such as -0400 if wanted, or a range",
}


def split_range(vr: str, text: str) -> tuple[str | None, str | None] | None:
    """The two ends of a range, None for an open one; None altogether if the text is no range.

    The `-` of a DT such as `20080819-0400` belongs to its offset from UTC (PS3.4, C.2.2.2.5.3).
    """
    if vr == "DT" and _DT.fullmatch(text):
        return None
    for dash in (at for at, each in enumerate(text) if each == "-"):
        low, high = text[:dash].strip(), text[dash + 1 :].strip()
        if (low or high) and all(not end or _is_range_end(vr, end) for end in (low, high)):
            return low or None, high or None
    return None


def is_single(vr: str, text: str) -> bool:
    """Whether the text is one value: a full date, or a TM or DT of any precision."""
    pattern = {"DA": _DA, "TM": _TM, "DT": _DT}[vr]
    return pattern.fullmatch(text) is not None and _exists(vr, text)


def _exists(vr: str, text: str) -> bool:
    """Whether its fields are within their bounds, and a whole date is in the calendar."""
    found = first_moment(vr, text)
    if found is None or vr != "DA":
        return found is not None
    try:
        datetime.strptime(found, "%Y%m%d")
    except ValueError:
        return False
    return True


def has_offset(text: str) -> bool:
    """Whether a DT names its offset from UTC."""
    found = _DT.fullmatch(text)
    return found is not None and found[2] is not None


def first_moment(vr: str, text: str, *, utc: bool = False) -> str | None:
    """The first moment of what the text stands for, or None if it is no DA, TM or DT.

    `utc`: convert a DT with an offset to UTC; one without is taken as it is.
    """
    return _moment(vr, text, 1, utc)


def last_moment(vr: str, text: str, *, utc: bool = False) -> str | None:
    """The last moment of what the text stands for: `10` of TM gives `105959.999999`."""
    return _moment(vr, text, 2, utc)


def _is_range_end(vr: str, text: str) -> bool:
    pattern = {"DA": _DA_PARTIAL, "TM": _TM, "DT": _DT}[vr]
    return pattern.fullmatch(text) is not None and _exists(vr, text)


def _moment(vr: str, text: str, end: int, utc: bool) -> str | None:
    pattern = {"DA": _DA_PARTIAL, "TM": _TM, "DT": _DT}[vr]
    found = pattern.fullmatch(text)
    if found is None:
        return None
    local, offset = (found[1], found[2]) if vr == "DT" else (text, None)
    digits, _, fraction = _without_punctuation(vr, local).partition(".")
    filled = _fill(vr, digits, end)
    if filled is None or vr == "DA":
        return filled
    moment = f"{filled}.{fraction.ljust(6, '09'[end - 1])}"
    return _to_utc(moment, offset) if utc and offset else moment


def _without_punctuation(vr: str, text: str) -> str:
    return text.replace(".", "") if vr == "DA" else text.replace(":", "")


def _fill(vr: str, digits: str, end: int) -> str | None:
    """Missing fields get their first (1) or last (2) value; None if one is out of bounds."""
    parts = list[str]()
    at = 0
    for field in _FIELDS[vr]:
        width, low, high = field
        part = digits[at : at + width] or (low, _last(field, parts, high))[end - 1]
        # 60: a leap second
        if not low <= part <= ("60" if field == _TIME_FIELDS[2] and len(parts) in (2, 5) else high):
            return None
        parts.append(part)
        at += width
    return "".join(parts)


def _last(field: tuple[int, str, str], before: list[str], high: str) -> str:
    """The last value of a missing field; of a day it depends on year and month."""
    if field != _DATE_FIELDS[2] or before[0] == "0000":
        return high
    return str(monthrange(int(before[0]), int(before[1]))[1])


def _to_utc(moment: str, offset: str) -> str:
    minutes = int(offset[1:3]) * 60 + int(offset[3:5])
    shift = timedelta(minutes=-minutes if offset[0] == "+" else minutes)
    seconds, _, fraction = moment.partition(".")
    try:
        shifted = datetime.strptime(seconds, "%Y%m%d%H%M%S") + shift
    except (ValueError, OverflowError):
        return moment  # a leap second or a day such as February 31 has no datetime
    return f"{shifted:%Y%m%d%H%M%S}".rjust(14, "0") + f".{fraction}"
