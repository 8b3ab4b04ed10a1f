"""What is said of a patient: that of its studies which are visible (PS3.18 10.6.1.1).

A patient is the studies that share its Patient ID; the first of those that are visible says what
its name is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import func, select

from dicomweb_index_sql.answers import dumps
from dicomweb_index_sql.schema import patients, studies
from dicomweb_index_sql.visible import Visible
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.query_model import QueryLevel

_OF_STUDY = {
    sets.NUMBER_OF_PATIENT_RELATED_SERIES: sets.NUMBER_OF_STUDY_RELATED_SERIES,
    sets.NUMBER_OF_PATIENT_RELATED_INSTANCES: sets.NUMBER_OF_STUDY_RELATED_INSTANCES,
}
OF_PATIENT = studies.c.patient_row == patients.c.id


def count(tag: str, visible: Visible) -> Any:
    """A number of related studies, series or instances, of a row of patients (PS3.4 C.6.1.1.2)."""
    number = func.sum(visible.count(_OF_STUDY[tag])) if tag in _OF_STUDY else func.count()
    counted = select(number).select_from(studies).where(OF_PATIENT, *visible.inside)
    return counted.correlate(patients).scalar_subquery()


def first(column: Any, visible: Visible) -> Any:
    """A column of the patient's first study."""
    found = select(column).where(OF_PATIENT, *visible.inside).order_by(studies.c.id).limit(1)
    return found.correlate(patients).scalar_subquery()


def columns(visible: Visible) -> tuple[Any, ...]:
    """The columns of a search: the key, the attributes and the counts."""
    attributes = first(studies.c.attributes, visible)
    return (patients.c.id, attributes, *(count(tag, visible) for tag in sets.PATIENT_COUNTS))


def main_attributes(text: bytes) -> bytes:
    """The attributes of the patient among those of a study."""
    known = orjson.loads(text)
    return dumps({tag: known[tag] for tag in sets.MAIN[QueryLevel.PATIENT] if tag in known})


def rows(found: Sequence[Any]) -> list[Any]:
    """The rows of a search, whose attributes are nothing but the patient's."""
    return [(row[0], main_attributes(row[1]), *row[2:]) for row in found]
