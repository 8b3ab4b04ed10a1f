"""The commands, as an operator calls them."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
from click.testing import CliRunner
from dicomweb_storage_filesystem.store import FileSystemStore
from werkzeug.security import check_password_hash

from dicomweb_server.cli.main import cli
from dicomweb_server.interfaces.auth import EVERYTHING
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.testing.apps import context_of, temporary_app
from dicomweb_server.testing.dicom import make_instance, make_study, uids_of


class Operator:
    def __init__(self, folder):
        self.folder = folder
        self.config = folder / "config.json"
        self.configure()

    def configure(self, **options):
        self.config.write_text(json.dumps({"StorageDirectory": "data"} | options))

    def call(self, *arguments, **options):
        return CliRunner().invoke(cli, ["--config", str(self.config), *arguments], **options)

    def stats(self):
        return json.loads(self.call("stats").stdout)


@pytest.fixture
def operator(tmp_path):
    return Operator(tmp_path)


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    (folder / "deep" / "deeper").mkdir(parents=True)
    study = make_study(series=1, instances=3)
    (folder / "a.dcm").write_bytes(study[0])
    (folder / "deep" / "b").write_bytes(study[1])
    (folder / "deep" / "deeper" / "c.DCM").write_bytes(study[2])
    return folder


def test_importing_folders_files_and_archives(operator, files, tmp_path):
    with zipfile.ZipFile(tmp_path / "more.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/1.dcm", make_instance())
        archive.writestr("x/2", make_instance())
    (tmp_path / "one").write_bytes(make_instance())
    done = operator.call("import", str(files), str(tmp_path / "more.zip"), str(tmp_path / "one"))
    assert done.exit_code == 0, done.output
    assert "6 stored" in done.output
    assert operator.stats()["instances"] == 6


def test_importing_can_be_repeated(operator, files):
    operator.call("import", str(files))
    done = operator.call("import", str(files))
    assert done.exit_code == 0
    assert "3 there already" in done.output
    assert operator.stats()["instances"] == 3
    assert operator.call("check").exit_code == 0


def test_what_lies_beside_dicom_files_is_skipped_and_listed(operator, files):
    for number in range(25):
        (files / f"junk{number:02}.txt").write_bytes(b"hello" * 100)
    done = operator.call("import", str(files))
    assert done.exit_code == 0
    assert "25 skipped" in done.output
    assert "3 stored" in done.output
    assert "junk00.txt" in done.output
    assert "junk24.txt" not in done.output
    assert "--verbose" in done.output
    assert "junk24.txt" in operator.call("import", str(files), "--verbose").output


def test_importing_says_what_was_refused_and_why(operator, files, tmp_path):
    (tmp_path / "junk.txt").write_bytes(b"hello" * 100)
    (files / "cut.dcm").write_bytes(make_instance(pixels=bytes(3000))[:-1000])
    (files / "without.dcm").write_bytes(make_instance(StudyInstanceUID=None))
    done = operator.call("import", str(files), str(tmp_path / "junk.txt"))
    assert done.exit_code == 1
    assert "3 refused" in done.output
    assert "3 stored" in done.output
    for words in (("junk.txt",), ("cut.dcm",), ("without.dcm", "StudyInstanceUID")):
        assert any(all(word in line for word in words) for line in done.output.splitlines())


def test_importing_a_broken_archive(operator, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1", make_instance())
        archive.writestr("2", make_instance())
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[300:310] = b"x" * 10
    (tmp_path / "a.zip").write_bytes(data)
    done = operator.call("import", str(tmp_path / "a.zip"))
    assert done.exit_code == 1
    assert "1 refused" in done.output
    assert operator.stats()["instances"] == 1


def test_nothing_to_import(operator, tmp_path):
    (tmp_path / "empty").mkdir()
    done = operator.call("import", str(tmp_path / "empty"))
    assert done.exit_code == 0
    assert "nothing found" in done.output
    assert operator.call("import", str(tmp_path / "missing")).exit_code == 2


def test_showing_the_configuration(operator):
    operator.configure(RegisteredUsers={"alice": "tell nobody"}, Name="Mine")
    done = operator.call("config", "show")
    document = json.loads(done.output)
    assert document["Name"] == "Mine"
    assert document["DicomWeb"]["Root"] == "/dicom-web/"
    assert "alice" in document["RegisteredUsers"]
    assert "tell nobody" not in done.output


def test_checking_the_configuration(operator, caplog):
    operator.configure(SaveJobs=True)
    done = operator.call("config", "check")
    assert done.exit_code == 0
    assert str(operator.config) in done.output
    assert "SaveJobs has no effect" in caplog.text + done.output
    assert not (operator.folder / "data" / "index.sqlite").exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"HttpPrt": 1}, "HttpPort"),
        ({"RemoteAccessAllowed": True}, "RegisteredUsers"),
        ({"Index": {"Type": "x"}}, "sql"),
        ({"Plugins": ["nowhere"]}, "nowhere"),
    ],
)
def test_a_wrong_configuration_is_a_sentence(operator, options, word):
    operator.configure(**options)
    done = operator.call("config", "check")
    assert done.exit_code == 1
    assert word in done.output
    assert "Traceback" not in done.output


def test_listing_extensions(operator):
    operator.configure(DisabledExtensions=["proxy-headers"])
    done = operator.call("extensions")
    assert done.exit_code == 0
    (line,) = (line for line in done.output.splitlines() if line.startswith("proxy-headers"))
    assert "disabled" in line
    assert "default (filesystem)" in done.output


def test_migrating(operator):
    assert "(none)" in operator.call("migrate").output
    assert "up to date" in operator.call("migrate").output


def test_checking_a_database_without_tables_is_a_sentence(operator):
    done = operator.call("check")
    assert done.exit_code == 1
    assert "migrate" in done.output
    assert "Traceback" not in done.output


def test_reindexing(operator, files):
    operator.call("import", str(files))
    blobs = [p for p in (operator.folder / "data" / "instances").rglob("[!.]*") if p.is_file()]
    (operator.folder / "data" / "index.sqlite").unlink()
    for path in (operator.folder / "data").glob("index.sqlite-*"):
        path.unlink()
    (blobs[0].parent / ("f" * 32)).write_bytes(b"no DICOM")
    done = operator.call("reindex")
    assert done.exit_code == 1, done.output  # one file could not be read
    assert "3 instances are indexed" in done.output
    assert "f" * 32 in done.output
    assert operator.stats()["instances"] == 3
    assert operator.call("check").exit_code == 0


def deleted_by_a_client(folder, key):
    with temporary_app(folder) as app:
        index = context_of(app).index
        study = uids_of(next((folder / "files").glob("*.dcm")).read_bytes())[0]
        (record,) = (
            each for each in index.instances(Resource(study), EVERYTHING) if each.blob.key == key
        )
        path = Resource(study, record.series_uid, record.sop_uid).path
        assert app.test_client().delete(f"/dicom-web/{path}").status_code == 204


@pytest.mark.parametrize("needed", [False, True])
def test_reindexing_beside_a_deletion(operator, files, monkeypatch, needed):
    operator.call("import", str(files))
    opened = FileSystemStore.open

    def gone(self, key):
        """Just before its file is read an instance is deleted, or the file alone is lost."""
        monkeypatch.setattr(FileSystemStore, "open", opened)
        if needed:
            (path,) = (operator.folder / "data" / "instances").rglob(key)
            path.unlink()
        else:
            deleted_by_a_client(operator.folder, key)
        return opened(self, key)

    monkeypatch.setattr(FileSystemStore, "open", gone)
    done = operator.call("reindex")
    assert ("has no file" in done.output) is needed
    assert done.exit_code == needed
    assert "2 instances are indexed" in done.output


def test_hashing_a_password():
    done = CliRunner().invoke(cli, ["hash-password", "--password", "secret"])
    assert done.exit_code == 0
    assert check_password_hash(done.stdout.strip(), "secret")


def test_commands_of_extensions_are_listed():
    done = CliRunner().invoke(cli, ["--help"])
    for command in ("serve", "demo", "import", "config", "extensions", "migrate", "hash-password"):
        assert command in done.stdout


@pytest.mark.parametrize("options", [{"HttpPrt": 1}, {"RemoteAccessAllowed": True}])
def test_a_server_that_cannot_start_says_why_and_ends(operator, options):
    operator.configure(**options)
    done = subprocess.run(
        [sys.executable, "-m", "dicomweb_server", "serve", "--config", str(operator.config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert "HttpPort" in done.stderr or "RegisteredUsers" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_environment_names_the_configuration(operator, files, monkeypatch):
    monkeypatch.setenv("DICOMWEB_SERVER_CONFIG", str(operator.config))
    assert CliRunner().invoke(cli, ["import", str(files)]).exit_code == 0
    assert operator.stats()["instances"] == 3
    monkeypatch.setenv("DICOMWEB_SERVER_CONFIG", "nowhere.json")
    done = CliRunner().invoke(cli, ["stats"])
    assert done.exit_code == 1
    assert "nowhere.json" in done.output


def test_what_was_imported_is_what_lies_there(operator, tmp_path):
    data = make_instance(pixels=bytes(3000))
    (tmp_path / "x.dcm").write_bytes(data)
    operator.call("import", str(tmp_path / "x.dcm"))
    (blob,) = (p for p in (operator.folder / "data" / "instances").rglob("[!.]*") if p.is_file())
    assert blob.read_bytes() == data
    assert uids_of(blob.read_bytes()) == uids_of(data)


def test_changed_bytes_are_found_by_their_digest(operator, tmp_path):
    data = make_instance(pixels=bytes(3000))
    (tmp_path / "x.dcm").write_bytes(data)
    operator.call("import", str(tmp_path / "x.dcm"))
    folder = operator.folder / "data" / "instances"
    (blob,) = (p for p in folder.rglob("[!.]*") if p.is_file())
    blob.write_bytes(data[:-1] + b"x")
    assert operator.call("check").exit_code == 0
    done = operator.call("check", "--digests")
    assert done.exit_code == 1
    assert blob.name in done.output
    assert "SHA-256" in done.output


def test_protecting_a_patient(operator, tmp_path):
    operator.configure(MaximumPatientCount=1)

    def imported(patient):
        (tmp_path / "x.dcm").write_bytes(make_instance(PatientID=patient))
        return operator.call("import", str(tmp_path / "x.dcm"))

    imported("A")
    assert "protected" in operator.call("protect", "A").output
    assert imported("B").exit_code == 1
    done = operator.call("protect", "A", "--off")
    assert "no longer protected" in done.output
    assert imported("B").exit_code == 0
    gone = operator.call("protect", "A")
    assert gone.exit_code == 1
    assert "no patient 'A'" in gone.output


@pytest.mark.parametrize(
    "line", [["check"], ["stats"], ["import", "."], ["backup", "y"], ["migrate"], ["reindex"]]
)
def test_root_makes_no_files_that_the_server_could_not_read(operator, files, monkeypatch, line):
    operator.call("import", str(files))
    index = operator.folder / "data" / "index.sqlite"
    if os.geteuid() == 0:
        os.chown(index, 65534, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
    before = sorted(p.name for p in index.parent.iterdir())
    done = operator.call(*line)
    assert done.exit_code == 1
    assert "belongs to" in done.output
    assert "runuser -u" in done.output
    assert sorted(p.name for p in index.parent.iterdir()) == before
    assert operator.call("config", "check").exit_code == 0
