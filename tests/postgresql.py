"""Fixtures of tests on a real PostgreSQL: one server for each process of the tests."""

import os

import pytest
from dicomweb_index_sql import SqlIndex

from dicomweb_server.testing.postgresql import NoPostgreSQL, RunningPostgreSQL
from dicomweb_server.testing.providers import build_provider


def _server():
    try:
        return RunningPostgreSQL()
    except NoPostgreSQL as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgresql():
    """A running PostgreSQL server; tests that stop it start their own."""
    with _server() as server:
        yield server


@pytest.fixture
def postgresql_alone():
    """A PostgreSQL server that the test may stop."""
    with _server() as server:
        yield server


@pytest.fixture(scope="session")
def _template(postgresql, tmp_path_factory):
    """The name of a database with the tables: copying it is quicker than migrating."""
    name = postgresql.create_database()
    url = postgresql.url(name)
    index = build_provider(SqlIndex, tmp_path_factory.mktemp("template"), {"Url": url})
    index.migrate()
    index.close()
    return name


@pytest.fixture
def empty_url(postgresql):
    """The URL of a fresh database without tables."""
    name = postgresql.create_database()
    yield postgresql.url(name)
    postgresql.drop_database(name)


@pytest.fixture
def database_url(postgresql, _template):
    """The URL of a fresh, migrated database."""
    name = postgresql.create_database(_template)
    yield postgresql.url(name)
    postgresql.drop_database(name)
