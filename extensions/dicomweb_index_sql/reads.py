"""Reads what retrieval needs: which instances a resource has, and what was learnt from them.

Long answers are read page by page, each page a statement of its own: no transaction stays open
while the answer goes out through a slow socket.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import BigInteger, Select, bindparam, case, func, select, tuple_

from dicomweb_index_sql.columns import compared
from dicomweb_index_sql.database import Database
from dicomweb_index_sql.prepared import Prepared, Row
from dicomweb_index_sql.schema import details, instances, series, studies
from dicomweb_index_sql.scopes import Scoped
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import BlobRef, Details, InstanceRecord
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query_model import QueryLevel

PAGE = 200

_SERIES = (
    select(series.c.id, studies.c.patient_id, studies.c.study_uid, series.c.series_uid)
    .join_from(series, studies, series.c.study_row == studies.c.id)
    .where(studies.c.study_uid == bindparam("study"))
    .order_by(series.c.study_row, series.c.id)
)
_ALL_SERIES = Scoped(_SERIES, QueryLevel.SERIES)
_ONE_SERIES = Scoped(_SERIES.where(series.c.series_uid == bindparam("series")), QueryLevel.SERIES)

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
    instances.c.revision,
)
_POSITION = tuple_(instances.c.sort_number, instances.c.id)


def _number(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


def _page(*more: Any) -> Select[Any]:
    statement = select(*_RECORD, *more).select_from(instances)
    if more:
        statement = statement.join(details, details.c.instance_row == instances.c.id)
    return (
        statement.where(
            instances.c.series_row == _number("series_row"),
            tuple_(_number("number"), _number("id")) < _POSITION,
        )
        .order_by(instances.c.sort_number, instances.c.id)
        .limit(PAGE)
    )


_RECORDS = Prepared(_page())
_HEADERS = Prepared(_page(details.c.header))
_BEFORE_ALL = -(2**63)


def _one_instance(*more: Any) -> Select[Any]:
    statement = (
        select(*_RECORD, studies.c.patient_id, *more)
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


_ONE = Scoped(_one_instance(), QueryLevel.INSTANCE)
_ONE_HEADER = Scoped(_one_instance(details.c.header), QueryLevel.INSTANCE)


def parameters(resource: Resource) -> dict[str, str]:
    """The UIDs of a resource as parameters of the statements here."""
    named = {
        "study": resource.study,
        "series": resource.series,
        "instance": resource.instance,
    }
    return {name: compared(uid) for name, uid in named.items() if uid is not None}


def _record(row: Row, patient_id: str | None, study_uid: str, series_uid: str) -> InstanceRecord:
    key, _, sop_uid, sop_class_uid, syntax, storage, blob, size, deflated, revision = row[:10]
    return InstanceRecord(
        row=key,
        patient_id=patient_id or "",
        study_uid=study_uid,
        series_uid=series_uid,
        sop_uid=sop_uid,
        sop_class_uid=sop_class_uid or "",
        transfer_syntax=syntax,
        blob=BlobRef(storage, blob),
        size=size,
        deflated=deflated,
        revision=revision,
    )


def series_of(resource: Resource) -> Scoped:
    """Finds (id, patient_id, study_uid, series_uid) of a resource's series, of each patient."""
    return _ALL_SERIES if resource.series is None else _ONE_SERIES


def _fetch(database: Database, statement: Scoped, resource: Resource, scope: Scope) -> list[Row]:
    if scope.nothing:
        return []
    return database.fetch(*statement.at(parameters(resource), scope))


def rows(
    database: Database, resource: Resource, scope: Scope, *, headers: bool
) -> Iterator[tuple[InstanceRecord, bytes]]:
    """The instances of a resource in their order, each with its compressed header if asked."""
    if resource.instance is not None:
        statement = _ONE_HEADER if headers else _ONE
        for row in _fetch(database, statement, resource, scope):
            patient_id = row[len(_RECORD)]
            yield _record(row, patient_id, resource.study, resource.series or ""), row[-1]
        return
    parents = _fetch(database, series_of(resource), resource, scope)
    for series_row, patient_id, study_uid, series_uid in parents:
        for row in _series_rows(database, series_row, headers=headers):
            yield _record(row, patient_id, study_uid, series_uid), row[-1]


def _series_rows(database: Database, series_row: int, *, headers: bool) -> Iterator[Row]:
    statement = _HEADERS if headers else _RECORDS
    number, last = _BEFORE_ALL, 0
    while True:
        page = database.fetch(statement, {"series_row": series_row, "number": number, "id": last})
        yield from page
        if len(page) < PAGE:
            return
        last, number = page[-1][:2]


_DETAILS = Prepared(
    select(details.c.header, details.c.located, details.c.pixel_data).where(
        details.c.instance_row == bindparam("row")
    )
)


def read_details(database: Database, row: int) -> Details | None:
    """What was learnt from one file."""
    found = database.fetch(_DETAILS, {"row": row})
    if not found:
        return None
    header, located, pixel_data = found[0]
    return Details(zlib.decompress(header), tuple(map(tuple, located)), pixel_data)


_PIXEL_DATA = Prepared(
    select(details.c.pixel_data).where(details.c.instance_row == bindparam("row"))
)


def read_pixel_data(database: Database, row: int) -> bytes | None:
    """Where the frames of one file lie: headers of multi-frame images are long."""
    found = database.fetch(_PIXEL_DATA, {"row": row})
    return found[0][0] if found else None


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
_PARTS_VERSION = (
    select(series.c.id, series.c.revision)
    .join_from(series, studies, series.c.study_row == studies.c.id)
    .where(studies.c.study_uid == bindparam("study"))
    .order_by(series.c.id)
)
_STUDY_SCOPED = Scoped(_STUDY_VERSION, QueryLevel.STUDY)
_PARTS_SCOPED = Scoped(_PARTS_VERSION, QueryLevel.SERIES)
_SERIES_SCOPED = Scoped(_SERIES_VERSION, QueryLevel.SERIES)
_INSTANCE_SCOPED = Scoped(_INSTANCE_VERSION, QueryLevel.INSTANCE)


def version(database: Database, resource: Resource, scope: Scope) -> str | None:
    """Row keys and revisions of a resource, one pair for each patient that has it.

    Of a study of which some series are seen, those of these series: no other shows in it.
    """
    if resource.instance is not None:
        statement = _INSTANCE_SCOPED
    elif resource.series is not None:
        statement = _SERIES_SCOPED
    else:
        statement = _PARTS_SCOPED if scope.series else _STUDY_SCOPED
    found = _fetch(database, statement, resource, scope)
    return "-".join(f"{row:x}.{revision:x}" for row, revision in found) or None


def transfer_syntaxes(database: Database, resource: Resource, scope: Scope) -> frozenset[str]:
    """The distinct transfer syntaxes of a resource's instances."""
    if resource.instance is not None:
        return frozenset(
            record.transfer_syntax for record, _ in rows(database, resource, scope, headers=False)
        )
    parents = [row[0] for row in _fetch(database, series_of(resource), resource, scope)]
    distinct = (
        select(instances.c.transfer_syntax).where(instances.c.series_row.in_(parents)).distinct()
    )
    return database.read(lambda connection: frozenset(connection.execute(distinct).scalars()))


def count_pixel_data(
    database: Database, resource: Resource, scope: Scope
) -> dict[str, tuple[int, int]]:
    """Of a resource's instances by transfer syntax: all, and those with pixel data."""
    parents = [row[0] for row in _fetch(database, series_of(resource), resource, scope)]
    counted = (
        select(
            instances.c.transfer_syntax,
            func.count(),
            func.sum(case((details.c.pixel_data.is_not(None), 1), else_=0)),
        )
        .join_from(instances, details, details.c.instance_row == instances.c.id)
        .where(instances.c.series_row.in_(parents))
        .group_by(instances.c.transfer_syntax)
    )
    if resource.instance is not None:
        counted = counted.where(instances.c.sop_uid == resource.instance)
    found = database.read(lambda connection: connection.execute(counted).all())
    return {syntax: (whole, int(pictures)) for syntax, whole, pictures in found}
