"""Sorting by attributes that have a column, or whose values are kept (`extras`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from dicomweb_index_sql import patient_rows
from dicomweb_index_sql.columns import BY_TAG
from dicomweb_index_sql.conditions import COUNTS, DEPTH, TABLES, count_of
from dicomweb_index_sql.extras import LEVELS, Extras, Key
from dicomweb_index_sql.schema import extra_values, patients
from dicomweb_index_sql.visible import Visible
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.query_model import Order, QueryLevel

_P = QueryLevel.PATIENT


@dataclass(frozen=True, slots=True)
class KeptOrder(Order):
    """Sorts by the values that are kept under a key."""

    key: Key | None = None


def sorts(order: Order, level: QueryLevel, extras: Extras) -> bool:
    """Whether results of a level can be sorted so: by attributes of it and of those above."""
    if level is _P:
        return COUNTS.get(order.tag) is _P or (order.tag in BY_TAG and order.tag in sets.MAIN[_P])
    if order.tag in COUNTS:
        return _P is not COUNTS[order.tag] and DEPTH[COUNTS[order.tag]] <= DEPTH[level]
    if order.tag in BY_TAG:
        return DEPTH[BY_TAG[order.tag].level] <= DEPTH[level]
    key = extras.key_to_sort(order.tag)
    return key is not None and DEPTH[key.level] <= DEPTH[level]


def resolved(orders: Sequence[Order], extras: Extras) -> tuple[Order, ...]:
    """The same orders, by what is kept where it has no column."""
    return tuple(_resolved(order, extras) for order in orders)


def _resolved(order: Order, extras: Extras) -> Order:
    if order.tag in BY_TAG or order.tag in COUNTS:
        return order
    return KeptOrder(order.tag, order.descending, extras.key_to_sort(order.tag))


def table_of(order: Order, level: QueryLevel) -> Any:
    """The table whose rows have what is sorted by, or say where it is."""
    if level is _P:
        return patients
    if isinstance(order, KeptOrder) and order.key:
        return TABLES[order.key.level]
    return TABLES[COUNTS[order.tag]] if order.tag in COUNTS else _column(order.tag).table


def clauses(orders: Sequence[Order], level: QueryLevel, visible: Visible) -> list[Any]:
    """What stands in ORDER BY; the same on every database, whatever it thinks of NULL."""
    listed = []
    for order in orders:
        value = _value(order, level, visible)
        listed += [value.is_(None), value.desc() if order.descending else value]
    return listed


def _value(order: Order, level: QueryLevel, visible: Visible) -> Any:
    if isinstance(order, KeptOrder) and order.key:
        return _kept(order.key)
    if order.tag in COUNTS:
        return count_of(order.tag, visible)
    column = _column(order.tag)
    return patient_rows.first(column, visible) if level is _P else column


def _column(tag: str) -> Any:
    searchable = BY_TAG[tag]
    ending = {"name": "_alphabetic", "text": "_folded"}.get(searchable.kind, "")
    return TABLES[searchable.level].c[f"{searchable.column}{ending}"]


def _kept(key: Key) -> Any:
    """The first value that is kept."""
    columns = extra_values.c
    column = {"name": "text", "text": "folded", "long": "folded"}.get(key.kind, "text")
    if key.kind in ("number", "single"):
        column = "number"
    row = TABLES[key.level]
    first = select(columns[column]).where(
        columns.level == LEVELS[key.level],
        columns.owner == row.c.id,
        columns.name == key.name,
        columns.position == 0,
    )
    return first.correlate(row).scalar_subquery()
