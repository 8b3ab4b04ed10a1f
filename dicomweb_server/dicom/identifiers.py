"""Identifiers in the style of Orthanc: SHA-1 of the identifying values of each level."""

from hashlib import sha1
from typing import NamedTuple


class OrthancIds(NamedTuple):
    """The identifiers of an instance and its parents, five groups of eight hex digits each."""

    patient: str
    study: str
    series: str
    instance: str


def orthanc_id(*parts: str) -> str:
    """The identifier of a level, from PatientID and the UIDs down to that level."""
    text = "|".join(parts).encode("utf-8", "replace")
    digest = sha1(text, usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:16]}-{digest[16:24]}-{digest[24:32]}-{digest[32:]}"


def orthanc_ids(patient_id: str, study_uid: str, series_uid: str, sop_uid: str) -> OrthancIds:
    """Identifiers of all four levels.

    Trailing padding (spaces, NUL) of the values does not count, leading spaces of PatientID do; a
    missing PatientID is the empty string.
    """
    patient = patient_id.rstrip(" \0")
    study, series, sop = (uid.strip(" \0") for uid in (study_uid, series_uid, sop_uid))
    return OrthancIds(
        orthanc_id(patient),
        orthanc_id(patient, study),
        orthanc_id(patient, study, series),
        orthanc_id(patient, study, series, sop),
    )
