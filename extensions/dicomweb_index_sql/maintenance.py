"""Deletes, recounts and compares: everything that changes rows which are there already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from dicomweb_index_sql.database import Database, cursor_of
from dicomweb_index_sql.extras import LEVELS
from dicomweb_index_sql.reads import parameters, series_of
from dicomweb_index_sql.schema import (
    details,
    extra_values,
    instances,
    patients,
    series,
    studies,
    tombstones,
)
from dicomweb_index_sql.statements import chunks, utc_now, write_changes
from dicomweb_index_sql.writer import finish_series, finish_study
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import BlobRef, Statistics
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query_model import QueryLevel

_LOG = list[tuple[str, str, str]]
_DOOMED = select(
    instances.c.id,
    instances.c.orthanc_id,
    instances.c.study_row,
    instances.c.series_row,
    instances.c.storage,
    instances.c.blob,
)


def _doomed(connection: Connection, resource: Resource, scope: Scope) -> list[Any]:
    """The instance rows of a resource."""
    named = parameters(resource)
    of_series = {name: uid for name, uid in named.items() if name != "instance"}
    parents_of, values = series_of(resource).at(of_series, scope)
    parents = [row[0] for row in parents_of.rows(cursor_of(connection), values)]
    found: list[Any] = []
    for part in chunks(parents):
        of_part = _DOOMED.where(instances.c.series_row.in_(part))
        if "instance" in named:
            of_part = of_part.where(instances.c.sop_uid == named["instance"])
        found += connection.execute(of_part).all()
    return found


def delete_resource(
    database: Database, connection: Connection, resource: Resource, scope: Scope
) -> list[BlobRef]:
    """Delete the instances of a resource inside of a scope, and what becomes empty."""
    return _delete(database, connection, _doomed(connection, resource, scope))


def delete_instances(
    database: Database, connection: Connection, study_rows: Sequence[int]
) -> list[BlobRef]:
    """Delete all instances of some studies, and what becomes empty."""
    doomed: list[Any] = []
    for part in chunks(study_rows):
        doomed += connection.execute(_DOOMED.where(instances.c.study_row.in_(part))).all()
    return _delete(database, connection, doomed)


def _delete(database: Database, connection: Connection, doomed: Sequence[Any]) -> list[BlobRef]:
    if not doomed:
        return []
    now = utc_now()
    _remove(connection, details.c.instance_row, [row.id for row in doomed])
    remove_extras(connection, QueryLevel.INSTANCE, [row.id for row in doomed])
    _remove(connection, instances.c.id, [row.id for row in doomed])
    connection.execute(
        insert(tombstones),
        [
            {"storage": r.storage, "blob": r.blob, "orthanc_id": r.orthanc_id, "date": now}
            for r in doomed
        ],
    )
    log: _LOG = [("DeletedInstance", "Instance", row.orthanc_id) for row in doomed]
    recount(
        database,
        connection,
        {row.series_row for row in doomed},
        {row.study_row for row in doomed},
        log,
    )
    write_changes(database, cursor_of(connection), log)
    return [BlobRef(row.storage, row.blob) for row in doomed]


def relocate(
    database: Database, connection: Connection, moves: Sequence[tuple[BlobRef, BlobRef]]
) -> set[BlobRef]:
    """Point instances to other blobs; the old ones of those that still pointed there."""
    database.require_here(cursor_of(connection))
    columns = instances.c
    moved = set()
    for old, new in moves:
        statement = (
            update(instances)
            .where(columns.storage == old.storage, columns.blob == old.key)
            .values(storage=new.storage, blob=new.key)
        )
        if connection.execute(statement).rowcount:
            moved.add(old)
    return moved


def _remove(connection: Connection, column: Any, keys: Sequence[int]) -> None:
    for part in chunks(keys):
        connection.execute(delete(column.table).where(column.in_(part)))


def remove_extras(connection: Connection, level: QueryLevel, owners: Sequence[int]) -> None:
    """Forget the values of attributes without columns that belong to rows of a level."""
    of_level = delete(extra_values).where(extra_values.c.level == LEVELS[level])
    for part in chunks(owners):
        connection.execute(of_level.where(extra_values.c.owner.in_(part)))


def recount(
    database: Database,
    connection: Connection,
    series_rows: Iterable[int],
    study_rows: Iterable[int],
    log: _LOG,
) -> None:
    """Bring counts, answers and revisions in step with the instances; drop empty parents."""
    revision = database.allocate(cursor_of(connection), 1)
    for row in sorted(series_rows):
        _recount_series(connection, row, revision, log)
    for row in sorted(study_rows):
        _recount_study(connection, row, revision, log)


def _recount_series(connection: Connection, row: int, revision: int, log: _LOG) -> None:
    count, size = connection.execute(
        select(func.count(), func.coalesce(func.sum(instances.c.size), 0)).where(
            instances.c.series_row == row
        )
    ).one()
    found = connection.execute(select(series).where(series.c.id == row)).first()
    if found is None:
        return
    if not count:
        remove_extras(connection, QueryLevel.SERIES, [row])
        connection.execute(delete(series).where(series.c.id == row))
        log.append(("DeletedSeries", "Series", found.orthanc_id))
        return
    study = connection.execute(select(studies).where(studies.c.id == found.study_row)).one()
    values = dict(found._mapping) | {"instance_count": count, "size": int(size)}
    finish_series(values, dict(study._mapping), revision)
    connection.execute(update(series).where(series.c.id == row).values(values))


def _recount_study(connection: Connection, row: int, revision: int, log: _LOG) -> None:
    found = connection.execute(select(studies).where(studies.c.id == row)).first()
    if found is None:
        return
    values = dict(found._mapping) | study_counts(connection, row)
    if not values["instance_count"]:
        remove_extras(connection, QueryLevel.STUDY, [row])
        connection.execute(delete(studies).where(studies.c.id == row))
        log.append(("DeletedStudy", "Study", found.orthanc_id))
        _drop_patient(connection, found.patient_row, log)
        return
    finish_study(values, revision)
    connection.execute(update(studies).where(studies.c.id == row).values(values))


def _drop_patient(connection: Connection, row: int, log: _LOG) -> None:
    statement = select(studies.c.id).where(studies.c.patient_row == row).limit(1)
    if connection.execute(statement).first() is None:
        found = connection.execute(select(patients).where(patients.c.id == row)).one()
        connection.execute(delete(patients).where(patients.c.id == row))
        log.append(("DeletedPatient", "Patient", found.orthanc_id))


def study_counts(connection: Connection, row: int) -> dict[str, Any]:
    """What the rows of a study's series and instances say its counts must be."""
    of_study = series.c.study_row == row
    modalities = connection.execute(select(series.c.modality).where(of_study).distinct())
    classes = connection.execute(
        select(instances.c.sop_class_uid).where(instances.c.study_row == row).distinct()
    )
    counted = connection.execute(
        select(func.count(), func.coalesce(func.sum(instances.c.size), 0)).where(
            instances.c.study_row == row
        )
    ).one()
    return {
        "modalities": sorted({_first(value) for (value,) in modalities} - {""}),
        "sop_classes": sorted({value or "" for (value,) in classes} - {""}),
        "series_count": connection.execute(
            select(func.count()).select_from(series).where(of_study)
        ).scalar_one(),
        "instance_count": counted[0],
        "size": int(counted[1]),
    }


def _first(modality: str | None) -> str:
    return (modality or "").split("\\")[0]


def statistics(database: Database) -> Statistics:
    """How much there is."""
    return database.read(_statistics, snapshot=True)


def _statistics(connection: Connection) -> Statistics:
    counts = {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in (patients, studies, series, instances)
    }
    size = connection.execute(select(func.coalesce(func.sum(studies.c.size), 0))).scalar_one()
    return Statistics(**counts, size=int(size))
