"""The index and the state store on SQLite keep their contracts."""

import pytest
from dicomweb_index_sql import SqlIndex, SqlStateStore

from dicomweb_server.testing.contracts import IndexContract, StateStoreContract
from dicomweb_server.testing.providers import build_provider


@pytest.fixture
def index(tmp_path):
    index = build_provider(SqlIndex, tmp_path)
    index.migrate()
    yield index
    index.close()


class TestSqlIndex(IndexContract):
    @pytest.fixture
    def index(self, index):
        return index


class TestSqlStateStore(StateStoreContract):
    @pytest.fixture
    def state(self, index, tmp_path):
        state = build_provider(SqlStateStore, tmp_path)
        yield state
        state.close()
