"""Whole patients: when they were last stored to, how large they are, and how they go."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from dicomweb_index_sql.database import Database
from dicomweb_index_sql.maintenance import delete_instances
from dicomweb_index_sql.schema import patients, studies
from dicomweb_server.interfaces.index import BlobRef, PatientRecord

# The revision of a study is new with every instance that is stored.
_STORED = func.max(studies.c.revision)


def _statement() -> Select[Any]:
    return (
        select(
            patients.c.orthanc_id,
            patients.c.patient_id,
            func.sum(studies.c.size),
            _STORED,
        )
        .join_from(patients, studies, studies.c.patient_row == patients.c.id)
        .group_by(patients.c.id, patients.c.orthanc_id, patients.c.patient_id)
        .order_by(_STORED, patients.c.id)
    )


def _records(connection: Connection, statement: Select[Any]) -> list[PatientRecord]:
    return [
        PatientRecord(orthanc_id, patient_id, int(size), stored)
        for orthanc_id, patient_id, size, stored in connection.execute(statement)
    ]


def read_patients(database: Database) -> list[PatientRecord]:
    """Every patient, the one first that was not stored to for longest."""
    return database.read(lambda connection: _records(connection, _statement()))


def find(connection: Connection, orthanc_id: str) -> PatientRecord | None:
    """One patient."""
    found = _records(connection, _statement().where(patients.c.orthanc_id == orthanc_id))
    return found[0] if found else None


def delete_patient(
    database: Database, connection: Connection, record: PatientRecord
) -> list[BlobRef]:
    """Delete a patient, unless anything of it changed since the record was read."""
    if find(connection, record.orthanc_id) != record:
        return []
    rows = connection.execute(_of_patient(studies.c.id, record)).scalars()
    return delete_instances(database, connection, list(rows))


def read_studies(database: Database, record: PatientRecord) -> list[str]:
    """The UIDs of a patient's studies."""
    statement = _of_patient(studies.c.study_uid, record)
    return database.read(lambda connection: list(connection.execute(statement).scalars()))


def _of_patient(column: ColumnElement[Any], record: PatientRecord) -> Select[Any]:
    return (
        select(column)
        .join_from(studies, patients, studies.c.patient_row == patients.c.id)
        .where(patients.c.orthanc_id == record.orthanc_id)
    )
