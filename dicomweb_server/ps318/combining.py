"""Query keys that mean something together: a date and its time, private tags and their creator."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from dicomweb_server.ps318.matching import AnyValue, Equals, Moments, Range
from dicomweb_server.ps318.query_model import Match

TIME_OF: Final = {
    "00080012": "00080013",  # instance creation
    "00080020": "00080030",  # study
    "00080021": "00080031",  # series
    "00080022": "00080032",  # acquisition
    "00080023": "00080033",  # content
    "00100030": "00100032",  # patient's birth
    "00181200": "00181201",  # last calibration
    "00380020": "00380021",  # admitting
    "00400002": "00400003",  # scheduled procedure step, start
    "00400004": "00400005",  # its end
    "00400244": "00400245",  # performed procedure step, start
    "00400250": "00400251",  # its end
}
"""The attribute with the time that belongs to a date (PS3.6)."""

Conditions = Mapping[tuple[str, ...], Match]


Known = Callable[[tuple[str, ...], tuple[str, ...]], Match]
"""The condition on a path, as the creators of its tags mean it."""


def combined(conditions: Conditions, known: Known) -> tuple[Match, ...]:
    """The conditions, with those that belong together made one."""
    return tuple(_moments(_private(conditions, known)).values())


def _moments(conditions: Conditions) -> Conditions:
    """Ranges of date and time name one span of time (PS3.4, C.2.2.2.5), not a span every day.

    Both must have the same form, `a-b`, `a-` or `-b`: else each is a condition of its own. Both lie
    in the same data set or item.
    """
    found = dict(conditions)
    for path, date in conditions.items():
        time_tag = TIME_OF.get(path[-1], "")
        time = conditions.get((*path[:-1], time_tag))
        moments = None if time is None else _combined(date, time, time_tag)
        if time is not None and moments is not None:
            found[path] = replace(date, predicate=moments)
            # The time is still to be in the answer: asked for without a condition of its own.
            found[time.path] = replace(time, predicate=AnyValue())
    return found


def _combined(date: Match, time: Match, time_tag: str) -> Moments | None:
    days, hours = date.predicate, time.predicate
    if not (isinstance(days, Range) and isinstance(hours, Range)) or _differ(days, hours):
        return None
    low = None if days.low is None or hours.low is None else days.low + hours.low
    high = None if days.high is None or hours.high is None else days.high + hours.high
    return Moments(time_tag, low, high)


def _differ(days: Range, hours: Range) -> bool:
    """Whether two ranges have different ends, or one of them is a single value."""
    ends = [(each.low is None, each.high is None) for each in (days, hours)]
    return days.single or hours.single or ends[0] != ends[1]


def _private(conditions: Conditions, known: Known) -> Conditions:
    """`00090010=ACME&00091001=x` finds ACME's element 01, in whatever block a data set has it.

    So it is for sequences on the way, and for elements of their items, where `00091002.00090010`
    names who reserved the block.
    """
    named = {
        path: each.predicate.value
        for path, each in conditions.items()
        if _is_creator(path[-1]) and isinstance(each.predicate, Equals)
    }
    used = set()
    found = {}
    for path, each in conditions.items():
        reserved = [_reserved(path, depth) for depth in range(len(path))]
        if path not in named and any(place in named for place in reserved):
            used.update(reserved)
            each = known(path, tuple(named.get(place, "") for place in reserved))
        found[path] = each
    return {path: each for path, each in found.items() if path not in used}


def _reserved(path: tuple[str, ...], depth: int) -> tuple[str, ...]:
    """Where it stands who reserved the block of a tag on a path."""
    tag = path[depth]
    return (*path[:depth], f"{tag[:4]}00{tag[4:6]}")


def _is_creator(tag: str) -> bool:
    return int(tag[3], 16) % 2 == 1 and tag[4:6] == "00" and tag[6:] >= "10"
