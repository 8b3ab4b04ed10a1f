"""`dicomweb-server move-index` copies everything, both ways, wholly or not at all."""

import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from dicomweb_index_sql import SqlIndex, SqlStateStore
from dicomweb_index_sql.schema import counters, leases, metadata
from sqlalchemy import create_engine, select

from dicomweb_server.cli.main import cli
from dicomweb_server.dicom import STANDARD
from dicomweb_server.interfaces.auth import EVERYTHING
from dicomweb_server.interfaces.index import BlobRef, IndexUnavailable
from dicomweb_server.interfaces.state import StateError
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services.main_tags import main_tags
from dicomweb_server.testing.dicom import make_instance
from dicomweb_server.testing.instances import new_instance
from dicomweb_server.testing.postgresql import PASSWORD
from dicomweb_server.testing.providers import build_provider


def contents(url):
    """Every row of every table."""
    engine = create_engine(url.replace("postgresql", "postgresql+psycopg", 1))
    with engine.connect() as connection:
        found = {
            name: [
                tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))
            ]
            for name, table in metadata.tables.items()
        }
    engine.dispose()
    # PostgreSQL has a row for each connection that wrote.
    found["counters"] = [row for row in found["counters"] if row[0] == "sequence"]
    return found


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path / 'new.sqlite'}"


@pytest.fixture(params=["sqlite to postgresql", "postgresql to sqlite", "sqlite to sqlite"])
def urls(request, tmp_path, sqlite_url, empty_url):
    """Where the archive is, and where it is to go."""
    old = f"sqlite:///{tmp_path / 'index.sqlite'}"
    return {
        "sqlite to postgresql": (old, empty_url),
        "postgresql to sqlite": (empty_url, sqlite_url),
        "sqlite to sqlite": (old, sqlite_url),
    }[request.param]


def fill(folder, url):
    """An archive with something in every table."""
    index = build_provider(SqlIndex, folder, {"Url": url})
    index.migrate()
    tags = main_tags({"Series": ["SeriesDescription", "KVP"]}, STANDARD)
    index.bind(SimpleNamespace(main_tags=tags, dictionary=STANDARD))
    state = build_provider(SqlStateStore, folder, {"Url": url})
    given = {"PatientName": "Ωé^山", "KVP": "120"}
    files = [make_instance(StudyInstanceUID=f"1.{n % 7}", **given) for n in range(250)]
    index.add([new_instance(data) for data in files])
    index.delete(Resource("1.3"), EVERYTHING)
    index.add([new_instance(make_instance(StudyInstanceUID="1.3"))])
    state.put("space", "key", {"a": [1, None, "é\0"]})
    state.put("space", "key", {"a": [2, None, "é\0"]})
    state.append("log", "entry")
    state.acquire("lease", "holder", 600)
    index.close()
    state.close()


@pytest.fixture
def move(tmp_path):
    def run(source, target, **environment):
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"StorageDirectory": "data", "Index": {"Url": source}}))
        arguments = ["move-index", "--config", str(config), "--to", target]
        return CliRunner().invoke(cli, arguments, env=environment)

    return run


def test_everything_comes_along_with_its_numbers(tmp_path, move, urls):
    source, target = urls
    fill(tmp_path, source)
    before = contents(source)
    done = move(source, target)
    assert done.exit_code == 0, done.output
    assert "215 instances and 1 documents" in done.output
    left = contents(source)
    assert left.pop(counters.name) != before[counters.name]
    assert left == {name: rows for name, rows in before.items() if name != counters.name}
    after = contents(target)
    assert len(before.pop(leases.name)) == 1
    assert after.pop(leases.name) == []
    assert after == before
    assert all(after[name] for name in after)


def test_the_archive_goes_on_where_it_was(tmp_path, move, urls):
    source, target = urls
    fill(tmp_path, source)
    assert move(source, target).exit_code == 0
    old = build_provider(SqlIndex, tmp_path, {"Url": source})
    new = build_provider(SqlIndex, tmp_path, {"Url": target})
    resource = Resource("1.1")
    assert new.verify() == []
    assert new.version(resource, EVERYTHING) == old.version(resource, EVERYTHING)
    assert list(new.headers(resource, EVERYTHING)) == list(old.headers(resource, EVERYTHING))
    last = old.changes(limit=10_000)[-1]
    new.add([new_instance(make_instance(StudyInstanceUID="1.1"))])
    assert min(change.seq for change in new.changes(after=last.seq)) > last.seq
    assert new.version(resource, EVERYTHING) != old.version(resource, EVERYTHING)
    for index in (old, new):
        index.close()


def test_a_target_that_is_not_empty_is_refused(tmp_path, move, urls):
    source, target = urls
    fill(tmp_path, source)
    assert move(source, target).exit_code == 0
    before = contents(target)
    assert reopen(tmp_path).exit_code == 0
    again = move(source, target)
    assert again.exit_code == 1
    assert "not empty" in again.output
    assert "215 instances" in again.output
    assert contents(target) == before


def reopen(folder):
    return CliRunner().invoke(cli, ["move-index", "--config", f"{folder}/config.json", "--reopen"])


def test_nobody_writes_to_a_database_that_was_moved(tmp_path, move, urls):
    source, target = urls
    fill(tmp_path, source)
    running = build_provider(SqlIndex, tmp_path, {"Url": source})
    state = build_provider(SqlStateStore, tmp_path, {"Url": source})
    new = new_instance(make_instance(StudyInstanceUID="1.1"))
    running.add([new])
    assert move(source, target).exit_code == 0
    before = contents(source)
    writes = (
        lambda: running.add([new_instance()]),
        lambda: running.delete(Resource("1.1"), EVERYTHING),
        lambda: running.reindex([new]),
        lambda: running.relocate([(new.blob, BlobRef("other", "key"))]),
        lambda: state.put("space", "key", {}),
        lambda: state.append("log", "entry"),
    )
    for write in (*writes, running.check, running.migrate):
        with pytest.raises((IndexUnavailable, StateError), match="was moved to another database"):
            write()
    assert contents(source) == before
    assert running.statistics().instances == 216
    assert move(source, target).exit_code == 1
    assert reopen(tmp_path).exit_code == 0
    assert "was not moved" in reopen(tmp_path).output
    for write in (*writes, running.check, running.migrate):
        write()
    index = build_provider(SqlIndex, tmp_path, {"Url": target})
    assert index.statistics().instances == 216
    for each in (index, running, state):
        each.close()


def test_after_an_interruption_it_can_be_begun_again(tmp_path, move, urls, monkeypatch):
    source, target = urls
    fill(tmp_path, source)
    steps = []

    def interrupt(bar, count):
        steps.append(count)
        if len(steps) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("click._termui_impl.ProgressBar.update", interrupt)
        assert move(source, target).exit_code == 1
    assert len(steps) == 4
    assert contents(target)["instances"] == []
    done = move(source, target)
    assert done.exit_code == 0, done.output
    assert contents(target)["instances"] == contents(source)["instances"]


def test_the_database_itself_is_no_target(tmp_path, move, urls):
    source, _ = urls
    fill(tmp_path, source)
    done = move(source, source)
    assert done.exit_code == 1
    assert "already" in done.output


def test_variables_of_the_environment_are_put_in_and_never_shown(tmp_path, move, sqlite_url):
    fill(tmp_path, sqlite_url)
    target = "postgresql://archive:${PW}@127.0.0.1:1/archive"
    done = move(sqlite_url, target, PW=PASSWORD)
    assert done.exit_code == 1
    assert "127.0.0.1:1/archive cannot be reached" in done.output
    assert PASSWORD not in done.output
    assert "PW" in move(sqlite_url, target.replace("PW", "NO_SUCH_PW")).output


def test_a_url_that_is_none_says_what_is_possible(tmp_path, move, sqlite_url):
    fill(tmp_path, sqlite_url)
    done = move(sqlite_url, "oracle://somewhere/x")
    assert done.exit_code == 1
    assert "--to" in done.output
    assert "postgresql://" in done.output
