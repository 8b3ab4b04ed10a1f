"""What the database has of the instances of a batch, and of their parents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table

from dicomweb_index_sql.database import Database
from dicomweb_index_sql.prepared import Cursor, Prepared
from dicomweb_index_sql.schema import instances, patients, series, studies
from dicomweb_index_sql.statements import chunks, lookup
from dicomweb_server.dicom import OrthancIds

Row = dict[str, Any]


@dataclass
class Parent:
    """The row of a study or series; `fresh` ones are inserted, `changed` ones written."""

    row: Row
    fresh: bool
    changed: bool = False


@dataclass
class Known:
    """Rows by their Orthanc identifiers."""

    instances: dict[str, Row] = field(default_factory=dict)
    patients: dict[str, Row] = field(default_factory=dict)
    studies: dict[str, Parent] = field(default_factory=dict)
    series: dict[str, Parent] = field(default_factory=dict)

    def add(self, table: Table, row: Row) -> None:
        """Note a row of one of the four tables."""
        name = row["orthanc_id"]
        if table is instances:
            self.instances[name] = row
        elif table is patients:
            self.patients[name] = row
        else:
            (self.studies if table is studies else self.series)[name] = Parent(row, fresh=False)


Wanted = Mapping[Table, set[str]]


def load(
    database: Database, cursor: Cursor, ids: Sequence[OrthancIds], numbers: int
) -> tuple[Known, int]:
    """What is known of instances and their parents, and the first of so many new numbers."""
    known = Known()
    wanted = {instances: {i.instance for i in ids}, studies: {i.study for i in ids}}
    if cursor.far:
        wanted |= {series: {i.series for i in ids}, patients: {i.patient for i in ids}}
        (allocated,) = _look_up(cursor, known, wanted, database.allocation(numbers))
        return known, database.allocated(cursor, allocated, numbers)
    _look_up(cursor, known, wanted)
    # A new study has no series, and a known one has its patient.
    old = known.studies.keys()
    _look_up(
        cursor,
        known,
        {
            series: {i.series for i in ids if i.study in old},
            patients: {i.patient for i in ids if i.study not in old},
        },
    )
    return known, database.allocate(cursor, numbers)


def _look_up(
    cursor: Cursor, known: Known, wanted: Wanted, *more: tuple[Prepared, Mapping[str, Any]]
) -> list[list[tuple[Any, ...]]]:
    """Add the rows of each table that have the given identifiers; what `more` found."""
    asked = [(table, part) for table, names in wanted.items() for part in chunks(sorted(names))]
    looked = [lookup(table.name, len(part)) for table, part in asked]
    runs = [
        (statement, {f"id{i}": part[min(i, len(part) - 1)] for i in range(size)})
        for (_, statement, size), (_, part) in zip(looked, asked, strict=True)
    ]
    pages = Prepared.gather(cursor, [*runs, *more])
    for (table, _), (columns, _, _), rows in zip(asked, looked, pages, strict=False):
        for row in rows:
            known.add(table, dict(zip(columns, row, strict=True)))
    return pages[len(runs) :]
