"""What of the archive a statement may look at, beside the rows that it finds.

A row that is inside of a scope may have children and siblings that are not: a patient has studies
that others may see, a study has series that a link does not lead to. Whatever a statement says or
asks of them goes through here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select

from dicomweb_index_sql.schema import instances, series, studies
from dicomweb_server.ps318 import attributes as sets


@dataclass(frozen=True, slots=True, eq=False)
class Visible:
    """`inside`: what a row of studies must fulfil; `uids`: parameters, of all series there are.

    Without UIDs all series of a visible study are visible.
    """

    inside: tuple[ColumnElement[bool], ...] = ()
    uids: tuple[Any, ...] = ()

    def of_series(self, table: Any = series) -> list[ColumnElement[bool]]:
        """What a row of series must fulfil."""
        return [table.c.series_uid.in_(self.uids)] if self.uids else []

    def of_instances(self, table: Any = instances) -> list[ColumnElement[bool]]:
        """What a row of instances must fulfil."""
        if not self.uids:
            return []
        one = series.alias("visible_series")
        return [table.c.series_row.in_(select(one.c.id).where(*self.of_series(one)))]

    def count(self, tag: str) -> Any:
        """A number of related series or instances, of a row of studies or series (PS3.3 C.3)."""
        if tag == sets.NUMBER_OF_SERIES_RELATED_INSTANCES:
            return series.c.instance_count
        of_instances = tag == sets.NUMBER_OF_STUDY_RELATED_INSTANCES
        if not self.uids:
            return studies.c.instance_count if of_instances else studies.c.series_count
        one = series.alias("counted_series")
        number = func.coalesce(func.sum(one.c.instance_count), 0) if of_instances else func.count()
        counted = select(number).where(one.c.study_row == studies.c.id, *self.of_series(one))
        return counted.correlate(studies).scalar_subquery()


ALL = Visible()
