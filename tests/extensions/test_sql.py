"""What is special about the database: locks, schema versions, processes."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from dicomweb_index_sql import SqlIndex, SqlStateStore
from dicomweb_index_sql.migration import newest
from dicomweb_index_sql.schema import metadata
from sqlalchemy import create_engine, inspect

from dicomweb_server.interfaces.auth import EVERYTHING
from dicomweb_server.interfaces.index import IndexFull, IndexUnavailable, Outcome
from dicomweb_server.interfaces.state import StateError
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query import Query, QueryLevel
from dicomweb_server.testing.dicom import make_instance
from dicomweb_server.testing.instances import new_instance
from dicomweb_server.testing.providers import build_provider
from tests.extensions.processes import ADD, BEGIN, processes


@pytest.fixture
def path(tmp_path):
    return tmp_path / "index.sqlite"


@pytest.fixture
def index(tmp_path):
    index = build_provider(SqlIndex, tmp_path, {"BusyTimeout": 0.2})
    index.migrate()
    yield index
    index.close()


@pytest.fixture
def state(index, tmp_path):
    state = build_provider(SqlStateStore, tmp_path, {"BusyTimeout": 0.2})
    yield state
    state.close()


@pytest.fixture
def locked(index, path):
    """The database, while another program writes to it and does not end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.usefixtures("locked")
def test_a_locked_database_is_unavailable_for_writing(index):
    with pytest.raises(IndexUnavailable, match="locked"):
        index.add([new_instance()])
    with pytest.raises(IndexUnavailable, match="locked"):
        index.delete(Resource("1"), EVERYTHING)


@pytest.mark.usefixtures("locked")
def test_a_locked_database_can_be_read(index):
    assert index.search(Query(QueryLevel.STUDY), EVERYTHING) == []
    assert index.statistics().instances == 0


@pytest.mark.usefixtures("locked")
def test_a_locked_database_fails_the_state_store(state):
    with pytest.raises(StateError, match="locked"):
        state.put("space", "key", 1)
    with pytest.raises(StateError, match="locked"):
        state.acquire("lease", "holder", 10)
    assert state.get("space", "key") is None


def test_after_the_lock_everything_works_again(index, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexUnavailable):
            index.add([new_instance()])
        other.execute("ROLLBACK")
    assert index.add([new_instance()])[0].outcome is Outcome.STORED
    assert index.verify() == []


def test_a_database_that_cannot_grow_is_full(index):
    with index.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    # The limit is one of a connection: the pool gives the same one back.
    with pytest.raises(IndexFull):
        for _ in range(2000):
            index.add([new_instance(make_instance(ImageComments="x" * 5000))])
    before = index.statistics()
    assert index.verify() == []
    assert index.statistics() == before


def test_a_damaged_database_is_unavailable(index, path):
    index.add([new_instance()])
    index.close()
    for name in ("index.sqlite-wal", "index.sqlite-shm"):
        path.with_name(name).unlink(missing_ok=True)
    path.write_bytes(b"this is not a database" * 1000)
    with pytest.raises(IndexUnavailable):
        index.statistics()
    with pytest.raises(IndexUnavailable):
        index.add([new_instance()])
    with pytest.raises(IndexUnavailable):
        index.check()


def test_a_database_in_a_file_that_cannot_be_opened(tmp_path):
    (tmp_path / "index.sqlite").mkdir()
    index = build_provider(SqlIndex, tmp_path)
    with pytest.raises(IndexUnavailable):
        index.check()


@pytest.mark.parametrize("name", ["index.sqlite", "index.sqlite-wal", ""])
def test_files_of_another_user_are_a_problem_before_anybody_writes(index, path, monkeypatch, name):
    index.add([new_instance()])
    index.check()
    foreign, access = path.parent / name, os.access
    monkeypatch.setattr(os, "access", lambda at, mode: Path(at) != foreign and access(at, mode))
    with pytest.raises(IndexUnavailable, match="cannot be written by the user"):
        index.check()


# --- schema --------------------------------------------------------------------------------


def set_version(path, version):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])
        connection.commit()


def test_an_older_schema_is_refused_with_a_sentence(index, path):
    index.check()
    set_version(path, "0000")
    with pytest.raises(IndexUnavailable, match=r"0000.*dicomweb-server migrate"):
        index.check()


def test_a_database_without_tables_says_what_to_do(tmp_path):
    index = build_provider(SqlIndex, tmp_path)
    with pytest.raises(IndexUnavailable, match="dicomweb-server migrate"):
        index.check()
    with pytest.raises(IndexUnavailable, match="dicomweb-server migrate"):
        index.statistics()


def test_migrating_tells_what_it_did(tmp_path):
    index = build_provider(SqlIndex, tmp_path)
    assert newest() in index.migrate()
    assert "up to date" in index.migrate()


def test_a_newer_schema_is_refused_with_a_sentence(index, path):
    set_version(path, "9999")
    with pytest.raises(IndexUnavailable, match="9999"):
        index.check()
    with pytest.raises(IndexUnavailable, match="9999"):
        index.migrate()


def described(engine):
    """Everything that Alembic or the metadata made, in a form that compares."""
    inspector = inspect(engine)
    tables = {}
    for table in sorted(set(inspector.get_table_names()) - {"alembic_version"}):
        tables[table] = {
            "columns": [
                (c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)
            ],
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "foreign": sorted(
                (k["constrained_columns"], k["referred_table"])
                for k in inspector.get_foreign_keys(table)
            ),
            "unique": sorted(k["column_names"] for k in inspector.get_unique_constraints(table)),
            "indexes": sorted(
                (
                    i["name"],
                    i["column_names"],
                    i["unique"],
                    str(i["dialect_options"].get("sqlite_where", "")),
                )
                for i in inspector.get_indexes(table)
            ),
        }
    return tables


def test_migrations_make_what_the_program_expects(index, tmp_path):
    fresh = create_engine(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
    metadata.create_all(fresh)
    migrated, expected = described(index.database.engine), described(fresh)
    assert migrated.keys() == expected.keys()
    for table in expected:
        assert migrated[table] == expected[table], table


# --- processes -----------------------------------------------------------------------------


def test_three_processes_migrate_at_once(tmp_path):
    outputs = processes(3, BEGIN + "print(index.migrate())", tmp_path)
    assert sum("up to date" in line for line in outputs) == 2
    build_provider(SqlIndex, tmp_path).check()


def test_processes_add_to_one_study_at_once(tmp_path, index):
    processes(3, BEGIN + ADD, tmp_path)
    assert index.statistics().instances == 180
    assert index.statistics().studies == 1
    assert index.verify() == []
    numbers = [change.seq for change in index.changes(limit=1000)]
    assert numbers == sorted(set(numbers))


# --- looking after it ----------------------------------------------------------------------


def test_wrong_counts_are_found_and_mended(index, path):
    new = new_instance(make_instance(Modality="CT"))
    index.add([new])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE studies SET instance_count = 7")
        connection.execute("UPDATE series SET instance_count = 5")
        connection.commit()
    assert index.verify() != []
    assert index.verify(repair=True) != []
    assert index.verify() == []
    assert index.statistics().instances == 1


def test_a_change_elsewhere_keeps_the_version_of_a_study(index):
    index.add([new_instance(make_instance(StudyInstanceUID="1.1"))])
    before = index.version(Resource("1.1"), EVERYTHING)
    index.add([new_instance(make_instance(StudyInstanceUID="1.2"))])
    assert index.version(Resource("1.1"), EVERYTHING) == before
