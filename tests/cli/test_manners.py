"""How commands take their configuration, keep secrets, and fail."""

import json
import zipfile
from pathlib import Path

import pydicom
import pytest
from click.testing import CliRunner
from dicomweb_storage_filesystem import FileSystemStore

from dicomweb_server.cli.main import cli
from dicomweb_server.interfaces.storage import StorageError
from dicomweb_server.testing.dicom import make_instance

COMMAND = '''
import click
from dicomweb_server import hookimpl

@click.command()
def greet():
    """Say hello."""
    click.echo("hello from a plugin")

@click.command()
def stumble():
    raise RuntimeError("over a stone")

@hookimpl
def register_commands(cli):
    cli.add_command(greet)
    cli.add_command(stumble)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, which holds no configuration."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(folder, **options):
    path = folder / "mine.json"
    path.write_text(json.dumps({"StorageDirectory": "data"} | options))
    return str(path)


def call(*arguments):
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize(
    "line",
    [
        ["--config", "mine.json", "config", "show"],
        ["config", "--config", "mine.json", "show"],
        ["config", "show", "--config", "mine.json"],
        ["config", "show", "--config=mine.json"],
        ["--config", "other.json", "config", "show", "--config", "mine.json"],
    ],
)
def test_the_configuration_is_named_anywhere(folder, line):
    (folder / "other.json").write_text('{"Name": "Other"}')
    configure(folder, Name="Mine")
    done = call(*line)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["Name"] == "Mine"


def test_a_configuration_that_is_not_there(folder):
    for line in (["--config", "nowhere", "stats"], ["stats", "--config", "nowhere"]):
        done = call(*line)
        assert done.exit_code == 2
        assert "nowhere" in done.stderr


@pytest.mark.parametrize(
    "line", [["--config", "mine.json", "greet"], ["greet", "--config=mine.json"]]
)
def test_commands_of_dropped_in_extensions(folder, line):
    (folder / "greeting.py").write_text(COMMAND)
    configure(folder, Plugins=["greeting.py"])
    assert "hello from a plugin" in call(*line).output
    assert call("greet").exit_code == 2  # without the configuration nobody knows it


def test_an_unexpected_failure_is_a_sentence(folder, monkeypatch):
    (folder / "greeting.py").write_text(COMMAND)
    path = configure(folder, Plugins=["greeting.py"])
    done = call("--config", path, "stumble")
    assert done.exit_code == 1
    assert "over a stone" in done.stderr
    assert "Traceback" not in done.output
    monkeypatch.setenv("DICOMWEB_SERVER_TRACEBACK", "1")
    assert isinstance(call("--config", path, "stumble").exception, RuntimeError)


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("nonsense", "Url"),
        ("postgresql+nodriver://u:hidden@h/x", "nodriver"),
        ("sqlite:////proc/nowhere/index.sqlite", "/proc/nowhere"),
    ],
)
def test_a_database_that_cannot_be_used_is_a_sentence(folder, url, word):
    done = call("stats", "--config", configure(folder, Index={"Url": url}))
    assert done.exit_code == 1
    assert word in done.stderr
    assert "hidden" not in done.output
    assert "Traceback" not in done.output


def test_secrets_in_sections_are_masked(folder):
    path = configure(
        folder,
        Index={"Url": "postgresql://me:hid/den@db/x?sslkey=1&password=hidden"},
        RegisteredUsers={"alice": "hidden", "bob": "hidden"},
    )
    shown = call("config", "show", "--config", path).stdout
    document = json.loads(shown)
    assert document["Index"]["Url"] == "postgresql://me:***@db/x?sslkey=1&password=***"
    assert document["RegisteredUsers"] == {"alice": "***", "bob": "***"}
    assert "hidden" not in shown
    assert "hid/den" not in shown


def test_secrets_of_options_without_effect_are_masked(folder):
    path = configure(
        folder,
        DicomWeb={
            "Servers": {
                "a": ["http://h", "user", "hidden"],
                "b": {
                    "Url": "http://h",
                    "Password": "hidden",
                    "HttpHeaders": {"Authorization": "Bearer hidden"},
                },
            }
        },
        HttpProxy="proxyuser:hidden@h:3128",
        Pkcs11={"Pin": "hidden"},
        UserMetadata={"url": "https://me:hidden@h/", "list": ["ftp://me:hidden@h/"]},
    )
    done = call("config", "show", "--config", path)
    document = json.loads(done.stdout)
    assert document["DicomWeb"]["Servers"] == {"a": "***", "b": "***"}
    assert document["UserMetadata"]["url"] == "https://me:***@h/"
    assert "hidden" not in done.output


def test_passwords_of_the_environment_are_in_no_error(folder, monkeypatch):
    monkeypatch.setenv("PW", "hidden")
    path = configure(folder, RegisteredUsers={"bad:name": "hidden", "x": "${PW}"})
    done = call("config", "check", "--config", path)
    assert done.exit_code == 1
    assert "RegisteredUsers" in done.stderr
    assert "hidden" not in done.output


def test_an_empty_password_is_not_hashed():
    done = call("hash-password", "--password", "")
    assert done.exit_code == 2
    assert "empty" in done.stderr
    assert "scrypt" not in done.output


# --- commands that only look ---------------------------------------------------------------


@pytest.mark.parametrize("line", [["stats"], ["check"], ["check", "--repair"], ["reindex"]])
def test_looking_at_an_archive_that_is_not_there_makes_none(folder, line):
    path = configure(folder, StorageDirectory="typo", IndexDirectory="typo/ix")
    done = call(*line, "--config", path)
    assert done.exit_code == 1
    assert str(folder / "typo" / "ix" / "index.sqlite") in done.stderr
    assert "IndexDirectory" in done.stderr
    assert not (folder / "typo").exists()


def test_reindexing_an_empty_archive(folder):
    path = configure(folder)
    assert call("migrate", "--config", path).exit_code == 0
    done = call("reindex", "--config", path)
    assert done.exit_code == 0
    assert "0 instances are indexed" in done.output


def test_secrets_that_extensions_declare_are_masked(folder):
    (folder / "vault.py").write_text(
        "from dicomweb_server import hookimpl\n"
        "from dicomweb_server.config import Option, text\n"
        "from dicomweb_server.interfaces.auth import Authenticator\n"
        "class Vault(Authenticator):\n"
        "    name = 'vault'\n"
        "    options = (Option('Pin', '', 'The pin.', text, secret=True),)\n"
        "    def authenticate(self, request): return None\n"
        "    def challenge(self): return 'Vault'\n"
        "@hookimpl\n"
        "def register_authenticators(): return [Vault]\n"
    )
    path = configure(
        folder, Plugins=["vault.py"], Authentication={"Order": ["vault"], "vault": {"Pin": "4711"}}
    )
    done = call("config", "show", "--config", path)
    assert json.loads(done.stdout)["Authentication"]["vault"] == {"Pin": "***"}
    assert "4711" not in done.output


# --- importing -----------------------------------------------------------------------------


def test_lists_of_files_are_skipped_under_any_name(folder):
    root = Path(pydicom.__file__).parent / "data"
    (listing,) = (p for p in root.rglob("DICOMDIR") if p.parent.name == "dicomdirtests")
    files = folder / "files"
    files.mkdir()
    (files / "DICOMDIR").write_bytes(listing.read_bytes())
    (files / "CONTENTS").write_bytes(listing.read_bytes())
    (files / "one.dcm").write_bytes(make_instance())
    done = call("import", str(files), "--config", configure(folder))
    assert done.exit_code == 0, done.output
    assert "1 stored, 2 skipped" in done.output


def test_what_is_not_dicom_is_refused_when_it_was_named(folder):
    (folder / "README.txt").write_text("Read me, please, before you import anything.\n" * 10)
    (folder / "empty").write_bytes(b"")
    path = configure(folder)
    for name in ("README.txt", "empty"):
        done = call("import", name, "--config", path)
        assert done.exit_code == 1
        assert f"refused: {name}: " in done.output


def test_what_is_no_zip_after_all(folder):
    (folder / "bad.zip").write_bytes(b"PK\3\4 and then nothing")
    done = call("import", "bad.zip", "--config", configure(folder))
    assert done.exit_code == 1
    assert "bad.zip: the ZIP cannot be read" in done.output


def test_members_are_named_with_their_archive(folder):
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("deep/notes.txt", "nothing medical " * 20)
        archive.writestr("deep/one", make_instance())
    done = call("import", "a.zip", "--config", configure(folder))
    assert done.exit_code == 0
    assert "skipped: a.zip!deep/notes.txt: not DICOM" in done.output
    assert "1 stored, 1 skipped" in done.output


def test_a_read_only_archive_takes_nothing(folder):
    (folder / "one.dcm").write_bytes(make_instance())
    done = call("import", "one.dcm", "--config", configure(folder, ReadOnly=True))
    assert done.exit_code == 1
    assert "ReadOnly" in done.stderr
    assert not (folder / "data").exists()


def test_an_archive_that_takes_nothing_ends_the_import(folder, monkeypatch):
    def refuse(_):
        raise StorageError("the disk is gone")

    monkeypatch.setattr(FileSystemStore, "create", refuse)
    for number in range(70):
        (folder / f"{number:02}.dcm").write_bytes(make_instance())
    path = configure(folder)
    done = call("import", *(f"{number:02}.dcm" for number in range(70)), "--config", path)
    assert done.exit_code == 1
    assert "32 refused" in done.output
    assert "38 files were not tried" in done.stderr
