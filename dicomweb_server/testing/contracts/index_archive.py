"""A small archive with every kind of value, and what a search must find in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from dicomweb_server.dicom import STANDARD
from dicomweb_server.interfaces.auth import EVERYTHING
from dicomweb_server.interfaces.index import Index
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query import Condition, Query, QueryLevel, parse_query
from dicomweb_server.testing.dicom import make_instance
from dicomweb_server.testing.instances import new_instance

LEVELS = (QueryLevel.STUDY, QueryLevel.SERIES, QueryLevel.INSTANCE)
UID_TAG = {
    QueryLevel.STUDY: "0020000D",
    QueryLevel.SERIES: "0020000E",
    QueryLevel.INSTANCE: "00080018",
}

STUDIES: tuple[dict[str, Any], ...] = (
    {
        "StudyInstanceUID": "1.2.1",
        "PatientID": "P1",
        "PatientName": "Doe^Jane",
        "PatientBirthDate": "19700101",
        "StudyDate": "20200101",
        "StudyTime": "101530",
        "AccessionNumber": "A-1",
        "StudyDescription": "Head 100% [a]",
        "ReferringPhysicianName": "House^Gregory^^Dr",
    },
    {
        "StudyInstanceUID": "1.2.2",
        "PatientID": "p1",
        "PatientName": "Müller^Jörg",
        "StudyDate": "20210615",
        "StudyTime": "1130",
        "AccessionNumber": "a_1",
        "StudyDescription": "HEAD",
    },
    {
        "StudyInstanceUID": "1.2.3",
        "PatientID": "P23",
        "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "StudyDate": "20210616",
        "StudyTime": "235959.999999",
        "AccessionNumber": "A?1*",
    },
    {
        "StudyInstanceUID": "1.2.4",
        "PatientID": "",
        "PatientName": "",
        "StudyDate": "",
        "AccessionNumber": None,
    },
    {"StudyInstanceUID": "1.2.5", "PatientID": "P1 O'Neil; --", "PatientName": "doe^john"},
)
SERIES: tuple[dict[str, Any], ...] = (
    {"Modality": "CT", "SeriesNumber": 1, "BodyPartExamined": "HEAD", "SeriesDate": "20200102"},
    {"Modality": "MR", "SeriesNumber": 12, "SeriesDescription": "t1_mpr", "StationName": "S%"},
)
INSTANCES: tuple[dict[str, Any], ...] = (
    {"InstanceNumber": 1, "Rows": 512, "Columns": 256, "SliceThickness": "2.5"},
    {"InstanceNumber": 2, "Rows": 16, "NumberOfFrames": 3, "ImageType": ["ORIGINAL", "PRIMARY"]},
)

KEYS: tuple[tuple[str, str], ...] = (
    *(("PatientID", value) for value in ("P1", "p1", "P?", "P*", "*1", "*", "", "P%", "P_", "X")),
    *(("PatientID", value) for value in ("P1 O'Neil; --", "*'*", "P??")),
    *(("PatientName", value) for value in ("Doe^Jane", "doe^jane", "DOE*", "D?e^*", "*^J*")),
    *(("PatientName", value) for value in ("Müller*", "MÜLLER^jörg", "Muller*", "*山*", "やまだ*")),
    ("PatientName", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    *(("PatientBirthDate", value) for value in ("19700101", "-19700101", "19700102-")),
    *(
        ("StudyDate", value)
        for value in ("20200101", "20200101-20210615", "-20210615", "20210616-")
    ),
    ("StudyDate", ""),
    *(("StudyTime", value) for value in ("1015", "10-1130", "113000", "2359-", "-1015")),
    *(("AccessionNumber", value) for value in ("A-1", "a*", "A_1", "a_1", "*_*", "A%", "A[?]1*")),
    *(("StudyDescription", value) for value in ("HEAD", "Head*", "*100%*", "*[a]", "??ad*")),
    ("ReferringPhysicianName", "House*"),
    *(("StudyInstanceUID", value) for value in ("1.2.1", "1.2.1,1.2.4", "1.2", "1.2.9")),
    *(("Modality", value) for value in ("CT", "ct", "?R", "*")),
    *(("SeriesNumber", value) for value in ("1", "01", "12", "2")),
    *(("SeriesInstanceUID", value) for value in ("1.2.1.1", "1.2.1.2,1.2.3.1")),
    *(("BodyPartExamined", value) for value in ("HEAD", "H*")),
    *(("SeriesDescription", value) for value in ("t1_mpr", "t1?mpr", "T1*")),
    ("SeriesDate", "20200101-20200103"),
    ("StationName", "S%"),
    *(("SOPInstanceUID", value) for value in ("1.2.1.1.1", "1.2.1.1.1,1.2.3.2.2", "1")),
    ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"),
    *(("InstanceNumber", value) for value in ("1", "002", "3")),
    *(("Rows", value) for value in ("512", "16", "0512")),
    ("NumberOfFrames", "3"),
    *(("SliceThickness", value) for value in ("2.5", "2.50")),
    ("ImageType", "PRIMARY"),
)


def fill(index: Index) -> None:
    """Index the archive, in one batch for each study."""
    for study in STUDIES:
        uid = study["StudyInstanceUID"]
        index.add(
            [
                new_instance(
                    make_instance(
                        **study,
                        **{**one, **other},
                        SeriesInstanceUID=f"{uid}.{s}",
                        SOPInstanceUID=f"{uid}.{s}.{i}",
                    )
                )
                for s, one in enumerate(SERIES, 1)
                for i, other in enumerate(INSTANCES, 1)
            ]
        )


def condition(keyword: str, value: str, level: QueryLevel, *, case_sensitive: bool) -> Condition:
    """A condition as a search by URL makes it."""
    query = parse_query(
        [(keyword, value)],
        level,
        STANDARD,
        case_sensitive=case_sensitive,
        keywords=STANDARD.keywords,
    )
    return query.conditions[0]


def headers(index: Index) -> list[dict[str, Any]]:
    """The header of every instance of the archive."""
    found = []
    for study in STUDIES:
        resource = Resource(study["StudyInstanceUID"])
        for _, text in index.headers(resource, EVERYTHING):
            found.append(json.loads(text.replace(b"\x1f", b"")))
    return found


def value_of(attributes: Mapping[str, Any], tag: str) -> str:
    """The first value of an attribute of the JSON model."""
    return str(attributes[tag]["Value"][0])


def expected(
    known: Iterable[Mapping[str, Any]], conditions: Iterable[Condition], level: QueryLevel
) -> set[str]:
    """UIDs of what any instance below fulfils, condition by condition."""
    instances = list(known)
    found = {value_of(attributes, UID_TAG[level]) for attributes in instances}
    for each in conditions:
        found &= {value_of(a, UID_TAG[level]) for a in instances if each.matches(a)}
    return found


def found_uids(index: Index, query: Query) -> list[str]:
    """UIDs of the matches in their order."""
    matches = index.search(query, EVERYTHING)
    answers = (json.loads(match.answer.replace(b"\x1f", b"")) for match in matches)
    return [value_of(answer, UID_TAG[query.level]) for answer in answers]
