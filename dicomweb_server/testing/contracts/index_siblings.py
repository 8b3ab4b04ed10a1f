"""How every `Index` must keep what a row has beside the scope out of what it says of the row."""

from __future__ import annotations

from typing import Any

import pytest

from dicomweb_server.interfaces.auth import EVERYTHING, Scope
from dicomweb_server.interfaces.index import Found, Index, Overwrite
from dicomweb_server.ps318.attributes import MAIN, PATIENT_COUNTS
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query import Query, QueryLevel
from dicomweb_server.ps318.query_model import Order
from dicomweb_server.testing.contracts.index_archive import LEVELS, condition, value_of
from dicomweb_server.testing.contracts.index_scopes import parsed, scope_of
from dicomweb_server.testing.dicom import make_instance
from dicomweb_server.testing.instances import new_instance

SECRETS = (
    ("StudyInstanceUID", "1.1", "1.2"),
    ("StudyDescription", "Secret", "Open"),
    ("PatientName", "Roe*", "Doe*"),
    ("InstitutionName", "South", "North"),
    ("SeriesDescription", "Secret", "Open"),
    ("SOPInstanceUID", "1.1.1.1", "1.2.1.1"),
    ("ModalitiesInStudy", "CT", "MR"),
    ("NumberOfStudyRelatedInstances", "2", "1"),
    ("NumberOfPatientRelatedStudies", "2", "1"),
    ("NumberOfPatientRelatedSeries", "2", "1"),
    ("NumberOfPatientRelatedInstances", "3", "1"),
)
"""Keys, and values that lead to the first and to the second of two studies of a patient."""
_PATIENT_NUMBERS = {key for key, *_ in SECRETS if key.startswith("NumberOfPatient")}


def _add_two_studies(index: Index) -> None:
    """Two studies of one patient: the first, of South, calls it otherwise than that of North."""
    south: dict[str, Any] = {"PatientID": "P", "StudyInstanceUID": "1.1", "Modality": "CT"}
    south |= {"PatientName": "Roe^Rita", "InstitutionName": "South", "PatientSex": "O"}
    south |= dict.fromkeys(("StudyDescription", "SeriesDescription"), "Secret")
    north: dict[str, Any] = {"PatientID": "P", "StudyInstanceUID": "1.2", "Modality": "MR"}
    north |= {"PatientName": "Doe^Jane", "InstitutionName": "North", "PatientSex": "F"}
    north |= dict.fromkeys(("StudyDescription", "SeriesDescription"), "Open")
    made = [
        make_instance(
            **study,
            SeriesInstanceUID=f"{study['StudyInstanceUID']}.1",
            SOPInstanceUID=f"{study['StudyInstanceUID']}.1.{number}",
        )
        for study, number in ((south, 1), (south, 2), (north, 1))
    ]
    for data in made:
        index.add([new_instance(data)])


def _patients(index: Index, scope: Scope, order: tuple[Order, ...] = ()) -> list[Found]:
    """The patients inside of a scope."""
    query = Query(QueryLevel.PATIENT, order=order)
    return index.search(query, scope, attributes=True)


class IndexSiblings:
    """Needs the fixtures `index` and `archive`."""

    def test_a_patient_is_its_visible_studies(self, index: Index) -> None:
        _add_two_studies(index)
        scope = scope_of(index, ((("InstitutionName", "North"),),))
        (match,) = _patients(index, scope)
        answer = parsed(match.answer)
        assert answer["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]
        assert value_of(answer, "00100040") == "F"
        assert [value_of(answer, tag) for tag in PATIENT_COUNTS] == ["1", "1", "1"]
        known = {tag for text in match.attributes for tag in parsed(text)}
        assert known <= set(MAIN[QueryLevel.PATIENT])
        header = parsed(index.representative(QueryLevel.PATIENT, match.row, scope=scope))
        assert value_of(header, "0020000D") == "1.2"
        for sort in (Order("00100010"), Order(PATIENT_COUNTS[0], descending=True)):
            assert _patients(index, scope, order=(sort,)) == [match]
        scanned = list(index.scan(Query(QueryLevel.PATIENT), scope))
        assert {value_of(parsed(text), "0020000D") for _, text in scanned} == {"1.2"}

    def test_a_patient_is_its_remaining_studies(self, index: Index) -> None:
        _add_two_studies(index)
        index.delete(Resource("1.1"), EVERYTHING)
        (match,) = _patients(index, EVERYTHING)
        answer = parsed(match.answer)
        assert answer["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]
        assert value_of(answer, "00100040") == "F"
        assert {tag for text in match.attributes for tag in parsed(text)} <= set(
            MAIN[QueryLevel.PATIENT]
        )

    def test_a_patient_is_what_replaced_its_only_instance(self, index: Index) -> None:
        uids: dict[str, Any] = dict.fromkeys(("StudyInstanceUID", "SeriesInstanceUID"), "1.1")
        for name in ("Old^Name", "New^Name"):
            data = make_instance(PatientID="P", PatientName=name, SOPInstanceUID="1.1.1", **uids)
            index.add([new_instance(data)], overwrite=Overwrite.ALWAYS)
        (match,) = _patients(index, EVERYTHING)
        assert parsed(match.answer)["00100010"]["Value"] == [{"Alphabetic": "New^Name"}]

    @pytest.mark.parametrize(("key", "hidden", "shown"), SECRETS)
    def test_a_patient_is_found_by_visible_studies_only(
        self, index: Index, key: str, hidden: str, shown: str
    ) -> None:
        _add_two_studies(index)
        scope = scope_of(index, ((("InstitutionName", "North"),),))
        for value, expected in ((hidden, 0), (shown, 1)):
            one = condition(key, value, QueryLevel.PATIENT, case_sensitive=True)
            assert index.answers(one, QueryLevel.PATIENT)
            query = Query(QueryLevel.PATIENT, (one,))
            whole = value == hidden or key not in _PATIENT_NUMBERS
            assert len(index.search(query, EVERYTHING)) == whole
            assert len(index.search(query, scope)) == index.count(query, scope) == expected

    @pytest.mark.parametrize("level", [QueryLevel.PATIENT, *LEVELS])
    @pytest.mark.parametrize(
        ("key", "hidden", "shown"),
        [
            ("SeriesInstanceUID", "1.2.1.1", "1.2.1.2"),
            ("SOPInstanceUID", "1.2.1.1.1", "1.2.1.2.1"),
            ("Modality", "CT", "MR"),
            ("ModalitiesInStudy", "CT", "MR"),
            ("BodyPartExamined", "HEAD", ""),
            ("NumberOfStudyRelatedSeries", "2", "1"),
            ("NumberOfStudyRelatedInstances", "4", "2"),
        ],
    )
    def test_nothing_is_found_by_other_series(
        self, archive: Index, level: QueryLevel, key: str, hidden: str, shown: str
    ) -> None:
        one = condition("StudyInstanceUID", "1.2.1", QueryLevel.STUDY, case_sensitive=True)
        scope = EVERYTHING.narrowed((one,), ("1.2.1.2",))
        for value, expected in ((hidden, False), (shown, True)):
            asked = condition(key, value, level, case_sensitive=True)
            if not archive.answers(asked, level):
                pytest.skip(f"this index does not answer conditions on {key}")
            query = Query(level, (asked,))
            assert bool(archive.search(query, scope)) is expected, value
            assert bool(archive.count(query, scope)) is expected

    @pytest.mark.parametrize("level", LEVELS)
    def test_what_is_told_of_a_study_is_that_of_its_visible_series(
        self, archive: Index, level: QueryLevel
    ) -> None:
        one = condition("StudyInstanceUID", "1.2.1", QueryLevel.STUDY, case_sensitive=True)
        scope = EVERYTHING.narrowed((one,), ("1.2.1.2",))
        for match in archive.search(Query(level), scope, attributes=True):
            told = {k: v for text in match.attributes for k, v in parsed(text).items()}
            if level is QueryLevel.STUDY:
                told |= parsed(match.answer)
            assert told["00080061"]["Value"] == ["MR"]
            assert value_of(told, "00201206") == "1"
            assert value_of(told, "00201208") == "2"
