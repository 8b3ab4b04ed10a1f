"""How every `Index` must take in, replace and delete."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dicomweb_server.dicom import orthanc_ids
from dicomweb_server.interfaces.auth import EVERYTHING, NOTHING
from dicomweb_server.interfaces.index import (
    BlobRef,
    Index,
    NewInstance,
    Outcome,
    Overwrite,
)
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query import Query, QueryLevel
from dicomweb_server.testing.contracts.index_archive import condition
from dicomweb_server.testing.dicom import EXPLICIT, IMPLICIT, make_instance, make_study, new_uid
from dicomweb_server.testing.instances import new_instance

IDS: dict[str, Any] = {
    "PatientID": "P",
    "StudyInstanceUID": "1.1",
    "SeriesInstanceUID": "1.1.1",
    "SOPInstanceUID": "1.1.1.1",
}
STUDY = Resource("1.1")
INSTANCE = Resource("1.1", "1.1.1", "1.1.1.1")


def one(**attributes: Any) -> NewInstance:
    """An instance that is always the same one, with other attributes."""
    return new_instance(make_instance(**IDS | attributes))


def answer(index: Index, level: QueryLevel = QueryLevel.STUDY) -> dict[str, Any]:
    """The only match of a level."""
    (found,) = index.search(Query(level), EVERYTHING)
    loaded: dict[str, Any] = json.loads(found.answer.replace(b"\x1f", b""))
    return loaded


def blobs(index: Index) -> set[BlobRef]:
    """Every blob that is needed."""
    return {entry.ref for entry in index.blobs()}


class IndexWriting:
    """Needs the fixture `index`."""

    # --- adding ----------------------------------------------------------------------------

    def test_nothing_is_added_by_nothing(self, index: Index) -> None:
        assert index.add([]) == []
        assert index.changes() == []

    def test_a_new_instance_is_stored(self, index: Index) -> None:
        new = one()
        (added,) = index.add([new])
        assert added.outcome is Outcome.STORED
        assert added.discarded is None
        assert added.ids == orthanc_ids("P", "1.1", "1.1.1", "1.1.1.1")
        assert blobs(index) == {new.blob}

    @pytest.mark.parametrize("overwrite", Overwrite)
    def test_the_same_bytes_again(self, index: Index, overwrite: Overwrite) -> None:
        data = make_instance(**IDS)
        first, second = new_instance(data), new_instance(data)
        index.add([first])
        (added,) = index.add([second], overwrite=overwrite)
        replaced = overwrite is Overwrite.ALWAYS
        assert added.outcome is (Outcome.REPLACED if replaced else Outcome.KEPT)
        assert added.discarded == (first if replaced else second).blob
        assert blobs(index) == {(second if replaced else first).blob}

    @pytest.mark.parametrize("overwrite", Overwrite)
    def test_other_bytes_of_the_same_instance(self, index: Index, overwrite: Overwrite) -> None:
        first, second = one(Rows=1), one(Rows=2)
        index.add([first])
        (added,) = index.add([second], overwrite=overwrite)
        kept = overwrite is Overwrite.NEVER
        assert added.outcome is (Outcome.KEPT if kept else Outcome.REPLACED)
        assert added.discarded == (second if kept else first).blob
        rows = answer(index, QueryLevel.INSTANCE)["00280010"]["Value"]
        assert rows == [1 if kept else 2]
        assert index.statistics().instances == 1

    def test_a_replaced_instance_is_described_anew(self, index: Index) -> None:
        first = new_instance(make_instance(**IDS, transfer_syntax=EXPLICIT))
        second = new_instance(make_instance(**IDS, transfer_syntax=IMPLICIT, pixels=bytes(500)))
        index.add([first])
        index.add([second], overwrite=Overwrite.ALWAYS)
        (record,) = index.instances(INSTANCE, EVERYTHING)
        assert (record.blob, record.size) == (second.blob, second.size)
        assert record.transfer_syntax == IMPLICIT
        details = index.details(record.row)
        assert details is not None
        assert details.header == second.parsed.header
        assert details.pixel_data is not None
        assert index.statistics().size == second.size

    @pytest.mark.parametrize("together", [False, True])
    @pytest.mark.parametrize("backwards", [False, True])
    def test_a_study_is_described_by_its_first_instance(
        self, index: Index, backwards: bool, together: bool
    ) -> None:
        uids = [(f"1.1.{n}", f"1.1.{n}.{i}") for n in (1, 2) for i in (1, 2)]

        def study(word: str) -> list[NewInstance]:
            return [
                one(
                    SeriesInstanceUID=series,
                    SOPInstanceUID=sop,
                    AccessionNumber=f"{word} {sop}",
                    SeriesDescription=f"{word} {sop}",
                    Modality="CT" if word == "old" else "MR",
                )
                for series, sop in uids
            ]

        def told(level: QueryLevel) -> list[tuple[Any, ...]]:
            found = [json.loads(m.answer.replace(b"\x1f", b"")) for m in self._all(index, level)]
            tags = ("00080050", "0008103E", "00080061", "00080060")
            return sorted(tuple(str(each.get(tag)) for tag in tags) for each in found)

        index.add(study("old"))
        corrected = study("new")[:: -1 if backwards else 1]
        for batch in [corrected] if together else [[each] for each in corrected]:
            index.add(batch, overwrite=Overwrite.ALWAYS)
        after = {level: told(level) for level in QueryLevel}
        assert index.verify() == []
        (match,) = self._all(index, QueryLevel.STUDY)
        assert b"new 1.1.1.1" in match.answer
        assert b"old" not in b"".join(m.answer for lv in QueryLevel for m in self._all(index, lv))
        wanted = condition("AccessionNumber", "new*", QueryLevel.STUDY, case_sensitive=True)
        assert len(index.search(Query(QueryLevel.STUDY, (wanted,)), EVERYTHING)) == 1
        index.delete(STUDY, EVERYTHING)
        index.add(study("new"))
        assert {level: told(level) for level in QueryLevel} == after

    @staticmethod
    def _all(index: Index, level: QueryLevel) -> list[Any]:
        return index.search(Query(level), EVERYTHING)

    @pytest.mark.parametrize("overwrite", Overwrite)
    def test_duplicates_in_one_batch(self, index: Index, overwrite: Overwrite) -> None:
        news = [one(Rows=1), one(Rows=2), one(Rows=2)]
        added = index.add(news, overwrite=overwrite)
        assert added[0].outcome is Outcome.STORED
        kept = [new for new, result in zip(news, added, strict=True) if result.discarded is None]
        discarded = {result.discarded for result in added} - {None}
        assert len(discarded) == 2
        assert blobs(index) == {new.blob for new in news} - discarded
        assert len(kept) == 1
        expected = 1 if overwrite is Overwrite.NEVER else 2
        assert answer(index, QueryLevel.INSTANCE)["00280010"]["Value"] == [expected]
        assert index.statistics().instances == 1

    def test_a_batch_that_fails_leaves_nothing(self, index: Index) -> None:
        nothing: Any = None
        broken = replace(one(), parsed=nothing)
        with pytest.raises((AttributeError, TypeError)):
            index.add([new_instance(), broken])
        assert index.statistics().instances == 0
        assert index.statistics().patients == 0
        assert index.changes() == []
        assert blobs(index) == set()
        assert index.add([new_instance()])[0].outcome is Outcome.STORED

    def test_text_that_is_hard_to_keep(self, index: Index) -> None:
        values = ["a\0b", "'; DROP TABLE studies; --", "🫀\u202e", "x" * 70_000]
        for number, text in enumerate(values):
            new = one(StudyInstanceUID=f"1.{number + 2}")
            attributes = new.parsed.attributes | {"00081030": {"vr": "LO", "Value": [text]}}
            index.add([replace(new, parsed=replace(new.parsed, attributes=attributes))])
        assert index.statistics().studies == len(values)

    def test_numbers_that_are_out_of_range(self, index: Index) -> None:
        new = one()
        attributes = new.parsed.attributes | {"00200013": {"vr": "IS", "Value": [2**64 - 1]}}
        index.add([replace(new, parsed=replace(new.parsed, attributes=attributes))])
        assert index.statistics().instances == 1

    # --- parents ---------------------------------------------------------------------------

    def test_counts_and_modalities_are_kept(self, index: Index) -> None:
        for modality, series in (("CT", "1"), ("MR", "2"), ("CT", "3"), ("", "4")):
            index.add(
                [
                    one(
                        Modality=modality,
                        SeriesInstanceUID=f"1.1.{series}",
                        SOPInstanceUID=f"1.1.{series}.{number}",
                    )
                    for number in range(2)
                ]
            )
        study = answer(index)
        assert study["00080061"]["Value"] == ["CT", "MR"]
        assert study["00201206"]["Value"] == [4]
        assert study["00201208"]["Value"] == [8]
        index.delete(Resource("1.1", "1.1.2"), EVERYTHING)
        study = answer(index)
        assert study["00080061"]["Value"] == ["CT"]
        assert (study["00201206"]["Value"], study["00201208"]["Value"]) == ([3], [6])

    def test_a_replaced_instance_of_another_kind(self, index: Index) -> None:
        kinds = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"}
        others = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4", "Modality": "MR"}
        second = {"SeriesInstanceUID": "1.1.2", "SOPInstanceUID": "1.1.2.1"}
        index.add([one(**kinds), one(**second, **others)])
        index.add([one(**second, **kinds)], overwrite=Overwrite.ALWAYS)
        (study,) = index.search(Query(QueryLevel.STUDY), EVERYTHING, attributes=True)
        assert answer(index)["00080061"]["Value"] == ["CT"]
        texts = b"".join((study.answer, *study.attributes))
        assert b"5.1.4.1.1.2" in texts
        assert b"5.1.4.1.1.4" not in texts
        index.add([one(**second, **others)], overwrite=Overwrite.ALWAYS)
        assert answer(index)["00080061"]["Value"] == ["CT", "MR"]
        assert index.verify() == []

    def test_a_parent_keeps_the_values_of_its_first_instance(self, index: Index) -> None:
        first = one(StudyDescription="first", SeriesDescription="first", PatientName="First")
        other = {"StudyDescription": "x", "SeriesDescription": "x", "PatientName": "X"}
        index.add([first, one(SOPInstanceUID="1.1.1.2", **other)])
        index.add([one(SOPInstanceUID="1.1.1.3", **other)])
        index.add([one(SOPInstanceUID="1.1.1.2", **other)], overwrite=Overwrite.ALWAYS)
        (study,) = index.search(Query(QueryLevel.STUDY), EVERYTHING, attributes=True)
        texts = b"".join((study.answer, *study.attributes))
        assert b"first" in texts
        assert answer(index)["00100010"]["Value"] == [{"Alphabetic": "First"}]
        assert answer(index, QueryLevel.SERIES)["0008103E"]["Value"] == ["first"]

    def test_one_study_uid_under_two_patients(self, index: Index) -> None:
        index.add([one(PatientID="A"), one(PatientID="B")])
        assert index.statistics().studies == 2
        matches = index.search(Query(QueryLevel.STUDY), EVERYTHING)
        texts = [json.loads(m.answer.replace(b"\x1f", b"")) for m in matches]
        assert sorted(t["00100020"]["Value"][0] for t in texts) == ["A", "B"]
        assert len(list(index.instances(INSTANCE, EVERYTHING))) == 2
        assert len(list(index.headers(STUDY, EVERYTHING))) == 2
        assert index.version(STUDY, EVERYTHING) is not None
        assert len(index.delete(STUDY, EVERYTHING)) == 2
        assert index.statistics().patients == 0

    # --- versions --------------------------------------------------------------------------

    @pytest.mark.parametrize("resource", [STUDY, Resource("1.1", "1.1.1"), INSTANCE])
    def test_a_version_never_comes_back(self, index: Index, resource: Resource) -> None:
        seen = [index.version(resource, EVERYTHING)]
        for _ in range(3):
            index.add([one()])
            seen.append(index.version(resource, EVERYTHING))
            index.add([one(Rows=2)], overwrite=Overwrite.ALWAYS)
            seen.append(index.version(resource, EVERYTHING))
            index.delete(resource, EVERYTHING)
            assert index.version(resource, EVERYTHING) is None
        versions = seen[1:]
        assert seen[0] is None
        assert None not in versions
        assert len(set(versions)) == len(versions)

    def test_a_parent_changes_with_each_child(self, index: Index) -> None:
        versions = []
        for number in range(3):
            index.add([one(SOPInstanceUID=f"1.1.1.{number}")])
            versions += [index.version(r, EVERYTHING) for r in (STUDY, Resource("1.1", "1.1.1"))]
        index.delete(Resource("1.1", "1.1.1", "1.1.1.0"), EVERYTHING)
        versions += [index.version(r, EVERYTHING) for r in (STUDY, Resource("1.1", "1.1.1"))]
        of_study, of_series = versions[::2], versions[1::2]
        assert len(set(of_study)) == len(set(of_series)) == 4

    def test_what_is_kept_changes_nothing(self, index: Index) -> None:
        index.add([one()])
        before, log = index.version(STUDY, EVERYTHING), index.changes()
        index.add([one(Rows=3)])
        assert index.version(STUDY, EVERYTHING) == before
        assert index.changes() == log

    # --- deleting --------------------------------------------------------------------------

    def test_deleting_gives_back_the_blobs(self, index: Index) -> None:
        news = [new_instance(data) for data in make_study(series=2, instances=3)]
        other = one()
        index.add([*news, other])
        uid, series = news[0].parsed.study_uid, news[0].parsed.series_uid
        last = Resource(uid, series, news[0].parsed.sop_uid)
        assert set(index.delete(last, EVERYTHING)) == {news[0].blob}
        found = index.delete(Resource(uid, series), EVERYTHING)
        assert set(found) == {n.blob for n in news[1:3]}
        assert set(index.delete(Resource(uid), EVERYTHING)) == {n.blob for n in news[3:]}
        assert index.delete(Resource(uid), EVERYTHING) == []
        assert blobs(index) == {other.blob}
        statistics = index.statistics()
        assert (statistics.studies, statistics.series, statistics.instances) == (1, 1, 1)

    def test_parents_that_become_empty_go(self, index: Index) -> None:
        index.add([one()])
        index.delete(INSTANCE, EVERYTHING)
        statistics = index.statistics()
        assert (statistics.patients, statistics.studies, statistics.series) == (0, 0, 0)
        assert statistics.size == 0
        for level in (QueryLevel.STUDY, QueryLevel.SERIES, QueryLevel.INSTANCE):
            assert index.search(Query(level), EVERYTHING) == []

    def test_who_may_nothing_deletes_nothing(self, index: Index) -> None:
        index.add([one()])
        assert index.delete(STUDY, NOTHING) == []
        assert index.statistics().instances == 1

    @pytest.mark.parametrize(
        "resource",
        [
            Resource("1"),
            Resource("1.1", "1"),
            Resource("1.1", "1.1.1", "1"),
            Resource("1", "1.1.1", "1.1.1.1"),
            Resource("1.1", "1", "1.1.1.1"),
            Resource("%"),
            Resource(""),
        ],
    )
    def test_all_uids_of_a_path_count(self, index: Index, resource: Resource) -> None:
        index.add([one()])
        assert index.delete(resource, EVERYTHING) == []
        assert list(index.instances(resource, EVERYTHING)) == []
        assert index.version(resource, EVERYTHING) is None
        assert index.transfer_syntaxes(resource, EVERYTHING) == frozenset()

    # --- the log of changes ----------------------------------------------------------------

    def test_the_log_tells_what_is_new(self, index: Index) -> None:
        (added,) = index.add([one()])
        log = index.changes()
        assert [(c.kind, c.level, c.orthanc_id) for c in log[-1:]] == [
            ("NewInstance", "Instance", added.ids.instance)
        ]
        assert {c.orthanc_id for c in log} == set(added.ids)
        assert [c.seq for c in log] == sorted({c.seq for c in log})

    def test_the_log_tells_what_was_deleted(self, index: Index) -> None:
        (added,) = index.add([one()])
        last = index.changes()[-1].seq
        index.delete(STUDY, EVERYTHING)
        assert {c.orthanc_id for c in index.changes(after=last)} >= set(added.ids[1:])

    def test_the_log_is_read_in_pages(self, index: Index) -> None:
        for _ in range(5):
            index.add([new_instance(make_instance(PatientID=new_uid()))])
        whole = index.changes(limit=1000)
        paged, after = [], 0
        while page := index.changes(after=after, limit=3):
            paged += page
            after = page[-1].seq
        assert paged == whole
        assert len(whole) == 20

    # --- reindexing ------------------------------------------------------------------------

    def test_reindexing_describes_known_blobs_anew(self, index: Index) -> None:
        new = one(Rows=1)
        index.add([new])
        again = replace(new, parsed=one(Rows=2).parsed)
        assert index.reindex([again]) == 1
        assert answer(index, QueryLevel.INSTANCE)["00280010"]["Value"] == [2]
        assert blobs(index) == {new.blob}
        assert index.statistics().instances == 1

    def test_reindexing_adds_unknown_blobs(self, index: Index) -> None:
        new = one()
        assert index.reindex([new]) == 1
        assert blobs(index) == {new.blob}

    def test_deleted_blobs_stay_deleted(self, index: Index) -> None:
        new = one()
        index.add([new])
        index.delete(STUDY, EVERYTHING)
        assert index.reindex([new]) == 0
        assert index.statistics().instances == 0
        assert index.add([replace(new, blob=BlobRef("default", new_uid()))])[0].outcome is (
            Outcome.STORED
        )

    def test_the_same_key_in_another_storage_is_another_blob(self, index: Index) -> None:
        here = one()
        there = replace(here, blob=BlobRef("archive", here.blob.key))
        index.add([here])
        assert index.knows([here.blob, there.blob]) == {here.blob}
        index.delete(STUDY, EVERYTHING)
        assert index.reindex([there]) == 1

    # --- whole patients --------------------------------------------------------------------

    def test_patients_come_by_when_they_were_last_stored_to(self, index: Index) -> None:
        for number, patient in enumerate("ABCA"):
            index.add([one(PatientID=patient, SOPInstanceUID=f"1.{number}")])
        found = list(index.patients())
        assert [record.patient_id for record in found] == ["B", "C", "A"]
        assert sum(record.size for record in found) == index.statistics().size
        assert [index.patient(record.orthanc_id) for record in found] == found
        assert index.patient(orthanc_ids("D", "", "", "").patient) is None

    def test_a_patient_is_deleted_wholly(self, index: Index) -> None:
        index.add([one(PatientID="A"), one(PatientID="B"), one(PatientID="A", SOPInstanceUID="2")])
        first, second = index.patients()
        uids = {record.patient_id: index.studies_of(record) for record in (first, second)}
        assert uids == {"A": ["1.1"], "B": ["1.1"]}
        gone = index.delete_patient(first)
        assert index.studies_of(first) == []
        assert len(gone) == (2 if first.patient_id == "A" else 1)
        assert list(index.patients()) == [second]
        assert not set(gone) & blobs(index)
        assert index.delete_patient(first) == []
        assert index.changes(limit=1000)[-1].kind == "DeletedPatient"

    def test_a_patient_that_changed_is_not_deleted(self, index: Index) -> None:
        index.add([one()])
        (record,) = index.patients()
        index.add([one(SOPInstanceUID="1.1.1.2")])
        assert index.delete_patient(record) == []
        assert index.statistics().instances == 2

    # --- other blobs -----------------------------------------------------------------------

    def test_an_instance_can_lie_elsewhere(self, index: Index) -> None:
        news = [one(SOPInstanceUID=f"1.{number}") for number in range(3)]
        index.add(news)
        version, log = index.version(STUDY, EVERYTHING), index.changes()
        elsewhere = [BlobRef("other", f"key{number}") for number in range(3)]
        unknown = BlobRef("default", "nothing")
        moves = [(news[0].blob, elsewhere[0]), (unknown, elsewhere[1])]
        assert index.relocate(moves) == {news[0].blob}
        assert blobs(index) == {elsewhere[0], news[1].blob, news[2].blob}
        assert index.relocate(moves) == set()
        assert index.storages() == {"default", "other"}
        assert index.changes() == log
        assert index.version(STUDY, EVERYTHING) == version

    def test_blobs_can_be_chosen(self, index: Index) -> None:
        old = replace(one(), received=datetime(2020, 1, 1))
        new = one(StudyInstanceUID="1.2", SOPInstanceUID="1.2.1")
        index.add([old, new])
        index.relocate([(new.blob, BlobRef("other", "key"))])

        def chosen(**wanted: Any) -> set[str]:
            return {entry.ref.key for entry in index.blobs(**wanted)}

        limit = datetime(2020, 1, 1, 0, 0, 1, tzinfo=UTC)
        assert chosen(storage="other") == {"key"}
        assert chosen(storage="default") == {old.blob.key}
        assert chosen(received_before=limit) == {old.blob.key}
        assert chosen(received_before=datetime(2020, 1, 1, tzinfo=UTC)) == set()
        assert chosen(study="1.2") == {"key"}
        assert chosen(study="1.2", storage="default") == set()

    def test_blobs_go_on_while_they_are_relocated(self, index: Index) -> None:
        index.add([one(SOPInstanceUID=f"1.{number}") for number in range(10)])
        seen = 0
        for entry in index.blobs(storage="default"):
            index.relocate([(entry.ref, BlobRef("other", entry.ref.key))])
            seen += 1
        assert seen == 10
        assert list(index.blobs(storage="default")) == []
