"""The index and the state store keep their contracts on SQLite and on PostgreSQL."""

import shutil

import pytest
from dicomweb_index_sql import SqlIndex, SqlStateStore

from dicomweb_server.testing.contracts import IndexContract, StateStoreContract
from dicomweb_server.testing.instances import new_instance
from dicomweb_server.testing.providers import build_provider


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """A folder with the tables in it: copying them is quicker than migrating."""
    folder = tmp_path_factory.mktemp("tables")
    index = build_provider(SqlIndex, folder)
    index.migrate()
    index.close()
    return folder


@pytest.fixture
def index(tmp_path, migrated):
    shutil.copytree(migrated, tmp_path, dirs_exist_ok=True)
    index = build_provider(SqlIndex, tmp_path)
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


def other_of(index, tmp_path, url):
    """What another process would have: the same database, by connections of its own."""
    return build_provider(SqlIndex, tmp_path, {"Url": url} if url else {})


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_state_shows_what_others_commit(request, tmp_path, kind):
    if kind == "sqlite":
        index, url = request.getfixturevalue("index"), ""
    else:
        index = request.getfixturevalue("postgresql_index")
        url = request.getfixturevalue("database_url")
    other = other_of(index, tmp_path, url)
    states = [index.state()]
    for _ in range(3):
        other.add([new_instance()])
        states += [index.state(), index.state()]
    other.close()
    assert states[1::2] == states[2::2]
    assert len(set(states)) == 4
