"""How every `Index` must tell what it holds."""

from __future__ import annotations

import itertools

import pytest

from dicomweb_server.dicom import PixelData
from dicomweb_server.interfaces.auth import EVERYTHING, NOTHING
from dicomweb_server.interfaces.index import BlobEntry, BlobRef, Index, Statistics
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.testing.dicom import DEFLATED, EXPLICIT, IMPLICIT, make_instance, make_study
from dicomweb_server.testing.instances import new_instance


class IndexReading:
    """Needs the fixture `index`."""

    def test_a_record_has_what_retrieval_needs(self, index: Index) -> None:
        new = new_instance(make_instance(transfer_syntax=DEFLATED))
        index.add([new])
        parsed = new.parsed
        resource = Resource(parsed.study_uid, parsed.series_uid, parsed.sop_uid)
        (record,) = index.instances(resource, EVERYTHING)
        assert record.study_uid == parsed.study_uid
        assert record.series_uid == parsed.series_uid
        assert record.sop_uid == parsed.sop_uid
        assert record.sop_class_uid == parsed.sop_class_uid
        assert record.transfer_syntax == DEFLATED
        assert record.deflated is True
        assert (record.blob, record.size) == (new.blob, new.size)

    def test_instances_come_by_series_number_and_arrival(self, index: Index) -> None:
        news = [new_instance(data) for data in make_study(series=2, instances=3)]
        uid, series = news[0].parsed.study_uid, news[0].parsed.series_uid
        more = [
            new_instance(
                make_instance(StudyInstanceUID=uid, SeriesInstanceUID=series, InstanceNumber=n)
            )
            for n in (2, None, -1)
        ]
        for new in [news[5], news[1], news[0], news[4], *more, news[2], news[3]]:
            index.add([new])
        ordered = [r.sop_uid for r in index.instances(Resource(uid, series), EVERYTHING)]
        numbered = [more[2], news[0], news[1], more[0], news[2]]
        without = more[1].parsed.sop_uid
        assert [u for u in ordered if u != without] == [n.parsed.sop_uid for n in numbered]
        assert without in ordered
        of_study = [r.series_uid for r in index.instances(Resource(uid), EVERYTHING)]
        assert sum(a != b for a, b in itertools.pairwise(of_study)) == 1

    def test_headers_are_those_of_the_reader(self, index: Index) -> None:
        news = {n.parsed.sop_uid: n for n in map(new_instance, make_study())}
        index.add(list(news.values()))
        uid = next(iter(news.values())).parsed.study_uid
        found = list(index.headers(Resource(uid), EVERYTHING))
        assert len(found) == 6
        for record, header in found:
            assert header == news[record.sop_uid].parsed.header
        assert [r for r, _ in found] == list(index.instances(Resource(uid), EVERYTHING))

    def test_details_are_those_of_the_reader(self, index: Index) -> None:
        new = new_instance(make_instance(pixels=bytes(200)))
        index.add([new])
        (record,) = index.instances(Resource(new.parsed.study_uid), EVERYTHING)
        details = index.details(record.row)
        assert details is not None
        assert details.header == new.parsed.header
        assert index.pixel_data(record.row) == details.pixel_data
        assert details.located == tuple(
            (value.path, value.vr, value.offset, value.length) for value in new.parsed.located
        )
        assert details.pixel_data is not None
        assert PixelData.from_bytes(details.pixel_data) == new.parsed.pixel_data

    def test_details_of_what_was_deleted_are_none(self, index: Index) -> None:
        new = new_instance()
        index.add([new])
        resource = Resource(new.parsed.study_uid)
        (record,) = index.instances(resource, EVERYTHING)
        index.delete(resource, EVERYTHING)
        assert index.details(record.row) is None
        assert index.pixel_data(record.row) is None
        assert index.details(2**40) is None

    def test_transfer_syntaxes_are_those_of_the_instances(self, index: Index) -> None:
        first = new_instance(make_instance(transfer_syntax=IMPLICIT))
        uid = first.parsed.study_uid
        second = new_instance(make_instance(transfer_syntax=EXPLICIT, StudyInstanceUID=uid))
        index.add([first, second, new_instance(make_instance(transfer_syntax=DEFLATED))])
        assert index.transfer_syntaxes(Resource(uid), EVERYTHING) == {IMPLICIT, EXPLICIT}
        series = Resource(uid, second.parsed.series_uid)
        assert index.transfer_syntaxes(series, EVERYTHING) == {EXPLICIT}

    def test_pixel_data_are_counted_by_transfer_syntax(self, index: Index) -> None:
        first = new_instance(make_instance(transfer_syntax=IMPLICIT, pixels=b"1234"))
        uid = first.parsed.study_uid
        others = [
            new_instance(make_instance(transfer_syntax=syntax, pixels=pixels, StudyInstanceUID=uid))
            for syntax, pixels in ((IMPLICIT, None), (IMPLICIT, b"12"), (EXPLICIT, None))
        ]
        index.add([first, *others, new_instance(make_instance(pixels=b"1234"))])
        study = Resource(uid)
        counts = {IMPLICIT: (3, 2), EXPLICIT: (1, 0)}
        assert index.count_pixel_data(study, EVERYTHING) == counts
        one = Resource(uid, first.parsed.series_uid)
        assert index.count_pixel_data(one, EVERYTHING) == {IMPLICIT: (1, 1)}
        instance = Resource(uid, one.series, first.parsed.sop_uid)
        assert index.count_pixel_data(instance, EVERYTHING) == {IMPLICIT: (1, 1)}
        assert index.count_pixel_data(study, NOTHING) == {}

    def test_who_may_see_nothing_sees_nothing(self, index: Index) -> None:
        new = new_instance()
        index.add([new])
        resource = Resource(new.parsed.study_uid)
        assert list(index.instances(resource, NOTHING)) == []
        assert list(index.headers(resource, NOTHING)) == []
        assert index.version(resource, NOTHING) is None
        assert index.transfer_syntaxes(resource, NOTHING) == frozenset()

    def test_a_long_series_is_read_whole(self, index: Index) -> None:
        data = make_instance()
        uid, series = new_instance(data).parsed.study_uid, new_instance(data).parsed.series_uid
        news = [
            new_instance(
                make_instance(StudyInstanceUID=uid, SeriesInstanceUID=series, InstanceNumber=n // 3)
            )
            for n in range(450)
        ]
        index.add(news)
        found = [record.sop_uid for record in index.instances(Resource(uid), EVERYTHING)]
        assert found == [new.parsed.sop_uid for new in news]

    def test_what_is_deleted_while_it_is_read_does_no_harm(self, index: Index) -> None:
        news = [new_instance(data) for data in make_study(series=3, instances=2)]
        index.add(news)
        resource = Resource(news[0].parsed.study_uid)
        reading = index.headers(resource, EVERYTHING)
        next(reading)
        index.delete(resource, EVERYTHING)
        assert len(list(reading)) <= 5

    def test_statistics_count(self, index: Index) -> None:
        assert index.statistics() == Statistics(0, 0, 0, 0, 0)
        news = [new_instance(data) for data in make_study(series=2, instances=2)]
        news += [new_instance(make_instance(PatientID="another"))]
        index.add(news)
        size = sum(new.size for new in news)
        assert index.statistics() == Statistics(2, 2, 3, 5, size)

    def test_blobs_and_knows_agree(self, index: Index) -> None:
        news = [new_instance() for _ in range(5)]
        index.add(news)
        entries = {entry.ref: entry for entry in index.blobs()}
        assert entries == {n.blob: BlobEntry(n.blob, n.size, n.sha256) for n in news}
        assert index.storages() == {new.blob.storage for new in news}
        unknown = [BlobRef("default", "x"), BlobRef("x", news[0].blob.key)]
        assert index.knows([*unknown, *(n.blob for n in news)]) == {n.blob for n in news}
        assert index.knows([]) == set()

    def test_knowing_a_thousand_blobs(self, index: Index) -> None:
        new = new_instance()
        index.add([new])
        many = [BlobRef("default", str(n)) for n in range(1500)]
        assert index.knows([*many, new.blob]) == {new.blob}

    def test_migrating_again_does_nothing(self, index: Index) -> None:
        index.add([new_instance()])
        sentence = index.migrate()
        assert sentence
        assert index.statistics().instances == 1

    @pytest.mark.parametrize("repair", [False, True])
    def test_there_is_nothing_to_mend(self, index: Index, repair: bool) -> None:
        news = [new_instance(data) for data in make_study()]
        index.add(news)
        index.delete(Resource(news[0].parsed.study_uid, news[0].parsed.series_uid), EVERYTHING)
        assert index.verify(repair=repair) == []
        assert index.statistics().instances == 3
