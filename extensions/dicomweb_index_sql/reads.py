"""Reads what retrieval needs: which instances a resource has, and what was learnt from them.

Long answers are read page by page, each page a statement of its own: no transaction stays open
while the answer goes out through a slow socket.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select, tuple_

from dicomweb_index_sql.database import Database
from dicomweb_index_sql.schema import details, instances, series, studies
from dicomweb_server.interfaces.index import BlobRef, Details, InstanceRecord
from dicomweb_server.ps318.paths import Resource

PAGE = 200

_SERIES = (
    select(series.c.id, studies.c.study_uid, series.c.series_uid)
    .join_from(series, studies, series.c.study_row == studies.c.id)
    .where(studies.c.study_uid == bindparam("study"))
    .order_by(series.c.study_row, series.c.id)
)
_ONE_SERIES = _SERIES.where(series.c.series_uid == bindparam("series"))

_RECORD = (
    instances.c.id,
    instances.c.sort_number,
    instances.c.sop_uid,
    instances.c.sop_class_uid,
    instances.c.transfer_syntax,
    instances.c.storage,
    instances.c.blob,
    instances.c.size,
    instances.c.deflated,
)
_POSITION = tuple_(instances.c.sort_number, instances.c.id)


def _page(*more: Any) -> Select[Any]:
    statement = select(*_RECORD, *more).select_from(instances)
    if more:
        statement = statement.join(details, details.c.instance_row == instances.c.id)
    return (
        statement.where(
            instances.c.series_row == bindparam("series_row"),
            tuple_(bindparam("number"), bindparam("id")) < _POSITION,
        )
        .order_by(instances.c.sort_number, instances.c.id)
        .limit(PAGE)
    )


_RECORDS = _page()
_HEADERS = _page(details.c.header)
_BEFORE_ALL = -(2**63)


def _one_instance(*more: Any) -> Select[Any]:
    statement = (
        select(*_RECORD, *more)
        .join_from(instances, series, instances.c.series_row == series.c.id)
        .join(studies, series.c.study_row == studies.c.id)
    )
    if more:
        statement = statement.join(details, details.c.instance_row == instances.c.id)
    return statement.where(
        instances.c.sop_uid == bindparam("instance"),
        series.c.series_uid == bindparam("series"),
        studies.c.study_uid == bindparam("study"),
    ).order_by(instances.c.id)


_ONE = _one_instance()
_ONE_HEADER = _one_instance(details.c.header)


def parameters(resource: Resource) -> dict[str, str]:
    """The UIDs of a resource as parameters of the statements here."""
    named = {
        "study": resource.study,
        "series": resource.series,
        "instance": resource.instance,
    }
    return {name: uid for name, uid in named.items() if uid is not None}


def _record(row: Row[Any], study_uid: str, series_uid: str) -> InstanceRecord:
    return InstanceRecord(
        row=row.id,
        study_uid=study_uid,
        series_uid=series_uid,
        sop_uid=row.sop_uid,
        sop_class_uid=row.sop_class_uid or "",
        transfer_syntax=row.transfer_syntax,
        blob=BlobRef(row.storage, row.blob),
        size=row.size,
        deflated=row.deflated,
    )


def series_of(connection: Connection, resource: Resource) -> list[Row[Any]]:
    """(id, study_uid, series_uid) of the series of a study, or the one series, of each patient."""
    statement = _SERIES if resource.series is None else _ONE_SERIES
    return list(connection.execute(statement, parameters(resource)))


def rows(
    database: Database, resource: Resource, *, headers: bool
) -> Iterator[tuple[InstanceRecord, Row[Any]]]:
    """The instances of a resource in their order, each with the row it was read from."""
    if resource.instance is not None:
        statement = _ONE_HEADER if headers else _ONE
        with database.read() as connection:
            found = connection.execute(statement, parameters(resource)).all()
        for row in found:
            yield _record(row, resource.study, resource.series or ""), row
        return
    with database.read() as connection:
        parents = series_of(connection, resource)
    for parent in parents:
        for row in _series_rows(database, parent.id, headers=headers):
            yield _record(row, parent.study_uid, parent.series_uid), row


def _series_rows(database: Database, series_row: int, *, headers: bool) -> Iterator[Row[Any]]:
    statement = _HEADERS if headers else _RECORDS
    number, last = _BEFORE_ALL, 0
    while True:
        with database.read() as connection:
            page = connection.execute(
                statement, {"series_row": series_row, "number": number, "id": last}
            ).all()
        yield from page
        if len(page) < PAGE:
            return
        number, last = page[-1].sort_number, page[-1].id


_DETAILS = select(details).where(details.c.instance_row == bindparam("row"))


def read_details(database: Database, row: int) -> Details | None:
    """What was learnt from one file."""
    with database.read() as connection:
        found = connection.execute(_DETAILS, {"row": row}).first()
    if found is None:
        return None
    located = tuple((p, vr, offset, length) for p, vr, offset, length in found.located)
    return Details(zlib.decompress(found.header), located, found.pixel_data)


_STUDY_VERSION = (
    select(studies.c.id, studies.c.revision)
    .where(studies.c.study_uid == bindparam("study"))
    .order_by(studies.c.id)
)
_SERIES_VERSION = (
    select(series.c.id, series.c.revision)
    .join_from(series, studies, series.c.study_row == studies.c.id)
    .where(series.c.series_uid == bindparam("series"), studies.c.study_uid == bindparam("study"))
    .order_by(series.c.id)
)
_INSTANCE_VERSION = (
    select(instances.c.id, instances.c.revision)
    .join_from(instances, series, instances.c.series_row == series.c.id)
    .join(studies, series.c.study_row == studies.c.id)
    .where(
        instances.c.sop_uid == bindparam("instance"),
        series.c.series_uid == bindparam("series"),
        studies.c.study_uid == bindparam("study"),
    )
    .order_by(instances.c.id)
)


def version(database: Database, resource: Resource) -> str | None:
    """Row keys and revisions of a resource, one pair for each patient that has it."""
    if resource.instance is not None:
        statement = _INSTANCE_VERSION
    elif resource.series is not None:
        statement = _SERIES_VERSION
    else:
        statement = _STUDY_VERSION
    with database.read() as connection:
        found = connection.execute(statement, parameters(resource)).all()
    return "-".join(f"{row.id:x}.{row.revision:x}" for row in found) or None


def transfer_syntaxes(database: Database, resource: Resource) -> frozenset[str]:
    """The distinct transfer syntaxes of a resource's instances."""
    if resource.instance is not None:
        return frozenset(
            record.transfer_syntax for record, _ in rows(database, resource, headers=False)
        )
    with database.read() as connection:
        parents = [row.id for row in series_of(connection, resource)]
        statement = (
            select(instances.c.transfer_syntax)
            .where(instances.c.series_row.in_(parents))
            .distinct()
        )
        return frozenset(connection.execute(statement).scalars())
