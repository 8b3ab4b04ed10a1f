"""The index and the state store keep their contracts on SQLite and on PostgreSQL."""

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


@pytest.fixture
def postgresql_index(tmp_path, database_url):
    index = build_provider(SqlIndex, tmp_path, {"Url": database_url})
    yield index
    index.close()


class TestSqlIndexOnPostgreSQL(IndexContract):
    @pytest.fixture
    def index(self, postgresql_index):
        return postgresql_index


class TestSqlStateStoreOnPostgreSQL(StateStoreContract):
    @pytest.fixture
    def state(self, tmp_path, database_url):
        state = build_provider(SqlStateStore, tmp_path, {"Url": database_url})
        yield state
        state.close()
