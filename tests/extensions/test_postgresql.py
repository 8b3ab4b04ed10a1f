"""What is special about PostgreSQL: passwords, broken connections, several nodes, its limits."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest
from dicomweb_index_sql import SqlIndex, SqlStateStore
from dicomweb_index_sql.schema import metadata
from sqlalchemy import create_engine, inspect

from dicomweb_server.config import ConfigError
from dicomweb_server.interfaces.auth import EVERYTHING
from dicomweb_server.interfaces.index import BlobRef, IndexUnavailable, Outcome, Overwrite
from dicomweb_server.interfaces.state import StateError
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query import Query, QueryLevel
from dicomweb_server.testing.dicom import make_instance
from dicomweb_server.testing.instances import new_instance
from dicomweb_server.testing.postgresql import PASSWORD
from dicomweb_server.testing.providers import build_provider
from dicomweb_server.testing.threads import together
from tests.extensions.processes import ADD, BEGIN, processes
from tests.extensions.proxy import Proxy

NOBODY_THERE = f"postgresql://archive:{PASSWORD}@127.0.0.1:1/archive"


@pytest.fixture
def build(tmp_path):
    """Builds an index at a URL; closed afterwards."""
    built = []

    def make(url, kind=SqlIndex, **section):
        built.append(build_provider(kind, tmp_path, {"Url": url, "BusyTimeout": 5, **section}))
        return built[-1]

    yield make
    for each in built:
        each.close()


@pytest.fixture
def index(build, database_url):
    return build(database_url)


# --- the URL -------------------------------------------------------------------------------


def test_without_the_driver_a_sentence_says_what_to_install(build, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for kind, error in ((SqlIndex, IndexUnavailable), (SqlStateStore, StateError)):
        with pytest.raises(error, match=re.escape("pip install 'dicomweb-server[postgresql]'")):
            build(NOBODY_THERE, kind).check()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_each_spelling_of_the_scheme_works(build, database_url, scheme):
    index = build(database_url.replace("postgresql", scheme, 1))
    index.check()
    assert index.statistics().instances == 0


@pytest.mark.parametrize(
    "url",
    [
        "mysql://archive:pw-secret@127.0.0.1/archive",
        "postgresql+psycopg2://archive:pw-secret@127.0.0.1/archive",
        "postgresql://archive:pw-secret@127.0.0.1:none/archive",
        "archive:pw-secret@127.0.0.1",
    ],
)
def test_other_urls_are_refused_without_showing_the_password(build, url):
    with pytest.raises(ConfigError, match=r"possible are sqlite.*postgresql") as caught:
        build(url)
    assert "secret" not in str(caught.value)


def test_a_database_that_cannot_be_reached_is_named_without_the_password(build):
    with pytest.raises(IndexUnavailable, match=r"127\.0\.0\.1:1/archive") as caught:
        build(NOBODY_THERE).check()
    shown, error = "", caught.value
    while error is not None:  # as a traceback in a log would
        shown, error = shown + str(error) + repr(error), error.__cause__
    assert PASSWORD not in shown


def test_the_unix_socket_of_the_database_works(build, postgresql):
    index = build(postgresql.local_url(postgresql.create_database()))
    index.migrate()
    assert index.add([new_instance()])[0].outcome is Outcome.STORED
    index.check()


def test_a_database_that_does_not_exist_is_named(build, postgresql):
    with pytest.raises(IndexUnavailable, match="nothing_like_this"):
        build(postgresql.url("nothing_like_this")).check()


def test_a_database_without_tables_says_what_to_do(build, empty_url):
    index = build(empty_url)
    for ask in (index.check, index.statistics, lambda: index.add([new_instance()])):
        with pytest.raises(IndexUnavailable, match="dicomweb-server migrate"):
            ask()
    with pytest.raises(StateError, match="dicomweb-server migrate"):
        build(empty_url, SqlStateStore).put("space", "key", 1)


def test_another_encoding_is_refused(build, postgresql):
    name = postgresql.create_database(options="ENCODING 'SQL_ASCII'")
    with pytest.raises(IndexUnavailable, match=r"SQL_ASCII.*UTF8"):
        build(postgresql.url(name)).migrate()


# --- schema --------------------------------------------------------------------------------


def described(engine):
    """Everything that Alembic or the metadata made, in a form that compares."""
    inspector = inspect(engine)
    found = {}
    for table in set(inspector.get_table_names()) - {"alembic_version"}:
        found[table] = (
            [
                (c["name"], repr(c["type"]), getattr(c["type"], "collation", None), c["nullable"])
                for c in inspector.get_columns(table)
            ],
            inspector.get_pk_constraint(table)["constrained_columns"],
            sorted(k["constrained_columns"] for k in inspector.get_foreign_keys(table)),
            sorted(k["column_names"] for k in inspector.get_unique_constraints(table)),
            sorted(
                (i["name"], i["column_names"], str(i["dialect_options"].get("postgresql_where")))
                for i in inspector.get_indexes(table)
            ),
        )
    return found


def test_migrations_make_what_the_program_expects(index, empty_url):
    fresh = create_engine(empty_url.replace("postgresql", "postgresql+psycopg", 1))
    metadata.create_all(fresh)
    migrated, expected = described(index.database.engine), described(fresh)
    fresh.dispose()
    assert migrated.keys() == expected.keys()
    for table in expected:
        assert migrated[table] == expected[table], table


def test_processes_migrate_at_once(tmp_path, build, empty_url):
    outputs = processes(4, BEGIN + "print(index.migrate())", tmp_path, empty_url)
    assert sum("up to date" in line for line in outputs) == 3
    build(empty_url).check()


def test_a_migration_that_fails_leaves_nothing(build, empty_url, postgresql):
    database = empty_url.rpartition("/")[2]
    postgresql.execute("CREATE TABLE studies (mine int)", database)
    with pytest.raises(IndexUnavailable):
        build(empty_url).migrate()
    tables = postgresql.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database
    )
    assert {name for (name,) in tables} <= {"studies", "alembic_version"}


# --- several processes ---------------------------------------------------------------------


def test_processes_add_to_one_study_at_once(tmp_path, index, database_url):
    processes(3, BEGIN + ADD, tmp_path, database_url)
    found = index.statistics()
    assert (found.patients, found.studies, found.instances) == (1, 1, 180)
    assert index.verify() == []
    numbers = [change.seq for change in index.changes(limit=1000)]
    assert numbers == sorted(set(numbers))


def test_processes_store_the_same_new_instances_at_once(tmp_path, index, database_url):
    add = """
kept = 0
for number in range(20):
    same = make_instance(
        PatientID=f"P{number}", StudyInstanceUID=f"1.{number}", SeriesInstanceUID=f"1.{number}.1",
        SOPInstanceUID=f"1.{number}.1.1",
    )
    kept += index.add([new_instance(same)])[0].outcome.value == "kept"
print(kept)
"""
    outputs = processes(3, BEGIN + add, tmp_path, database_url)
    assert sum(map(int, outputs)) == 40
    found = index.statistics()
    assert (found.patients, found.studies, found.series, found.instances) == (20, 20, 20, 20)
    assert index.verify() == []


def test_processes_add_and_delete_across_each_other_without_deadlock(tmp_path, index, database_url):
    work = """
from dicomweb_server.interfaces.auth import EVERYTHING
from dicomweb_server.interfaces.index import Overwrite
from dicomweb_server.ps318.paths import Resource
uids = ["1.1", "1.2", "1.3"]
if int(sys.argv[1]) % 2:
    uids.reverse()
for number in range(15):
    files = [make_instance(StudyInstanceUID=uid) for uid in uids]
    for overwrite in (Overwrite.NEVER, Overwrite.ALWAYS):
        index.add([new_instance(data) for data in files], overwrite=overwrite)
    index.delete(Resource(uids[number % 3]), EVERYTHING)
"""
    processes(4, BEGIN + work, tmp_path, database_url)
    assert index.verify() == []


def test_a_cursor_of_the_log_misses_nothing_that_other_processes_write(
    tmp_path, index, database_url
):
    work = """
if sys.argv[1] == "0":
    after, seen = 0, 0
    while seen < 120:
        for change in index.changes(after=after, limit=7):
            after = change.seq
            seen += change.kind == "NewInstance"
    print(seen)
else:
    for number in range(20):
        index.add([new_instance(), new_instance()])
        state.append("log", number)
"""
    outputs = processes(4, BEGIN + work, tmp_path, database_url)
    assert outputs[0] == "120"


def test_of_processes_one_holds_a_lease(tmp_path, database_url):
    work = """
holder = sys.argv[1]
held = state.acquire("work", holder, 600)
print(held and state.acquire("work", holder, 600))
"""
    outputs = processes(4, BEGIN + work, tmp_path, database_url)
    assert sorted(outputs) == ["False"] * 3 + ["True"]
    holder = str(outputs.index("True"))
    release = f"""
if sys.argv[1] == "{holder}":
    state.release("work", "{holder}")
"""
    processes(4, BEGIN + release, tmp_path, database_url)
    assert processes(1, BEGIN + work, tmp_path, database_url) == ["True"]


def test_documents_that_processes_write_over_are_counted_right(tmp_path, build, database_url):
    work = """
for number in range(30):
    state.put("space", "key", number)
"""
    processes(3, BEGIN + work, tmp_path, database_url)
    assert build(database_url, SqlStateStore).get("space", "key").version == 90


# --- locks and limits ----------------------------------------------------------------------


def test_a_locked_database_is_unavailable_for_writing_and_can_be_read(build, database_url):
    index = build(database_url, BusyTimeout=0.2)
    state = build(database_url, SqlStateStore, BusyTimeout=0.2)
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE counters, documents IN EXCLUSIVE MODE")
        with pytest.raises(IndexUnavailable, match="locked"):
            index.add([new_instance()])
        with pytest.raises(IndexUnavailable, match="locked"):
            index.delete(Resource("1"), EVERYTHING)
        with pytest.raises(StateError, match="locked"):
            state.put("space", "key", 1)
        assert index.search(Query(QueryLevel.STUDY), EVERYTHING) == []
        assert state.get("space", "key") is None
        other.rollback()
    assert index.add([new_instance()])[0].outcome is Outcome.STORED


def test_more_threads_than_connections_wait_for_each_other(build, database_url, postgresql):
    index = build(database_url, Connections=2)
    name = database_url.rpartition("/")[2]
    count = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"

    def work(number):
        for _ in range(5):
            index.add([new_instance()])
            index.search(Query(QueryLevel.STUDY), EVERYTHING)
        return postgresql.execute(count)[0][0]

    assert max(together(work, range(10))) <= 2
    assert index.statistics().instances == 50


def test_long_values_are_stored_and_found(index):
    name = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))  # nothing that can be compressed
    data = make_instance(PatientName=name, PatientID=name, AccessionNumber=name)
    assert index.add([new_instance(data)])[0].outcome is Outcome.STORED
    (found,) = index.search(Query(QueryLevel.STUDY), EVERYTHING)
    assert name.encode() in found.answer


# --- broken connections --------------------------------------------------------------------


def end_connections(postgresql, url):
    """End every connection to a database, as a restart of the server does."""
    name = url.rpartition("/")[2]
    postgresql.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )


def test_dead_connections_are_replaced(build, database_url, postgresql):
    index, state = build(database_url), build(database_url, SqlStateStore)
    together(lambda _: index.add([new_instance(make_instance(StudyInstanceUID="1.1"))]), range(4))
    state.put("space", "key", 1)
    for act in (
        lambda: index.search(Query(QueryLevel.STUDY), EVERYTHING),
        lambda: index.version(Resource("1.1"), EVERYTHING),
        lambda: list(index.headers(Resource("1.1"), EVERYTHING)),
        index.statistics,
        index.changes,
        index.check,
        lambda: index.add([new_instance()]),
        lambda: index.delete(Resource("1.1"), EVERYTHING),
        lambda: state.get("space", "key"),
        lambda: state.put("space", "key", 2),
    ):
        end_connections(postgresql, database_url)
        assert act() != []
    assert index.verify() == []


@pytest.mark.parametrize("at_once", [False, True])
def test_a_restart_of_the_server_is_survived(build, postgresql_alone, at_once):
    index = build(postgresql_alone.url(postgresql_alone.create_database()))
    index.migrate()
    index.add([new_instance()])
    postgresql_alone.stop(at_once=at_once)
    for _ in range(2):
        with pytest.raises(IndexUnavailable, match="cannot be reached"):
            index.statistics()
        with pytest.raises(IndexUnavailable, match="cannot be reached") as refused:
            index.add([new_instance()])
        assert refused.value.undone
    postgresql_alone.start()
    assert index.statistics().instances == 1
    assert index.add([new_instance()])[0].outcome is Outcome.STORED
    assert index.verify() == []


def test_the_state_after_lost_connections_is_another_one(build, database_url, postgresql):
    """Numbers of transactions may come again after a crash: what was before counts no more."""
    index = build(database_url)
    before = index.state()
    assert index.state() == before
    end_connections(postgresql, database_url)
    after = index.state()
    assert after != before
    assert index.state() == after


@pytest.fixture
def proxy(postgresql):
    with closing(Proxy(postgresql.port)) as proxy:
        yield proxy


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("overwrite", list(Overwrite))
def test_a_commit_whose_answer_is_lost_happens_once(build, proxy, database_url, when, overwrite):
    index = build(proxy.url(database_url))
    index.check()
    new = new_instance()
    proxy.cut(when, b"COMMIT")
    (added,) = index.add([new], overwrite=overwrite)
    assert proxy.cuts == 1
    assert (added.outcome, added.discarded) == (Outcome.STORED, None)
    assert [entry.ref for entry in index.blobs()] == [new.blob]
    assert [change.kind for change in index.changes()].count("NewInstance") == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_document_whose_commit_is_not_answered_is_written_once(build, proxy, database_url, when):
    state = build(proxy.url(database_url), SqlStateStore)
    state.check()
    proxy.cut(when, b"COMMIT")
    assert state.put("space", "key", "value", expected=0).version == 1
    assert proxy.cuts == 1
    assert state.get("space", "key").version == 1


def test_a_commit_that_nobody_can_tell_of_is_reported_and_can_be_asked_for(
    build, proxy, database_url
):
    index = build(proxy.url(database_url), BusyTimeout=0.2)
    index.check()
    new, other = new_instance(), BlobRef("default", "other")
    proxy.cut("after", b"COMMIT", refuse=True)
    with pytest.raises(IndexUnavailable, match="cannot be learnt yet") as doubtful:
        index.add([new])
    assert not doubtful.value.undone
    with pytest.raises(IndexUnavailable):
        index.knows([new.blob])
    proxy.refuse = False
    assert index.knows([new.blob, other]) == {new.blob}
    assert index.add([new_instance()])[0].outcome is Outcome.STORED


def test_a_crash_within_a_commit_is_not_taken_for_a_commit(build, postgresql_alone):
    """What comes after a crash may get the numbers of transactions that the crash undid."""
    url = postgresql_alone.url(postgresql_alone.create_database())
    direct = build(url)
    direct.migrate()
    with closing(Proxy(postgresql_alone.port)) as proxy:
        index = build(proxy.url(url), BusyTimeout=30)
        index.add([new_instance()])
        proxy.cut("unnoticed", b"COMMIT", refuse=True)
        with ThreadPoolExecutor() as pool:
            adding = pool.submit(index.add, [new_instance()])
            assert proxy.was_cut.wait(30)
            postgresql_alone.restart(at_once=True)
            for _ in range(5):
                direct.add([new_instance()])
            proxy.refuse = False
            (added,) = adding.result(60)
    assert added.outcome is Outcome.STORED
    assert added.ids.instance in {change.orthanc_id for change in direct.changes()}
    assert direct.statistics().instances == 7


def test_who_asks_for_blobs_waits_for_a_commit_under_way(build, database_url):
    index = build(database_url, BusyTimeout=0.2)
    with psycopg.connect(database_url) as other:
        other.execute("SELECT value FROM counters FOR UPDATE")
        with pytest.raises(IndexUnavailable, match="locked"):
            index.knows([BlobRef("default", "blob")])
        other.rollback()
    assert index.knows([BlobRef("default", "blob")]) == set()
