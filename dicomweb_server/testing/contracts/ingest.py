"""What every `IngestFilter` must do."""

from __future__ import annotations

import copy
from io import BytesIO

import pytest

from dicomweb_server.interfaces.index import Origin
from dicomweb_server.interfaces.ingest import (
    Discard,
    Incoming,
    IngestFilter,
    Keep,
    Reject,
    Replace,
)
from dicomweb_server.testing.dicom import BIG_ENDIAN, UNCOMPRESSED, make_instance
from dicomweb_server.testing.instances import parse
from dicomweb_server.testing.threads import together


def incoming(data: bytes) -> Incoming:
    """A file as the server gives it to a filter."""
    return Incoming(parse(data), len(data), lambda: BytesIO(data), Origin("test"))


def files() -> list[bytes]:
    """Files of every uncompressed transfer syntax, with and without pixel data."""
    made = [make_instance(transfer_syntax=syntax) for syntax in UNCOMPRESSED]
    return made + [
        make_instance(transfer_syntax=syntax, pixels=bytes(1000))
        for syntax in UNCOMPRESSED
        if syntax != BIG_ENDIAN
    ]


class IngestFilterContract:
    """Give the fixture `ingest_filter`: from `dicomweb_context.providers.ingest_filters`."""

    @pytest.fixture
    def ingest_filter(self) -> IngestFilter:
        """The filter under test, bound to a context."""
        raise NotImplementedError("override the fixture `ingest_filter`")

    @pytest.fixture(params=range(len(files())))
    def arrived(self, request: pytest.FixtureRequest) -> bytes:
        """A file that has arrived."""
        index: int = request.param
        return files()[index]

    def test_it_decides(self, ingest_filter: IngestFilter, arrived: bytes) -> None:
        decision = ingest_filter.decide(incoming(arrived))
        assert isinstance(decision, Keep | Replace | Discard | Reject)
        if isinstance(decision, Discard | Reject):
            assert decision.message

    def test_what_replaces_an_instance_is_one(
        self, ingest_filter: IngestFilter, arrived: bytes
    ) -> None:
        decision = ingest_filter.decide(incoming(arrived))
        if isinstance(decision, Replace):
            made = parse(b"".join(decision.chunks))
            assert made.sop_uid
            assert made.sop_class_uid
            assert made.study_uid
            assert made.series_uid
            assert made.transfer_syntax

    def test_what_it_is_given_stays_as_it_was(
        self, ingest_filter: IngestFilter, arrived: bytes
    ) -> None:
        given = incoming(arrived)
        before = copy.deepcopy(given.instance.attributes)
        decision = ingest_filter.decide(given)
        if isinstance(decision, Replace):
            b"".join(decision.chunks)
        assert given.instance.attributes == before

    def test_the_same_instance_gets_the_same_decision(
        self, ingest_filter: IngestFilter, arrived: bytes
    ) -> None:
        kinds = {type(ingest_filter.decide(incoming(arrived))) for _ in range(3)}
        assert len(kinds) == 1

    def test_many_at_once(self, ingest_filter: IngestFilter) -> None:
        data = files()
        alone = [type(ingest_filter.decide(incoming(each))) for each in data]
        at_once = together(lambda each: type(ingest_filter.decide(incoming(each))), data)
        assert at_once == alone
