"""`check` finds whatever was damaged in the index, and `--repair` mends what the files still tell."""

import json
import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner

from dicomweb_server.cli.main import cli
from dicomweb_server.testing.apps import temporary_app
from dicomweb_server.testing.dicom import make_instance, make_study, path_of
from tests.conftest import Client

TABLES = ("patients", "studies", "series", "instances", "details")
DAMAGE = [
    "DELETE FROM details",
    "UPDATE details SET header = x'00'",
    "UPDATE details SET header = x'789c030000000001'",  # nothing, well compressed
    "UPDATE details SET located = ''",
    "UPDATE studies SET modalities = ''",
    "UPDATE studies SET modalities = '[\"XX\"]'",
    "UPDATE studies SET sop_classes = '{}'",
    "UPDATE studies SET attributes = x'7b'",
    "UPDATE studies SET attributes = x''",
    "UPDATE studies SET answer = x'7b7d'",
    "UPDATE studies SET answer = x'5b'",
    "UPDATE studies SET accession_number = 'other'",
    "UPDATE studies SET study_date = NULL",
    "UPDATE studies SET instance_count = 0",
    "UPDATE studies SET size = 1",
    "UPDATE series SET attributes = x'00'",
    "UPDATE series SET modality = 'XX'",
    "UPDATE series SET answer = x'00'",
    "UPDATE series SET instance_count = 9",
    "UPDATE instances SET answer = x'00'",
    # What no program of ours would write, but a damaged disk may leave behind.
    "UPDATE details SET header = ''",
    "UPDATE details SET located = x'00ff8081'",
    "UPDATE studies SET modalities = x'00ff8081'",
    "UPDATE studies SET answer = -5",
    "UPDATE instances SET answer = 9007199254740993",
    "DELETE FROM counters",
    "UPDATE counters SET value = 1 WHERE name = 'sequence'",
    "UPDATE counters SET value = 'x' WHERE name = 'sequence'",
]
LOST = [
    "UPDATE studies SET id = 9007199254740993 WHERE id = (SELECT MIN(id) FROM studies)",
    "UPDATE instances SET series_row = 'garbage' WHERE id = (SELECT MIN(id) FROM instances)",
    "UPDATE instances SET orthanc_id = 'x' WHERE id = (SELECT MIN(id) FROM instances)",
    "UPDATE series SET series_uid = '1.2' WHERE id = (SELECT MIN(id) FROM series)",
    "UPDATE studies SET study_uid = '1.2' WHERE id = (SELECT MIN(id) FROM studies)",
    "DELETE FROM patients",
]


@pytest.fixture
def archive(tmp_path):
    """Its configuration, its database, and what a client sees of it."""
    attributes = {"AccessionNumber": "A1", "StudyDate": "20200102", "Modality": "CT"}
    files = [*make_study(series=2, instances=2, **attributes), make_instance(**attributes)]
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"StorageDirectory": str(tmp_path / "data")}))
    with temporary_app(tmp_path) as app:
        Client(app.test_client()).stored(*files)

    def seen():
        with temporary_app(tmp_path) as app:
            client = Client(app.test_client())
            searches = ("/studies", "/series", "/instances", "/studies?AccessionNumber=A1")
            details = [f"/{path_of(file)}/metadata" for file in files]
            return [client.get(path).json for path in (*searches, *details)]

    return config, tmp_path / "data" / "index.sqlite", seen


def call(config, *arguments):
    return CliRunner().invoke(cli, ["--config", str(config), "check", *arguments])


@pytest.mark.parametrize("statement", DAMAGE)
def test_damage_is_found_and_mended(archive, statement):
    config, database, seen = archive
    before = seen()
    assert call(config).exit_code == 0
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute(statement).rowcount > 0
        connection.commit()
    found = call(config)
    assert found.exit_code == 1
    assert "unexpected" not in found.output
    assert " 0 contradictions" not in found.output
    mended = call(config, "--repair")
    assert (mended.exit_code, "mended" in mended.output) == (0, True), mended.output
    again = call(config)
    assert again.exit_code == 0, again.output
    assert seen() == before


def test_what_cannot_be_read_again_stays_a_finding(archive):
    config, database, _ = archive
    with closing(sqlite3.connect(database)) as connection:
        ((key,),) = connection.execute("SELECT blob FROM instances LIMIT 1")
        connection.execute("DELETE FROM details")
        connection.commit()
    (database.parent / "instances" / key).write_bytes(b"something else")
    done = call(config, "--repair")
    assert done.exit_code == 1
    assert "cannot be read again" in done.output
    assert call(config).exit_code == 1


@pytest.mark.parametrize("statement", LOST)
def test_instances_without_their_parents_are_told_of_and_can_be_read_anew(archive, statement):
    config, database, seen = archive
    before = seen()
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute(statement).rowcount > 0
        connection.commit()
        counts = [tuple(connection.execute(f"SELECT COUNT(*) FROM {t}")) for t in TABLES]
    for options in ((), ("--repair",), ()):
        found = call(config, *options)
        assert found.exit_code == 1
        assert "reindex" in found.output
        assert "unexpected" not in found.output
        assert "(mended)" not in found.output
    with closing(sqlite3.connect(database)) as connection:
        assert [tuple(connection.execute(f"SELECT COUNT(*) FROM {t}")) for t in TABLES] == counts
    database.unlink()
    for path in database.parent.glob("index.sqlite-*"):
        path.unlink()
    assert CliRunner().invoke(cli, ["--config", str(config), "reindex"]).exit_code == 0
    assert call(config).exit_code == 0
    assert sorted(map(json.dumps, seen()[0])) == sorted(map(json.dumps, before[0]))
