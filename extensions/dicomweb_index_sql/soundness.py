"""Whether rows hang where their identifiers say, and numbers that were given out stay behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from dicomweb_index_sql.database import MOVED, SEQUENCE
from dicomweb_index_sql.schema import changes, counters, instances, patients, series, studies
from dicomweb_server.dicom import orthanc_ids

_PAGE = 500
_CHAIN = (
    select(
        *(instances.c.id, instances.c.orthanc_id, instances.c.sop_uid, instances.c.study_row),
        *(series.c.orthanc_id, series.c.series_uid, series.c.study_row),
        *(studies.c.orthanc_id, studies.c.study_uid, studies.c.patient_row),
        *(patients.c.orthanc_id, patients.c.patient_id),
    )
    .select_from(instances)
    .join(series, instances.c.series_row == series.c.id, isouter=True)
    .join(studies, instances.c.study_row == studies.c.id, isouter=True)
    .join(patients, studies.c.patient_row == patients.c.id, isouter=True)
    .order_by(instances.c.id)
    .limit(_PAGE)
)
_WITH_NUMBERS = (
    *(patients.c.id, studies.c.id, series.c.id, instances.c.id),
    *(patients.c.revision, studies.c.revision, series.c.revision, instances.c.revision),
    changes.c.seq,
)


def misplaced(connection: Connection) -> Iterator[str]:
    """A sentence about each instance that is not where its identifiers, and its parents', say."""
    last = -(2**63)
    while True:
        page = connection.execute(_CHAIN.where(instances.c.id > last)).all()
        for row in page:
            wrong = _wrong(row)
            if wrong:
                yield (
                    f"instance {row[1]}: {wrong}, which nothing in the index can mend: let "
                    f"`dicomweb-server reindex` make a new index of the files, in place of this one"
                )
        if len(page) < _PAGE:
            return
        last = page[-1][0]


def _wrong(row: Sequence[Any]) -> str:
    _, instance, sop_uid, study_row, series_id, series_uid, of_study = row[:7]
    study_id, study_uid, _, patient_id_, patient_id = row[7:]
    for name, found in (("series", series_id), ("study", study_id), ("patient", patient_id_)):
        if found is None:
            return f"its {name} is not there"
    if of_study != study_row:
        return "its series is one of another study"
    texts = (patient_id, study_uid, series_uid, sop_uid)
    if not all(isinstance(text, str) for text in texts):
        return "it or a parent has an identifier that is no text"
    if tuple(orthanc_ids(*texts)) != (patient_id_, study_id, series_id, instance):
        return "it or a parent has another identifier than its UIDs make"
    return ""


def last_number(connection: Connection) -> int:
    """The largest number of the sequence that is in use."""
    found = [connection.execute(select(func.max(c))).scalar_one() for c in _WITH_NUMBERS]
    return max((number for number in found if isinstance(number, int)), default=0)


def is_behind(connection: Connection) -> bool:
    """Whether the sequence would give numbers out again that are in use, or none at all."""
    names = dict(connection.execute(select(counters.c.name, counters.c.value)).tuples().all())
    if MOVED in names:
        return False
    value = names.get(SEQUENCE)
    return not isinstance(value, int) or value < last_number(connection)


def set_sequence(connection: Connection) -> None:
    """Let the sequence go on behind the last number that is in use."""
    value = last_number(connection)
    of_sequence = counters.c.name == SEQUENCE
    if not connection.execute(update(counters).where(of_sequence).values(value=value)).rowcount:
        connection.execute(insert(counters).values(name=SEQUENCE, value=value))
