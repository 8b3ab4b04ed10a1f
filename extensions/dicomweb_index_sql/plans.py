"""Predicates as shapes and values, so that a statement is built once for all searches of a kind.

`Shape` says what SQL a predicate becomes; the values go in as parameters, in the order of `Plan`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Double, String, and_, bindparam, false, or_, true

from dicomweb_server.ps318.matching import (
    AnyOf,
    AnyValue,
    ByStoredVR,
    Equals,
    EqualsNumber,
    FuzzyName,
    IsEmpty,
    Moments,
    NameGroups,
    OneOf,
    Predicate,
    Range,
    Wildcard,
    single,
    to_prefix,
)

Shape = tuple[Any, ...]
_LAST_CHARACTER = "\U0010ffff"
_LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class Plan:
    """What a predicate becomes: its shape, and one value for each parameter of the shape."""

    shape: Shape
    values: tuple[Any, ...] = ()


def like(pattern: str) -> str:
    """A LIKE pattern with `\\` as escape character."""
    for special in ("\\", "%", "_"):
        pattern = pattern.replace(special, f"\\{special}")
    return pattern.replace("*", "%").replace("?", "_")


def _whole(predicate: EqualsNumber) -> Plan:
    number = predicate.number
    whole = number == number.to_integral_value() and abs(number) < _LARGEST
    return Plan(("number",), (int(number),)) if whole else Plan(("none",))


def plan(
    predicate: Predicate,
    clean: Callable[[str], str],
    number: Callable[[EqualsNumber], Plan] = _whole,
) -> Plan:
    """The plan of a predicate; `clean` brings single values into the form of the column.

    `number` makes that of a number: by default for a column of whole numbers.
    """
    match predicate:
        case AnyValue():
            return Plan(("any",))
        case Equals(value):
            return Plan(("=",), (clean(value),))
        case OneOf(values):
            cleaned = tuple(clean(value) for value in values)
            return Plan(("in", len(cleaned)), cleaned)
        case Wildcard(pattern):
            return _wildcard(pattern)
        case Range(_, low, high):
            bounds = tuple(bound for bound in (low, high) if bound is not None)
            return Plan(("range", low is not None, high is not None), bounds)
        case EqualsNumber():
            return number(predicate)
        case ByStoredVR(text, wanted):
            numbers = (float(wanted), single(wanted) or float(wanted))
            return Plan(("stored",), (clean(text.value), *numbers))
        case IsEmpty():
            return Plan(("empty",))
        case NameGroups(groups):
            plans = [plan(each or AnyValue(), clean, number) for each in groups]
            values = tuple(value for each in plans for value in each.values)
            return Plan(("groups", *(each.shape for each in plans)), values)
        case Moments(_, low, high):
            ends = [end for end in (low, high) if end is not None]
            values = tuple(value for end in ends for value in (end[:8], end))
            return Plan(("moments", low is not None, high is not None), values)
        case FuzzyName():
            raise AssertionError("what is like a name is found out before: see `fuzzy`")
        case AnyOf(alternatives):
            plans = [plan(each, clean, number) for each in alternatives]
            values = tuple(value for each in plans for value in each.values)
            return Plan(("or", *(each.shape for each in plans)), values)


def _wildcard(pattern: str) -> Plan:
    prefix = to_prefix(pattern)
    if prefix is None:
        return Plan(("like",), (like(pattern),))
    # A range uses the index on the column; LIKE would look at every row.
    return Plan(("prefix",), (prefix, prefix + _LAST_CHARACTER))


class Parameters:
    """Gives parameters their names, in the order of the plans."""

    def __init__(self) -> None:
        self.count = 0

    def next(self, kind: Any = String) -> Any:
        """The next parameter."""
        self.count += 1
        return bindparam(name(self.count - 1), type_=kind)


def _is_text(column: Any) -> bool:
    return isinstance(column.type, String)


def name(position: int) -> str:
    """The name of the parameter at a position."""
    return f"p{position}"


def clause(column: Any, shape: Shape, take: Parameters) -> ColumnElement[bool]:
    """The condition on a column that a shape stands for."""
    kind, *details = shape
    made: ColumnElement[bool]
    if kind == "=":
        made = column == take.next()
    elif kind == "number":
        made = column == take.next(BigInteger)
    elif kind == "double":
        made = column == take.next(Double)
    elif kind == "in":
        made = column.in_([take.next() for _ in range(details[0])])
    elif kind == "like":
        made = column.like(take.next(), escape="\\")
    elif kind == "prefix":
        made = and_(column >= take.next(), column < take.next())
    elif kind == "range":
        low, high = details
        bounds = [column >= take.next()] if low else []
        bounds += [column <= take.next()] if high else []
        made = and_(true(), *bounds)
    elif kind == "empty":
        made = or_(column.is_(None), column == "") if _is_text(column) else column.is_(None)
    elif kind == "or":
        made = or_(false(), *(clause(column, each, take) for each in details))
    else:
        made = true() if kind == "any" else false()
    return made
