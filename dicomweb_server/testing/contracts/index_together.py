"""How every `Index` must bear many threads."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from typing import Any

from dicomweb_server.interfaces.auth import EVERYTHING
from dicomweb_server.interfaces.index import Index, Outcome, Overwrite
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query import Query, QueryLevel
from dicomweb_server.testing.dicom import make_instance, new_uid
from dicomweb_server.testing.instances import new_instance
from dicomweb_server.testing.threads import together

THREADS = 8


class IndexTogether:
    """Needs the fixture `index`."""

    def test_threads_add_to_one_study(self, index: Index) -> None:
        def add(thread: int) -> None:
            for batch in range(4):
                shared: dict[str, Any] = {
                    "StudyInstanceUID": "1.1",
                    "SeriesInstanceUID": f"1.1.{batch}",
                    "Modality": f"M{batch}",
                }
                added = index.add([new_instance(make_instance(**shared)) for _ in range(3)])
                assert {result.outcome for result in added} == {Outcome.STORED}

        together(add, range(THREADS))
        found = index.statistics()
        assert (found.patients, found.studies, found.series) == (1, 1, 4)
        assert found.instances == THREADS * 12
        assert len(list(index.headers(Resource("1.1"), EVERYTHING))) == THREADS * 12

    def test_threads_add_different_studies(self, index: Index) -> None:
        def add(thread: int) -> None:
            for number in range(5):
                attributes: dict[str, Any] = {
                    "PatientID": f"P{thread}",
                    "StudyInstanceUID": f"1.{thread}.{number}",
                }
                index.add([new_instance(make_instance(**attributes)) for _ in range(2)])

        together(add, range(THREADS))
        found = index.statistics()
        assert (found.patients, found.studies) == (THREADS, THREADS * 5)
        assert found.instances == THREADS * 10
        assert len(index.search(Query(QueryLevel.STUDY), EVERYTHING)) == THREADS * 5

    def test_of_threads_that_add_the_same_instance_one_stores_it(self, index: Index) -> None:
        data = make_instance()
        news = [new_instance(data) for _ in range(THREADS)]
        results = together(lambda new: index.add([new])[0], news)
        outcomes = Counter(result.outcome for result in results)
        assert outcomes == {Outcome.STORED: 1, Outcome.KEPT: THREADS - 1}
        discarded = {result.discarded for result in results} - {None}
        assert {entry.ref for entry in index.blobs()} == {new.blob for new in news} - discarded

    def test_of_threads_that_replace_one_instance_each_blob_is_accounted_for(
        self, index: Index
    ) -> None:
        data = make_instance()
        news = [new_instance(data) for _ in range(THREADS)]
        results = together(lambda new: index.add([new], overwrite=Overwrite.ALWAYS)[0], news)
        discarded = [result.discarded for result in results if result.discarded is not None]
        assert len(discarded) == len(set(discarded)) == THREADS - 1
        (kept,) = index.blobs()
        assert {kept.ref, *discarded} == {new.blob for new in news}

    def test_a_batch_that_fails_does_not_fail_those_beside_it(self, index: Index) -> None:
        def add(thread: int) -> bool:
            new: Any = new_instance()
            if thread == 3:
                new = replace(new, parsed=None)
            try:
                index.add([new])
            except (AttributeError, TypeError):
                return False
            return True

        done = together(add, range(THREADS))
        assert [n for n, stored in enumerate(done) if not stored] == [3]
        assert index.statistics().instances == THREADS - 1

    def test_adding_deleting_and_reading_at_once(self, index: Index) -> None:
        uid = new_uid()
        resource = Resource(uid)

        def work(thread: int) -> None:
            for _ in range(8):
                if thread % 4 == 0:
                    index.delete(resource, EVERYTHING)
                elif thread % 4 == 1:
                    for match in index.search(Query(QueryLevel.STUDY), EVERYTHING):
                        assert match.answer
                    list(index.headers(resource, EVERYTHING))
                else:
                    index.add([new_instance(make_instance(StudyInstanceUID=uid))])

        together(work, range(THREADS))
        left = len(list(index.instances(resource, EVERYTHING)))
        assert index.statistics().instances == left

    def test_a_cursor_of_the_log_misses_nothing(self, index: Index) -> None:
        seen: list[str] = []

        def work(thread: int) -> set[str]:
            if thread:
                added = [index.add([new_instance(), new_instance()]) for _ in range(5)]
                return {result.ids.instance for batch in added for result in batch}
            after = 0
            while sum(kind == "NewInstance" for kind in seen) < (THREADS - 1) * 10:
                for change in index.changes(after=after, limit=10):
                    assert change.seq > after
                    after = change.seq
                    seen.append(change.kind)
            return set()

        stored = set().union(*together(work, range(THREADS)))
        assert len(stored) == (THREADS - 1) * 10
        assert seen.count("NewInstance") == len(stored)

    def test_what_the_log_tells_is_there(self, index: Index) -> None:
        def work(thread: int) -> None:
            if thread:
                for _ in range(5):
                    index.add([new_instance()])
                return
            after = told = 0
            while told < 15:
                for change in index.changes(after=after):
                    after = change.seq
                    told += change.kind == "NewInstance"
                assert index.statistics().instances >= told

        together(work, range(4))

    def test_it_works_on_both_sides_of_a_fork(self, index: Index) -> None:
        index.add([new_instance()])
        pid = os.fork()
        if pid == 0:
            try:
                index.add([new_instance()])
                os._exit(0)
            except BaseException:
                os._exit(1)
        index.add([new_instance()])
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert index.statistics().instances == 3
