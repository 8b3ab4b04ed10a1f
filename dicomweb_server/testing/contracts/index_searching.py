"""How every `Index` must search."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pydicom import Dataset

from dicomweb_server.interfaces.auth import EVERYTHING, NOTHING
from dicomweb_server.interfaces.index import Index
from dicomweb_server.ps318.attributes import MAIN
from dicomweb_server.ps318.query import Query, QueryLevel, all_match
from dicomweb_server.testing.contracts.index_archive import (
    KEYS,
    LEVELS,
    UID_TAG,
    condition,
    expected,
    fill,
    found_uids,
    headers,
    value_of,
)
from dicomweb_server.testing.dicom import make_instance
from dicomweb_server.testing.instances import new_instance

PATHS = (
    ({"Modality": "CT", "SeriesNumber": "1"}, True),
    ({"Modality": "CT", "SeriesNumber": "12"}, False),
    ({"Rows": "16", "InstanceNumber": "2"}, True),
    ({"Rows": "16", "InstanceNumber": "1"}, False),
    ({"SeriesInstanceUID": "1.2.1.2", "SOPInstanceUID": "1.2.1.2.1"}, True),
    ({"SeriesInstanceUID": "1.2.1.2", "SOPInstanceUID": "1.2.1.1.1"}, False),
    ({"StudyInstanceUID": "1.2.1", "Modality": "MR", "Rows": "16"}, True),
    ({"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.2.1"}, False),
)
"""Keys, and whether one path through the small archive fulfils them."""


class IndexSearching:
    """Needs the fixture `index`."""

    @pytest.fixture
    def archive(self, index: Index) -> Index:
        """The index with a small archive."""
        fill(index)
        return index

    @pytest.mark.parametrize("level", LEVELS)
    @pytest.mark.parametrize("case_sensitive", [True, False])
    def test_every_kind_of_condition_finds_what_the_predicate_accepts(
        self, archive: Index, level: QueryLevel, case_sensitive: bool
    ) -> None:
        known = headers(archive)
        answered = 0
        for keyword, value in KEYS:
            one = condition(keyword, value, level, case_sensitive=case_sensitive)
            if not archive.answers(one, level):
                continue
            answered += 1
            found = found_uids(archive, Query(level, (one,)))
            assert len(found) == len(set(found)), (keyword, value)
            assert set(found) == expected(known, [one], level), (keyword, value)
        assert answered, "an index that answers nothing makes every search read all headers"

    @pytest.mark.parametrize("level", LEVELS)
    def test_all_conditions_must_hold(self, archive: Index, level: QueryLevel) -> None:
        known = headers(archive)
        pairs = [("PatientID", "P*"), ("StudyDate", "20210101-"), ("StudyInstanceUID", "1.2.3")]
        conditions = [condition(*pair, level, case_sensitive=True) for pair in pairs]
        usable = tuple(c for c in conditions if archive.answers(c, level))
        found = found_uids(archive, Query(level, usable))
        assert set(found) == expected(known, usable, level)

    @pytest.mark.parametrize("level", LEVELS)
    def test_pages_join_to_the_whole_in_a_stable_order(
        self, archive: Index, level: QueryLevel
    ) -> None:
        whole = found_uids(archive, Query(level))
        assert whole == found_uids(archive, Query(level))
        size = 3
        paged: list[str] = []
        for offset in range(0, len(whole) + size, size):
            paged += found_uids(archive, Query(level, limit=size, offset=offset))
        assert paged == whole
        assert found_uids(archive, Query(level, limit=0)) == []
        assert found_uids(archive, Query(level, offset=len(whole) + 5)) == []

    def test_a_page_is_of_the_matches(self, archive: Index) -> None:
        one = condition("Modality", "MR", QueryLevel.SERIES, case_sensitive=True)
        if not archive.answers(one, QueryLevel.SERIES):
            pytest.skip("this index does not answer conditions on Modality")
        whole = found_uids(archive, Query(QueryLevel.SERIES, (one,)))
        page = Query(QueryLevel.SERIES, (one,), limit=2, offset=2)
        assert found_uids(archive, page) == whole[2:4]

    def test_what_was_added_last_does_not_reorder_what_was_there(self, archive: Index) -> None:
        before = found_uids(archive, Query(QueryLevel.STUDY))
        archive.add([new_instance(make_instance(StudyInstanceUID="1.2.0"))])
        after = found_uids(archive, Query(QueryLevel.STUDY))
        assert [uid for uid in after if uid != "1.2.0"] == before

    @pytest.mark.parametrize("level", LEVELS)
    def test_the_answer_is_json_with_the_placeholder(
        self, archive: Index, level: QueryLevel
    ) -> None:
        for match in archive.search(Query(level), EVERYTHING, attributes=True):
            answer = json.loads(match.answer.replace(b"\x1f", b"http://base/"))
            url = value_of(answer, "00081190")
            assert url.startswith("http://base/studies/")
            assert value_of(answer, UID_TAG[level]) in url
            assert value_of(answer, "0020000D").startswith("1.2.")
            assert all(isinstance(json.loads(text), dict) for text in match.attributes)

    @pytest.mark.parametrize("level", LEVELS)
    def test_a_scan_gives_every_header_below_each_match(
        self, archive: Index, level: QueryLevel
    ) -> None:
        below = {QueryLevel.STUDY: 4, QueryLevel.SERIES: 2, QueryLevel.INSTANCE: 1}[level]
        order: list[int] = []
        counts: dict[int, int] = {}
        for match, text in archive.scan(Query(level), EVERYTHING):
            uid = value_of(json.loads(match.answer.replace(b"\x1f", b"")), UID_TAG[level])
            header = json.loads(text.replace(b"\x1f", b""))
            assert value_of(header, UID_TAG[level]) == uid
            if not order or order[-1] != match.row:
                order.append(match.row)
            counts[match.row] = counts.get(match.row, 0) + 1
        assert set(counts.values()) == {below}
        assert order == [match.row for match in archive.search(Query(level), EVERYTHING)]

    @pytest.mark.parametrize("level", LEVELS)
    def test_a_scan_loses_no_match_whose_item_fulfils_two_conditions(
        self, index: Index, level: QueryLevel
    ) -> None:
        items = [Dataset(), Dataset()]
        for item, step, procedure in zip(items, "AC", "BD", strict=True):
            item.ScheduledProcedureStepID, item.RequestedProcedureID = step, procedure
        data = make_instance(StudyInstanceUID="1.2.6", RequestAttributesSequence=items)
        index.add([new_instance(data), new_instance(make_instance())])
        pairs = [("00400275.00400009", "C"), ("00400275.00401001", "D")]
        both = [condition(*pair, level, case_sensitive=True) for pair in pairs]
        usable = tuple(c for c in both if index.answers(c, level))
        scanned = index.scan(Query(level, usable), EVERYTHING)
        headers_of = [json.loads(text.replace(b"\x1f", b"")) for _, text in scanned]
        found = [value_of(each, "0020000D") for each in headers_of if all_match(both, each)]
        assert found == ["1.2.6"]

    def test_a_scan_heeds_conditions(self, archive: Index) -> None:
        one = condition("StudyInstanceUID", "1.2.3", QueryLevel.STUDY, case_sensitive=True)
        query = Query(QueryLevel.STUDY, (one,) if archive.answers(one, QueryLevel.STUDY) else ())
        found = {match.row for match, _ in archive.scan(query, EVERYTHING)}
        assert found == {match.row for match in archive.search(query, EVERYTHING)}

    @pytest.mark.parametrize("level", LEVELS)
    def test_the_representative_is_the_same_every_time(
        self, archive: Index, level: QueryLevel
    ) -> None:
        for match in archive.search(Query(level), EVERYTHING):
            first, second = (
                archive.representative(level, match.row, scope=EVERYTHING) for _ in range(2)
            )
            assert first == second
            header = json.loads(first.replace(b"\x1f", b""))
            answer = json.loads(match.answer.replace(b"\x1f", b""))
            assert value_of(header, UID_TAG[level]) == value_of(answer, UID_TAG[level])

    def test_the_representative_fulfils_what_is_asked_of_children(self, archive: Index) -> None:
        one = condition("Rows", "16", QueryLevel.STUDY, case_sensitive=True)
        if not archive.answers(one, QueryLevel.STUDY):
            pytest.skip("this index does not answer Rows")
        for match in archive.search(Query(QueryLevel.STUDY, (one,)), EVERYTHING):
            text = archive.representative(QueryLevel.STUDY, match.row, (one,), scope=EVERYTHING)
            assert one.matches(json.loads(text.replace(b"\x1f", b"")))

    @pytest.mark.parametrize("level", LEVELS)
    def test_representatives_of_many(self, archive: Index, level: QueryLevel) -> None:
        one = condition("Rows", "16", level, case_sensitive=True)
        asked = (one,) if archive.answers(one, level) else ()
        rows = [match.row for match in archive.search(Query(level, asked), EVERYTHING)]
        found = archive.representatives(level, rows, asked, scope=EVERYTHING)
        assert set(found) == set(rows)
        for row in rows:
            assert found[row] == archive.representative(level, row, asked, scope=EVERYTHING)
        assert archive.representatives(level, [], asked, scope=EVERYTHING) == {}

    @pytest.mark.parametrize(("keys", "there"), PATHS)
    def test_conditions_on_lower_levels_hold_on_one_path(
        self, archive: Index, keys: dict[str, str], there: bool
    ) -> None:
        """PS3.4, C.2.2.1.2: a study, one of its series, and one instance of that."""
        for level in (QueryLevel.PATIENT, *LEVELS):
            conditions = tuple(
                condition(*pair, level, case_sensitive=True) for pair in keys.items()
            )
            if not all(archive.answers(each, level) for each in conditions):
                continue
            query = Query(level, conditions)
            assert bool(archive.search(query, EVERYTHING)) == there, (level, keys)
            assert bool(archive.count(query, EVERYTHING)) == there
            for _, header in archive.scan(query, EVERYTHING):
                attributes = json.loads(header.replace(b"\x1f", b""))
                below = [c for c in conditions if c.tag not in MAIN[QueryLevel.STUDY]]
                assert all_match(below, attributes)

    @pytest.mark.parametrize("level", LEVELS)
    def test_who_may_see_nothing_finds_nothing(self, archive: Index, level: QueryLevel) -> None:
        assert archive.search(Query(level), NOTHING) == []
        assert list(archive.scan(Query(level), NOTHING)) == []

    def test_a_search_by_many_uids(self, archive: Index) -> None:
        many = ",".join(f"9.9.{n}" for n in range(900))
        one = condition("StudyInstanceUID", f"{many},1.2.3", QueryLevel.STUDY, case_sensitive=True)
        if not archive.answers(one, QueryLevel.STUDY):
            pytest.skip("this index does not answer lists of UIDs")
        query = Query(QueryLevel.STUDY, (one,))
        assert found_uids(archive, query) == ["1.2.3"]
        assert found_uids(archive, replace(query, offset=1)) == []
