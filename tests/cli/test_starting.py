"""A server that cannot start says why in one sentence, however it is started."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dicomweb_server.cli.main import cli
from dicomweb_server.testing.server import free_port

ROOT = Path(__file__).parents[2]
ROUTE = """
from dicomweb_server import hookimpl

@hookimpl
def prepare_app(app, context):
    app.add_url_rule("/open-door", "open_door", lambda: "hello")
"""
GUNICORN = ["gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "--chdir", str(ROOT), "wsgi:app"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a_file").write_text("")
    (tmp_path / "route.py").write_text(ROUTE)
    (tmp_path / "broken.py").write_text(ROUTE.replace("app.add_url_rule", "1 / 0, "))
    return tmp_path


def run(folder, *command, config="config.json", **options):
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=os.environ | {"DICOMWEB_SERVER_CONFIG": str(folder / config)},
        **{"capture_output": True, "text": True, "timeout": 60, "check": False} | options,
    )


def checked(folder):
    return CliRunner().invoke(cli, ["--config", str(folder / "config.json"), "config", "check"])


def configured(folder, config):
    options = {"StorageDirectory": "data", "HttpPort": free_port(), "HttpWorkers": 1} | config
    (folder / "config.json").write_text(json.dumps(options))


WRONG = [
    ({"StorageDirectory": "/proc/foo"}, "/proc/foo"),
    ({"IndexDirectory": "a_file/index"}, "a_file/index"),
    ({"Index": {"Url": "foo://x"}}, "'foo'"),
    ({"Plugins": ["route.py"]}, "open_door"),
    ({"Plugins": ["broken.py"]}, "extension broken"),
    ({"HttpBindAddresses": ["nonsense host"]}, "HttpBindAddresses"),
]
UNSEEN = ("/proc/foo", "a_file/index")
"""What only opening folders can tell, which `config check` does not."""


@pytest.mark.parametrize(("config", "word"), WRONG, ids=str)
def test_under_gunicorn(folder, config, word):
    configured(folder, config)
    done = run(folder, *GUNICORN)
    (line,) = done.stderr.splitlines()
    assert line.startswith("dicomweb-server cannot start: ")
    assert word in line
    assert done.returncode == 4


@pytest.mark.parametrize(("config", "word"), WRONG, ids=str)
def test_by_the_command(folder, config, word):
    configured(folder, config)
    done = run(folder, "dicomweb_server", "serve")
    assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert "listens" not in done.stdout
    assert done.returncode in (1, 4)


@pytest.mark.parametrize(("config", "word"), [w for w in WRONG if w[1] not in UNSEEN], ids=str)
def test_the_check_sees_it(folder, config, word):
    configured(folder, config)
    done = checked(folder)
    assert word in done.stderr
    assert "config.json" in done.stderr or "Index" in done.stderr
    assert done.exit_code == 1
    assert done.stdout == ""
    assert not (folder / "data").exists()


@pytest.mark.parametrize("command", [["serve"], ["config", "check"]])
def test_an_address_of_another_machine(folder, command):
    configured(folder, {"HttpBindAddresses": ["192.0.2.7"]})
    done = run(folder, "dicomweb_server", *command)
    assert done.returncode == 1
    assert "192.0.2.7" in done.stderr
    assert "HttpBindAddresses" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(("text", "word"), [("{bad", "line 1"), (None, "does not exist")])
def test_a_file_that_gunicorn_cannot_read(folder, text, word):
    if text is not None:
        (folder / "mine.json").write_text(text)
    done = run(folder, *GUNICORN, config="mine.json")
    (line,) = done.stderr.splitlines()
    assert "mine.json" in line
    assert word in line
    assert done.returncode == 4


def test_secrets_are_not_told_by_gunicorn_either(folder):
    configured(folder, {"RegisteredUsers": {"bad:name": "topsecret"}})
    done = run(folder, *GUNICORN)
    assert done.returncode == 4
    assert "RegisteredUsers" in done.stderr
    assert "topsecret" not in done.stderr + done.stdout


def test_a_port_that_is_taken_is_not_announced(folder):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        configured(folder, {"HttpPort": other.getsockname()[1]})
        assert checked(folder).exit_code == 0
        done = run(folder, "dicomweb_server", "serve")
    assert done.returncode != 0
    assert "in use" in done.stderr
    assert "listens" not in done.stdout


def log_of_a_server(folder, config):
    """What it logs, from its start to its end; it can be reached at the address it prints."""
    configured(folder, config)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dicomweb_server", "serve"],
            cwd=folder,
            env=os.environ | {"DICOMWEB_SERVER_CONFIG": "config.json"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        line = process.stdout.readline()
        host, port = line.strip().rpartition("//")[2].split(":")
        socket.create_connection((host, int(port)), timeout=10).close()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    return (folder / "log").read_text()


def test_warnings_come_once_and_the_address_when_it_is_open(folder):
    config = {"IgnoreUnknownOptions": True, "HttpPrt": 1, "RegisteredUsers": {"alice": "sesame"}}
    log = log_of_a_server(folder, config)
    assert log.count("HttpPrt") == 1
    assert log.count("alice") == 1


def test_every_message_of_a_json_log_is_json(folder):
    config = {"LogFormat": "json", "RegisteredUsers": {"alice": "sesame"}}
    log = log_of_a_server(folder, config | {"AuthenticationEnabled": True})
    messages = [json.loads(line)["message"] for line in log.splitlines()]
    assert any("alice" in message for message in messages)
