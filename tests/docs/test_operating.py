"""The commands of the manual for operators, one after another as it shows them."""

import json
import re
import shutil

import pytest
from click.testing import CliRunner

from dicomweb_server.cli.main import cli
from dicomweb_server.testing.dicom import make_instance
from tests.docs.helpers import ROOT

TEXT = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
COMMANDS = [
    line.partition("#")[0].strip()
    for line in re.findall(r"^    (?:\$ )?dicomweb-server (.*)$", TEXT, re.M)
]
NOT_HERE = {
    "serve --config /etc/dicomweb/config.json",
    "move-index --to 'postgresql://archive:${PASSWORD}@db.example.org/archive'",
}
"""One does not end by itself, one needs another database; other tests call them."""


@pytest.fixture
def call(tmp_path):
    """Runs a command of the page in an archive, with its paths below a temporary folder."""
    (tmp_path / "files").mkdir()
    for number in range(3):
        data = make_instance(PatientID="PATIENT-ID", StudyInstanceUID="1.2.3")
        (tmp_path / "files" / f"{number}.dcm").write_bytes(data)
    config = tmp_path / "config.json"
    storages = {"default": {"Path": "fast"}, "slow": {"Path": "large"}}
    config.write_text(json.dumps({"StorageDirectory": "data", "Storages": storages}))
    called = []

    def run(line):
        assert line in COMMANDS
        called.append(line)
        words = line.replace("PATH...", str(tmp_path / "files")).split()
        words = [word.replace("/backup", str(tmp_path / "backup")) for word in words]
        grace = ["--grace", "0"] if words[0] == "move" else []
        done = CliRunner().invoke(cli, ["--config", str(config), *words, *grace])
        assert done.exit_code == 0, done.output
        return done.output

    run.called = called
    run.folder = tmp_path
    return run


def lose(folder):
    for name in ("data", "fast", "large"):
        shutil.rmtree(folder / name, ignore_errors=True)


def test_every_command_of_the_page_does_what_it_says(call):
    assert "3 stored" in call("import PATH...")
    assert '"instances": 3' in call("stats")
    for line in ("check", "check --digests", "check --repair", "config check"):
        call(line)
    call("protect PATIENT-ID")
    assert "3 of them new" in call("backup /backup/dicomweb")
    assert "0 of them new" in call("backup /backup/dicomweb --digests")
    assert "0 files" in call("move --from default --to slow --older-than 90")
    call("move --from slow --to default --study 1.2.3")
    # The disk of the index is lost.
    shutil.rmtree(call.folder / "data")
    assert "3 instances" in call("reindex")
    call("reindex --tags")
    # All of it is lost, twice.
    lose(call.folder)
    assert "3 files" in call("restore /backup/dicomweb")
    call("check --digests")
    lose(call.folder)
    call("restore /backup/dicomweb --digests")
    assert '"instances": 3' in call("stats")
    assert set(call.called) == set(COMMANDS) - NOT_HERE


def test_the_commands_that_are_named_in_the_text_are_there():
    for name in re.findall(r"`dicomweb-server ([a-z-]+)", TEXT):
        assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0, name
