"""What every `Index` must tell of its state, if it tells it at all."""

from __future__ import annotations

from collections.abc import Hashable

import pytest

from dicomweb_server.interfaces.auth import EVERYTHING
from dicomweb_server.interfaces.index import BlobRef, Index, Overwrite
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query import Query, QueryLevel
from dicomweb_server.testing.dicom import make_instance
from dicomweb_server.testing.instances import new_instance
from dicomweb_server.testing.threads import together


def told(index: Index) -> Hashable:
    """The state, if the index is one that tells it."""
    state = index.state()
    if state is None:
        pytest.skip(f"the index {index.name!r} does not tell its state")
    return state


class IndexState:
    """Needs the fixture `index`."""

    def test_the_state_is_another_one_after_every_commit(self, index: Index) -> None:
        states = [told(index)]
        data = make_instance(StudyInstanceUID="1.1")
        for overwrite in (Overwrite.NEVER, Overwrite.ALWAYS, Overwrite.ALWAYS):
            index.add([new_instance(data)], overwrite=overwrite)
            states.append(index.state())
        [blob] = index.blobs()
        index.relocate([(blob.ref, BlobRef("other", blob.ref.key))])
        states.append(index.state())
        index.delete(Resource("1.1"), EVERYTHING)
        states.append(index.state())
        index.add([new_instance(data)])
        states.append(index.state())
        assert len(set(states)) == len(states)

    def test_the_state_stays_while_nothing_is_written(self, index: Index) -> None:
        index.add([new_instance()])
        before = told(index)
        for _ in range(3):
            assert index.search(Query(QueryLevel.STUDY), EVERYTHING)
            assert list(index.headers(Resource("1.2.3"), EVERYTHING)) == []
            assert index.state() == before

    def test_what_a_thread_wrote_shows_when_its_write_returned(self, index: Index) -> None:
        told(index)

        def write(_thread: int) -> bool:
            changed = []
            for _ in range(10):
                before = index.state()
                index.add([new_instance()])
                changed.append(index.state() != before)
            return all(changed)

        assert together(write, range(4)) == [True] * 4
