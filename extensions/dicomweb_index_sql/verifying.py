"""Looks for rows that contradict each other or cannot be read, and mends them from the others.

Nothing that a row holds is trusted here: lists are read as text, so that a damaged one is a finding
and does not end the search.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    Column,
    Connection,
    LargeBinary,
    Table,
    func,
    select,
    type_coerce,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from dicomweb_index_sql import answers
from dicomweb_index_sql.database import Database, cursor_of
from dicomweb_index_sql.extras import Extras
from dicomweb_index_sql.maintenance import recount, study_counts
from dicomweb_index_sql.renewal import describe_anew, renew_answers
from dicomweb_index_sql.schema import details, instances, series, studies
from dicomweb_index_sql.soundness import is_behind, misplaced, set_sequence
from dicomweb_index_sql.statements import write_changes
from dicomweb_index_sql.writer import columns_of
from dicomweb_server.interfaces.index import BlobRef
from dicomweb_server.ps318.query_model import QueryLevel

_PAGE = 500
_LISTS = ("modalities", "sop_classes")


@dataclass
class _Findings:
    """Sentences, and the rows that are to be mended in which way."""

    sentences: list[str] = field(default_factory=list)
    unlisted: set[int] = field(default_factory=set)
    described: dict[str, set[int]] = field(
        default_factory=lambda: {table.name: set() for table in (studies, series)}
    )
    counted: dict[str, set[int]] = field(
        default_factory=lambda: {table.name: set() for table in (studies, series)}
    )
    answered: set[int] = field(default_factory=set)
    """Rows of studies below which something is out of date."""
    behind: bool = False
    misplaced: bool = False


def verify(database: Database, extras: Extras, *, repair: bool) -> list[str]:
    """Sentences about every row that is wrong; mends them if asked.

    Where instances have lost their parents nothing is mended: what seems to be without instances
    may be theirs.
    """
    found = database.read(_look, snapshot=True)

    def mend(connection: Connection) -> None:
        if found.behind:
            set_sequence(connection)
        if found.misplaced:
            return
        log: list[tuple[str, str, str]] = []
        _mend(connection, found, extras)
        recount(database, connection, found.counted["series"], found.counted["studies"], log)
        for row in sorted(found.answered):
            renew_answers(connection, row)
        write_changes(database, cursor_of(connection), log)

    if repair and found.sentences:
        database.transact(mend)
    return found.sentences


def _mend(connection: Connection, found: _Findings, extras: Extras) -> None:
    for row in sorted(found.unlisted):
        empty: dict[str, list[str]] = {name: [] for name in _LISTS}
        connection.execute(update(studies).where(studies.c.id == row).values(empty))
    for table, level in ((studies, QueryLevel.STUDY), (series, QueryLevel.SERIES)):
        for row in sorted(found.described[table.name]):
            describe_anew(connection, table, level, row, extras)


def _look(connection: Connection) -> _Findings:
    found = _Findings()
    if is_behind(connection):
        found.behind = True
        found.sentences.append("the sequence of numbers is lost, or behind those that are in use")
    lost = list(misplaced(connection))
    found.misplaced = bool(lost)
    found.sentences += lost
    for row in map(_plain, connection.execute(_as_text(studies))):
        _study(connection, row, found)
    counted = (
        select(instances.c.series_row, func.count().label("counted"))
        .group_by(instances.c.series_row)
        .subquery()
    )
    statement = select(*map(_readable, series.c), counted.c.counted).join_from(
        series, counted, series.c.id == counted.c.series_row, isouter=True
    )
    for row in map(_plain, connection.execute(statement)):
        _series(row, found)
    for row in _instances(connection):
        if _object(row.answer) is None:
            found.sentences.append(f"instance {row.orthanc_id}: its ready answer cannot be read")
            found.answered.add(row.study_row)
    return found


def _plain(row: Any) -> Mapping[str, Any]:
    return dict(row._mapping)


def _as_text(table: Table) -> Any:
    return select(*map(_readable, table.c))


def _readable(column: Column[Any]) -> Any:
    """A column in a form that can be read whatever SQLite has in it."""
    if isinstance(column.type, JSON | LargeBinary):
        return type_coerce(_Raw(column), LargeBinary).label(column.name)
    return column


class _Raw(FunctionElement[Any]):
    """The bytes of a value; on PostgreSQL, where JSON is always right, what it is."""

    inherit_cache = True
    name = "raw"


@compiles(_Raw, "sqlite")
def _raw_of_sqlite(element: _Raw, compiler: Any, **more: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **more)} AS BLOB)"


@compiles(_Raw)
def _raw_elsewhere(element: _Raw, compiler: Any, **more: Any) -> str:
    (column,) = element.clauses
    text = compiler.process(column, **more)
    return f"convert_to(CAST({text} AS TEXT), 'UTF8')" if isinstance(column.type, JSON) else text


def _study(connection: Connection, row: Mapping[str, Any], found: _Findings) -> None:
    about = f"study {row['orthanc_id']}"
    if not _is_described(row, studies, QueryLevel.STUDY, about, found):
        found.answered.add(row["id"])
    actual = study_counts(connection, row["id"])
    for name, value in actual.items():
        stored = _json(row[name]) if name in _LISTS else row[name]
        if name in _LISTS and not isinstance(stored, list):
            found.unlisted.add(row["id"])
            found.sentences.append(f"{about}: {name} cannot be read")
        elif (sorted(stored) if isinstance(stored, list) else stored) != value:
            found.sentences.append(f"{about}: {name} is {stored}, should be {value}")
        else:
            continue
        found.counted["studies"].add(row["id"])
    answer = _object(row["answer"])
    count = {"Value": [actual["instance_count"]], "vr": "IS"}
    if answer is None or answer.get("00201208") != count or _disagrees(answer, row):
        found.sentences.append(f"{about}: its ready answer is out of date")
        found.counted["studies"].add(row["id"])


def _series(row: Mapping[str, Any], found: _Findings) -> None:
    about = f"series {row['orthanc_id']}"
    if not _is_described(row, series, QueryLevel.SERIES, about, found):
        found.answered.add(row["study_row"])
    if row["instance_count"] != (row["counted"] or 0):
        found.counted["series"].add(row["id"])
        found.sentences.append(
            f"{about} says it has {row['instance_count']} instances, it has {row['counted'] or 0}"
        )
    answer = _object(row["answer"])
    if answer is None or _disagrees(answer, row):
        found.counted["series"].add(row["id"])
        found.sentences.append(f"{about}: its ready answer is out of date")


def _is_described(
    row: Mapping[str, Any], table: Table, level: QueryLevel, about: str, found: _Findings
) -> bool:
    """Whether the columns of a study or series tell what its attributes do."""
    attributes = _object(row["attributes"])
    if attributes is None:
        found.sentences.append(f"{about}: its attributes cannot be read")
    else:
        wrong = [name for name, v in columns_of(attributes, level).items() if row[name] != v]
        if not wrong:
            return True
        found.sentences.append(f"{about}: {', '.join(wrong)} and its attributes disagree")
    found.described[table.name].add(row["id"])
    found.counted[table.name].add(row["id"])
    return False


def _disagrees(answer: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether an answer has another value than the attributes that it was made of."""
    attributes = _object(row["attributes"]) or {}
    return any(tag in answer and answer[tag] != value for tag, value in attributes.items())


def undescribed(database: Database) -> list[BlobRef]:
    """Blobs of instances of which what was read from the file is lost or damaged."""
    return database.read(
        lambda connection: [
            BlobRef(row.storage, row.blob)
            for row in _instances(connection, with_details=True)
            if not _is_read(row)
        ],
        snapshot=True,
    )


def _is_read(row: Any) -> bool:
    if not isinstance(row.header, bytes) or not isinstance(_json(row.located), list):
        return False
    try:
        return _object(zlib.decompress(row.header)) is not None
    except zlib.error:
        return False


def _instances(connection: Connection, *, with_details: bool = False) -> Iterator[Any]:
    columns = instances.c
    statement = select(
        *(columns.id, columns.orthanc_id, columns.study_row),
        *(columns.storage, columns.blob, _readable(columns.answer)),
    )
    if with_details:
        statement = statement.add_columns(
            _readable(details.c.header), _readable(details.c.located)
        ).join_from(instances, details, details.c.instance_row == columns.id, isouter=True)
    last = 0
    while True:
        page = connection.execute(
            statement.where(columns.id > last).order_by(columns.id).limit(_PAGE)
        ).all()
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1].id


def _json(text: bytes | str | None) -> Any:
    """What a JSON text holds; None if it is none. Raw 0x1F stands for the base URL in answers."""
    if not isinstance(text, bytes | str):
        return None
    raw = text.encode() if isinstance(text, str) else bytes(text)
    try:
        return orjson.loads(raw.replace(answers.BASE_URL, b""))
    except orjson.JSONDecodeError:
        return None


def _object(text: bytes | str | None) -> Any:
    """What `_json` finds, if it is an object."""
    found = _json(text)
    return found if isinstance(found, dict) else None
