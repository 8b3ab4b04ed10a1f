"""How every `Index` must keep what is outside of a scope out of sight."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from dicomweb_server.interfaces.auth import EVERYTHING, NOTHING, Scope
from dicomweb_server.interfaces.index import Index
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query import Condition, Query, QueryLevel
from dicomweb_server.testing.contracts.index_archive import (
    LEVELS,
    STUDIES,
    UID_TAG,
    condition,
    fill,
    headers,
    value_of,
)
from dicomweb_server.testing.dicom import make_instance
from dicomweb_server.testing.instances import new_instance

Header = Mapping[str, Any]

SETS: tuple[tuple[tuple[tuple[str, str], ...], ...], ...] = (
    ((("PatientID", "P1"),),),
    ((("PatientName", "*^J*"),),),
    ((("StudyDate", "20200101-20210615"), ("PatientID", "P*")),),
    ((("PatientID", "P23"),), (("AccessionNumber", "A-1"),)),
    ((("StudyInstanceUID", "1.2.2,1.2.4"),), (("PatientID", "X"),)),
    ((("ModalitiesInStudy", "CT"), ("PatientID", "P1")),),
    ((("Modality", "MR"), ("StudyDate", "20210616-")), (("Rows", "512"), ("PatientID", "p1"))),
    ((("PatientID", "X"),),),
)
"""Scopes as sets of keys: of one set all must match, and one set suffices."""


def scope_of(index: Index, sets: Sequence[Sequence[tuple[str, str]]]) -> Scope:
    """The scope of such sets; skips the test if the index does not answer one of its keys."""
    found = tuple(
        tuple(condition(key, value, QueryLevel.STUDY, case_sensitive=True) for key, value in keys)
        for keys in sets
    )
    for one in (one for conditions in found for one in conditions):
        if not index.answers(one, QueryLevel.STUDY):
            pytest.skip(f"this index does not answer conditions on {one.tag}")
    return Scope(everything=False, any_of=found)


def _inside(known: Sequence[Header], scope: Scope) -> set[str]:
    """UIDs of the studies that a scope holds, by the predicates of its conditions."""
    studies: dict[str, list[Header]] = {}
    for header in known:
        studies.setdefault(value_of(header, "0020000D"), []).append(
            {**header, "00080061": header["00080060"]}
        )
    return {
        uid
        for uid, instances in studies.items()
        if any(_fulfils(instances, conditions) for conditions in scope.any_of)
    }


def _fulfils(instances: Sequence[Header], conditions: Sequence[Condition]) -> bool:
    return all(any(one.matches(each) for each in instances) for one in conditions)


def parsed(text: bytes) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(text.replace(b"\x1f", b""))
    return loaded


def _resources() -> Iterator[Resource]:
    for study in STUDIES:
        uid = study["StudyInstanceUID"]
        yield from (
            Resource(uid),
            Resource(uid, f"{uid}.2"),
            Resource(uid, f"{uid}.2", f"{uid}.2.1"),
        )


class IndexScopes:
    """Needs the fixtures `index` and `archive`."""

    @pytest.fixture
    def archive(self, index: Index) -> Index:
        """The index with a small archive."""
        fill(index)
        return index

    @pytest.mark.parametrize("level", LEVELS)
    @pytest.mark.parametrize("sets", SETS, ids=str)
    def test_a_search_finds_what_is_inside(
        self,
        archive: Index,
        level: QueryLevel,
        sets: Sequence[Sequence[tuple[str, str]]],
    ) -> None:
        scope = scope_of(archive, sets)
        inside = _inside(headers(archive), scope)
        everything = archive.search(Query(level), EVERYTHING, attributes=True)
        expected = [m for m in everything if value_of(parsed(m.answer), "0020000D") in inside]
        assert archive.search(Query(level), scope, attributes=True) == expected
        assert [m.row for m in archive.search(Query(level), scope)] == [m.row for m in expected]
        page = archive.search(Query(level, limit=2, offset=1), scope, attributes=True)
        assert page == expected[1:3]
        one = condition("PatientID", "P*", level, case_sensitive=True)
        if archive.answers(one, level):
            both = archive.search(Query(level, (one,)), scope, attributes=True)
            assert both == [m for m in expected if one.matches(parsed(m.answer))]

    @pytest.mark.parametrize("level", LEVELS)
    @pytest.mark.parametrize("sets", SETS, ids=str)
    def test_a_scan_reads_what_is_inside(
        self,
        archive: Index,
        level: QueryLevel,
        sets: Sequence[Sequence[tuple[str, str]]],
    ) -> None:
        scope = scope_of(archive, sets)
        inside = _inside(headers(archive), scope)
        everything = archive.scan(Query(level), EVERYTHING)
        expected = [pair for pair in everything if value_of(parsed(pair[1]), "0020000D") in inside]
        assert list(archive.scan(Query(level), scope)) == expected

    @pytest.mark.parametrize("sets", SETS, ids=str)
    def test_a_resource_outside_is_as_one_that_is_not_there(
        self, archive: Index, sets: Sequence[Sequence[tuple[str, str]]]
    ) -> None:
        scope = scope_of(archive, sets)
        inside = _inside(headers(archive), scope)
        for resource in _resources():
            seen = EVERYTHING if resource.study in inside else NOTHING
            assert archive.version(resource, scope) == archive.version(resource, seen)
            assert archive.transfer_syntaxes(resource, scope) == archive.transfer_syntaxes(
                resource, seen
            )
            assert list(archive.instances(resource, scope)) == list(
                archive.instances(resource, seen)
            )
            assert list(archive.headers(resource, scope)) == list(archive.headers(resource, seen))

    @pytest.mark.parametrize("sets", SETS, ids=str)
    def test_only_what_is_inside_is_deleted(
        self, archive: Index, sets: Sequence[Sequence[tuple[str, str]]]
    ) -> None:
        scope = scope_of(archive, sets)
        inside = _inside(headers(archive), scope)
        gone = 0
        for resource in _resources():
            if resource.instance is None and resource.series is None:
                deleted = archive.delete(resource, scope)
                assert len(deleted) == (4 if resource.study in inside else 0)
                gone += len(deleted)
        left = {value_of(header, "0020000D") for header in headers(archive)}
        assert left == {study["StudyInstanceUID"] for study in STUDIES} - inside
        assert archive.statistics().instances == 4 * len(STUDIES) - gone

    def test_of_two_patients_with_one_study_uid_one_is_seen(self, index: Index) -> None:
        for patient in ("A", "B"):
            index.add([new_instance(make_instance(StudyInstanceUID="1.5", PatientID=patient))])
        scope = scope_of(index, ((("PatientID", "A"),),))
        resource = Resource("1.5")
        assert {r.patient_id for r in index.instances(resource, scope)} == {"A"}
        assert index.version(resource, scope) not in (None, index.version(resource, EVERYTHING))
        assert len(index.delete(resource, scope)) == 1
        assert {r.patient_id for r in index.instances(resource, EVERYTHING)} == {"B"}

    def test_of_a_study_some_series_may_be_inside(self, archive: Index) -> None:
        one = condition("StudyInstanceUID", "1.2.1", QueryLevel.STUDY, case_sensitive=True)
        scope = EVERYTHING.narrowed((one,), ("1.2.1.2",))
        for level in LEVELS:
            found = [parsed(match.answer) for match in archive.search(Query(level), scope)]
            assert {value_of(answer, "0020000D") for answer in found} == {"1.2.1"}
            if level is not QueryLevel.STUDY:
                assert {value_of(answer, "0020000E") for answer in found} == {"1.2.1.2"}
            scanned = [parsed(header) for _, header in archive.scan(Query(level), scope)]
            assert {value_of(h, "0020000E") for h in scanned} == {"1.2.1.2"}
        for resource in (Resource("1.2.1"), Resource("1.2.1", "1.2.1.2")):
            assert archive.version(resource, scope)
            assert {r.series_uid for r in archive.instances(resource, scope)} == {"1.2.1.2"}
            assert len(list(archive.headers(resource, scope))) == 2
        for outside in (
            Resource("1.2.1", "1.2.1.1"),
            Resource("1.2.1", "1.2.1.1", "1.2.1.1.1"),
            Resource("1.2.2"),
            Resource("1.2.2", "1.2.1.2"),
        ):
            assert archive.version(outside, scope) is None
            assert list(archive.instances(outside, scope)) == []
            assert archive.transfer_syntaxes(outside, scope) == frozenset()
            assert archive.delete(outside, scope) == []
        assert len(archive.delete(Resource("1.2.1"), scope)) == 2
        assert archive.version(Resource("1.2.1", "1.2.1.1"), EVERYTHING)

    def test_the_version_of_some_series_is_theirs_alone(self, archive: Index) -> None:
        one = condition("StudyInstanceUID", "1.2.1", QueryLevel.STUDY, case_sensitive=True)
        scope = EVERYTHING.narrowed((one,), ("1.2.1.2",))
        study = Resource("1.2.1")
        before = archive.version(study, scope)
        assert before not in (None, archive.version(study, EVERYTHING))
        for series, changes in (("1.2.1.1", False), ("1.2.1.3", False), ("1.2.1.2", True)):
            data = make_instance(StudyInstanceUID="1.2.1", SeriesInstanceUID=series)
            archive.add([new_instance(data)])
            assert (archive.version(study, scope) != before) == changes
        after = archive.version(study, scope)
        assert archive.delete(Resource("1.2.1", "1.2.1.1"), EVERYTHING)
        assert archive.version(study, scope) == after

    def test_a_study_without_the_visible_series_is_outside(self, archive: Index) -> None:
        one = condition("StudyInstanceUID", "1.2.1", QueryLevel.STUDY, case_sensitive=True)
        scope = EVERYTHING.narrowed((one,), ("1.2.2.1",))
        for level in LEVELS:
            assert archive.search(Query(level), scope) == []
        assert archive.version(Resource("1.2.1"), scope) is None

    def test_the_representative_of_some_series_is_of_them(self, archive: Index) -> None:
        one = condition("StudyInstanceUID", "1.2.1", QueryLevel.STUDY, case_sensitive=True)
        scope = EVERYTHING.narrowed((one,), ("1.2.1.2",))
        for level in (QueryLevel.PATIENT, QueryLevel.STUDY, QueryLevel.SERIES):
            (match,) = archive.search(Query(level), scope)
            text = archive.representative(level, match.row, scope=scope)
            assert value_of(parsed(text), UID_TAG[QueryLevel.SERIES]) == "1.2.1.2"
