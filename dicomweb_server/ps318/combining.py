"""Query keys that mean something together: study date and time, private tags and their creator."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol

from dicomweb_server.ps318.matching import Equals, Moments, Range
from dicomweb_server.ps318.query_model import Match

_DATE_AND_TIME: Final = ("00080020", "00080030")

Conditions = Mapping[tuple[str, ...], Match]


class _Dictionary(Protocol):
    def vr(self, tag: str, private_creator: str = "") -> str: ...


def combined(conditions: Conditions, dictionary: _Dictionary) -> tuple[Match, ...]:
    """The conditions, with those that belong together made one."""
    return tuple(_moments(_private(conditions, dictionary)).values())


def _moments(conditions: Conditions) -> Conditions:
    """Ranges of date and time name one span of time (PS3.4, C.2.2.2.5), not a span every day.

    Both must have the same form, `a-b`, `a-` or `-b`: else each is a condition of its own.
    """
    date, time = (conditions.get((tag,)) for tag in _DATE_AND_TIME)
    if date is None or time is None:
        return conditions
    days, hours = date.predicate, time.predicate
    if not (isinstance(days, Range) and isinstance(hours, Range)) or _differ(days, hours):
        return conditions
    low = None if days.low is None or hours.low is None else days.low + hours.low
    high = None if days.high is None or hours.high is None else days.high + hours.high
    moments = Moments(_DATE_AND_TIME[1], low, high)
    others = {path: each for path, each in conditions.items() if each not in (date, time)}
    # The time is still to be in the answer: it is asked for without a condition of its own.
    return others | {date.path: replace(date, predicate=moments)}


def _differ(days: Range, hours: Range) -> bool:
    """Whether two ranges have different ends, or one of them is a single value."""
    ends = [(each.low is None, each.high is None) for each in (days, hours)]
    return days.single or hours.single or ends[0] != ends[1]


def _private(conditions: Conditions, dictionary: _Dictionary) -> Conditions:
    """`00090010=ACME&00091001=x` finds ACME's element 01, in whatever block a data set has it."""
    creators = {
        path: each.predicate.value
        for path, each in conditions.items()
        if _is_creator(path[-1]) and isinstance(each.predicate, Equals)
    }
    used = set()
    found = {}
    for path, each in conditions.items():
        reserved = (*path[:-1], f"{path[-1][:4]}00{path[-1][4:6]}")
        creator = creators.get(reserved, "") if path not in creators else ""
        if creator:
            used.add(reserved)
            each = replace(each, creator=creator)
        found[path] = each
    return {path: each for path, each in found.items() if path not in used}


def _is_creator(tag: str) -> bool:
    return int(tag[3], 16) % 2 == 1 and tag[4:6] == "00" and tag[6:] >= "10"
