"""An archive of the first release, in `first_release`, is taken over with nothing lost.

`index.sql` is a dump of its database, and `instances` its storage. A release that changes the
schema changes neither: this is what lies on disks.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from click.testing import CliRunner
from dicomweb_index_sql.migration import alembic_config, known, newest
from sqlalchemy import create_engine

from dicomweb_server.cli.main import cli
from dicomweb_server.dicom import orthanc_ids
from dicomweb_server.testing.apps import context_of, temporary_app
from dicomweb_server.testing.dicom import path_of

FIRST = Path(__file__).parent / "first_release"
FILES = sorted(path for path in FIRST.glob("instances/*/*/*") if path.is_file())
RAW = {"Accept": "application/dicom; transfer-syntax=*"}


@pytest.fixture
def index(tmp_path):
    """The database of the first release, beside its files."""
    data = tmp_path / "data"
    shutil.copytree(FIRST / "instances", data / "instances")
    with closing(sqlite3.connect(data / "index.sqlite")) as database:
        database.executescript((FIRST / "index.sql").read_text(encoding="utf-8"))
    return data / "index.sqlite"


def rows(index):
    """How many rows each table of the first release has."""
    with closing(sqlite3.connect(index)) as database:
        tables = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%alembic%'"
        ).fetchall()
        return {
            name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            for (name,) in tables
        }


def revision(index):
    with closing(sqlite3.connect(index)) as database:
        return database.execute("SELECT version_num FROM alembic_version").fetchone()[0]


def upgrade(index, target):
    """Bring the database to a schema between the first and the newest."""
    engine = create_engine(f"sqlite:///{index}")
    with engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, target)
    engine.dispose()


def call(tmp_path, *arguments):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"StorageDirectory": str(tmp_path / "data")}))
    return CliRunner().invoke(cli, ["--config", str(config), *arguments])


def is_whole(tmp_path):
    """Everything that the first release held can be found and retrieved."""
    assert len(FILES) == 8
    with temporary_app(tmp_path) as app:
        client = app.test_client()
        studies = client.get("/dicom-web/studies").json
        assert [study["0020000D"]["Value"][0] for study in studies] == [
            f"1.2.{patient}.{study}" for patient in (1, 2) for study in (1, 2)
        ]
        (found,) = client.get("/dicom-web/studies?PatientName=M%C3%BCller*&StudyDate=20200102").json
        assert found["00201208"]["Value"] == [2]
        for path in FILES:
            data = path.read_bytes()
            assert client.get(f"/dicom-web/{path_of(data)}", headers=RAW).data == data
            (metadata,) = client.get(f"/dicom-web/{path_of(data)}/metadata").json
            assert metadata["00080018"]["Value"][0] == path_of(data).rpartition("/")[2]
        replaced = "/dicom-web/studies/1.2.1.1/series/1.2.1.1.1/instances/1.2.1.1.1.1"
        assert client.get(f"{replaced}/metadata").json[0]["00200013"]["Value"] == [7]
        patient = orthanc_ids("P1", "", "", "").patient
        assert client.get(f"/patients/{patient}/protected").data == b"1"
        context = context_of(app)
        assert context.state.read("log of an extension")[0].value == {"entry": 1}
        assert context.state.get("extension", "document").value == {"kept": True}
        assert context.index.changes(limit=1000)[-1].kind == "DeletedPatient"
        # Its columns are written as those of this release are.
        again = client.post(
            "/dicom-web/studies", data=FILES[0].read_bytes(), content_type="application/dicom"
        )
        assert again.status_code == 200
    assert call(tmp_path, "check", "--digests").exit_code == 0
    return True


def test_the_fixture_has_the_first_schema(index):
    assert revision(index) == known()[0]


def test_a_server_that_starts_takes_it_over(tmp_path, index):
    assert is_whole(tmp_path)
    assert revision(index) == newest()


@pytest.mark.parametrize("start", known())
def test_migrate_takes_it_over_from_every_schema(tmp_path, index, start):
    before = rows(index)
    upgrade(index, start)
    done = call(tmp_path, "migrate")
    assert done.exit_code == 0, done.output
    assert newest() in done.output
    after = rows(index)
    assert {name: after.get(name) for name in before} == before
    assert is_whole(tmp_path)


def test_what_was_deleted_stays_deleted_when_it_is_read_again(tmp_path, index):
    assert call(tmp_path, "migrate").exit_code == 0
    done = call(tmp_path, "reindex")
    assert done.exit_code == 0, done.output
    assert is_whole_after_reindexing(tmp_path)


def is_whole_after_reindexing(tmp_path):
    stats = json.loads(call(tmp_path, "stats").stdout)
    assert (stats["patients"], stats["studies"], stats["instances"]) == (2, 4, 8)
    return call(tmp_path, "check").exit_code == 0


def test_an_upgrade_that_fails_in_the_middle_changes_nothing(tmp_path, index):
    """As one that is killed: each step alone would leave a schema that no release knows."""
    with closing(sqlite3.connect(index)) as database:
        database.execute("CREATE TABLE extra_values (x INTEGER)")
        database.commit()
        before = list(database.iterdump())
    failed = call(tmp_path, "migrate")
    assert failed.exit_code == 1
    assert "extra_values" in failed.output
    with closing(sqlite3.connect(index)) as database:
        assert list(database.iterdump()) == before
        database.execute("DROP TABLE extra_values")
        database.commit()
    assert "from 0001" in call(tmp_path, "migrate").output
    is_whole(tmp_path)


def test_a_killed_upgrade_begins_again(tmp_path, index):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"StorageDirectory": str(tmp_path / "data")}))
    command = [sys.executable, "-m", "dicomweb_server", "--config", str(config), "migrate"]
    for delay in (0.0, 0.005, 0.02, 0.05):
        process = subprocess.Popen(command)
        lock = index.with_name(f"{index.name}.migrate-lock")
        end = time.monotonic() + 30
        while not lock.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(delay)
        process.kill()
        process.wait()
        lock.unlink(missing_ok=True)
    assert call(tmp_path, "migrate").exit_code == 0
    is_whole(tmp_path)
