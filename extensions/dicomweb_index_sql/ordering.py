"""Sorting by attributes that have a column."""

from __future__ import annotations

from typing import Any

from dicomweb_index_sql.columns import BY_TAG
from dicomweb_index_sql.conditions import COUNTS, DEPTH, TABLES
from dicomweb_server.ps318.query_model import Order, QueryLevel


def column_of(tag: str) -> Any:
    """The column that an attribute is sorted by."""
    if tag in COUNTS:
        return COUNTS[tag][1]
    searchable = BY_TAG[tag]
    ending = {"name": "_alphabetic", "text": "_folded"}.get(searchable.kind, "")
    return TABLES[searchable.level].c[f"{searchable.column}{ending}"]


def sorts(order: Order, level: QueryLevel) -> bool:
    """Whether results of a level can be sorted so: by attributes of it and of those above."""
    if order.tag in COUNTS:
        return DEPTH[COUNTS[order.tag][0]] <= DEPTH[level]
    return order.tag in BY_TAG and DEPTH[BY_TAG[order.tag].level] <= DEPTH[level]


def clauses(orders: tuple[Order, ...]) -> list[Any]:
    """What stands in ORDER BY; the same on every database, whatever it thinks of NULL."""
    listed = []
    for order in orders:
        column = column_of(order.tag)
        listed += [column.is_(None), column.desc() if order.descending else column]
    return listed
