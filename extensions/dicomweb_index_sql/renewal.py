"""Describes studies and series anew, and writes what the rows below them repeat of that.

A study and a series are described by the first of their instances, in the order in which they were
stored. Answers of a series have attributes of its study in them, those of an instance of both.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import orjson
from sqlalchemy import Connection, Table, select, update

from dicomweb_index_sql import answers
from dicomweb_index_sql.extras import Extras
from dicomweb_index_sql.schema import details, instances, series, studies
from dicomweb_index_sql.writer import described, finish_series
from dicomweb_server.dicom import load_header
from dicomweb_server.dicom.instance import first_text
from dicomweb_server.ps318.attributes import available_transfer_syntaxes
from dicomweb_server.ps318.query_model import QueryLevel

_PAGE = 200
_UID = {QueryLevel.STUDY: ("study_uid", "0020000D"), QueryLevel.SERIES: ("series_uid", "0020000E")}


def renew_answers(connection: Connection, study_row: int) -> None:
    """Write the answers of the series and instances of a study as its attributes are now."""
    study = connection.execute(select(studies).where(studies.c.id == study_row)).first()
    if study is None:
        return
    above = orjson.loads(study.attributes)
    for each in connection.execute(select(series).where(series.c.study_row == study_row)).all():
        values = dict(each._mapping)
        finish_series(values, dict(study._mapping), each.revision)
        connection.execute(
            update(series).where(series.c.id == each.id).values(answer=values["answer"])
        )
        parents = answers.parent_set(above, orjson.loads(each.attributes))
        _renew_instances(connection, each, study.study_uid, parents)


def _renew_instances(
    connection: Connection, parent: Any, study_uid: str, parents: dict[str, Any]
) -> None:
    columns = instances.c
    for row, header in _headers(connection, columns.series_row, parent.id):
        answer = answers.instance_answer(
            parents,
            load_header(header),
            (study_uid, parent.series_uid, row.sop_uid),
            available_transfer_syntaxes(row.transfer_syntax),
        )
        connection.execute(update(instances).where(columns.id == row.id).values(answer=answer))


def describe_anew(
    connection: Connection, table: Table, level: QueryLevel, row: int, extras: Extras
) -> bool:
    """Take the attributes of a study or series from its first instance; whether there is one."""
    column = instances.c.study_row if table is studies else instances.c.series_row
    for _, header in _headers(connection, column, row):
        attributes = load_header(header)
        name, tag = _UID[level]
        values = described(attributes, level, extras) | {name: first_text(attributes, tag)}
        connection.execute(update(table).where(table.c.id == row).values(values))
        return True
    return False


def _headers(connection: Connection, column: Any, parent: int) -> Iterator[tuple[Any, bytes]]:
    """The instances of a study or series with their headers, in the order of storing.

    Those whose header is lost are left out.
    """
    last = 0
    while True:
        page = connection.execute(
            select(
                instances.c.id, instances.c.sop_uid, instances.c.transfer_syntax, details.c.header
            )
            .join_from(instances, details, details.c.instance_row == instances.c.id)
            .where(column == parent, instances.c.id > last)
            .order_by(instances.c.id)
            .limit(_PAGE)
        ).all()
        for row in page:
            last = row.id
            try:
                yield row, zlib.decompress(row.header)
            except zlib.error:
                continue
        if len(page) < _PAGE:
            return
