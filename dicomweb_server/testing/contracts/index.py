"""What every `Index` must do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dicomweb_server.interfaces.index import Index
from dicomweb_server.testing.contracts.index_reading import IndexReading
from dicomweb_server.testing.contracts.index_scopes import IndexScopes
from dicomweb_server.testing.contracts.index_searching import IndexSearching
from dicomweb_server.testing.contracts.index_siblings import IndexSiblings
from dicomweb_server.testing.contracts.index_state import IndexState
from dicomweb_server.testing.contracts.index_together import IndexTogether
from dicomweb_server.testing.contracts.index_writing import IndexWriting


class IndexContract(
    IndexWriting,
    IndexReading,
    IndexSearching,
    IndexScopes,
    IndexSiblings,
    IndexState,
    IndexTogether,
):
    """Give the fixture `index`: an empty `Index`, migrated."""

    @pytest.fixture
    def index(self) -> Index:
        """The index under test."""
        raise NotImplementedError("override the fixture `index`")

    @pytest.fixture(autouse=True)
    def _consistent(self, index: Index) -> Iterator[None]:
        """After every test the index must not contradict itself."""
        yield
        assert index.verify() == []
