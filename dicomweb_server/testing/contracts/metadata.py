"""What every `MetadataMode` must do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dicomweb_server.context import ServerContext
from dicomweb_server.interfaces.auth import EVERYTHING, NOTHING
from dicomweb_server.interfaces.index import Origin, Outcome
from dicomweb_server.interfaces.metadata import MetadataMode
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.testing.dicom import make_instance, make_study, new_uid, uids_of


def store(context: ServerContext, files: list[bytes]) -> None:
    """Take files in as the server does."""
    batch = context.services.ingest.batch(Origin("test"))
    for data in files:
        part = batch.part()
        part.write(data)
        part.finish()
    assert {result.outcome for result in batch.commit()} <= set(Outcome)


def fragments(mode: MetadataMode, resource: Resource) -> list[tuple[str, dict[str, Any]]]:
    """(SOPInstanceUID, JSON object) of what the mode yields."""
    found = mode.fragments(resource, EVERYTHING)
    return [(record.sop_uid, json.loads(text.replace(b"\x1f", b""))) for record, text in found]


class MetadataModeContract:
    """Give the fixture `mode`: from `dicomweb_context.providers.metadata_modes`."""

    @pytest.fixture
    def mode(self, dicomweb_context: ServerContext) -> MetadataMode:
        """The mode under test, bound to `dicomweb_context`."""
        raise NotImplementedError("override the fixture `mode`")

    @pytest.fixture
    def study(self, dicomweb_context: ServerContext) -> list[bytes]:
        """A stored study of two series with three instances each."""
        files = make_study(series=2, instances=3, Rows=2, PixelSpacing=["0.5", "0.5"])
        store(dicomweb_context, files)
        return files

    def test_every_instance_of_a_study_has_one_object(
        self, mode: MetadataMode, study: list[bytes]
    ) -> None:
        uid = uids_of(study[0])[0]
        found = fragments(mode, Resource(uid))
        assert sorted(sop for sop, _ in found) == sorted(uids_of(data)[2] for data in study)
        for sop, attributes in found:
            assert attributes["00080018"] == {"vr": "UI", "Value": [sop]}
            assert attributes["0020000D"] == {"vr": "UI", "Value": [uid]}
            assert all(len(tag) == 8 and "vr" in value for tag, value in attributes.items())

    def test_a_series_has_its_instances_only(self, mode: MetadataMode, study: list[bytes]) -> None:
        uid, series, _ = uids_of(study[-1])
        found = fragments(mode, Resource(uid, series))
        assert sorted(sop for sop, _ in found) == sorted(uids_of(data)[2] for data in study[3:])
        assert {a["0020000E"]["Value"][0] for _, a in found} == {series}

    def test_an_instance_has_one_object(self, mode: MetadataMode, study: list[bytes]) -> None:
        found = fragments(mode, Resource(*uids_of(study[2])))
        assert [sop for sop, _ in found] == [uids_of(study[2])[2]]

    def test_the_order_is_stable(self, mode: MetadataMode, study: list[bytes]) -> None:
        resource = Resource(uids_of(study[0])[0])
        assert fragments(mode, resource) == fragments(mode, resource)

    def test_nothing_is_yielded_for_what_is_not_there(
        self, mode: MetadataMode, study: list[bytes]
    ) -> None:
        uid, series, _ = uids_of(study[0])
        for missing in (
            Resource(new_uid()),
            Resource(uid, new_uid()),
            Resource(uid, series, new_uid()),
            Resource(new_uid(), series),
        ):
            assert fragments(mode, missing) == []

    def test_who_may_see_nothing_gets_nothing(self, mode: MetadataMode, study: list[bytes]) -> None:
        assert list(mode.fragments(Resource(uids_of(study[0])[0]), NOTHING)) == []

    def test_bulk_data_are_relative_to_the_placeholder(
        self, mode: MetadataMode, dicomweb_context: ServerContext
    ) -> None:
        data = make_instance(pixels=bytes(100))
        store(dicomweb_context, [data])
        for _, text in mode.fragments(Resource(*uids_of(data)), EVERYTHING):
            pixels = json.loads(text.replace(b"\x1f", b"base:")).get("7FE00010", {})
            assert pixels.get("BulkDataURI", "base:7fe00010") == "base:7fe00010"

    def test_what_was_stored_a_moment_ago_is_seen(
        self, mode: MetadataMode, dicomweb_context: ServerContext, study: list[bytes]
    ) -> None:
        uid, series, _ = uids_of(study[0])
        more = make_instance(StudyInstanceUID=uid, SeriesInstanceUID=series, InstanceNumber=9)
        store(dicomweb_context, [more])
        assert len(fragments(mode, Resource(uid))) == 7
        dicomweb_context.index.delete(Resource(uid, series), EVERYTHING)
        assert len(fragments(mode, Resource(uid))) == 3

    def test_the_fingerprint_names_the_mode(self, mode: MetadataMode) -> None:
        assert mode.fingerprint
        assert mode.name in mode.fingerprint
