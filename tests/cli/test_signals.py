"""Signals that end a command leave nothing behind, and nothing uncounted."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from dicomweb_server.cli.main import cli
from dicomweb_server.testing.dicom import make_instance

INTERRUPTED = """
import os
from dicomweb_server import hookimpl
from dicomweb_server.interfaces.index import Index
from dicomweb_storage_filesystem import FileSystemStore

class Interrupted(FileSystemStore):
    name = "interrupted"
    commits = 0

    def commit(self, writers):
        super().commit(writers)
        Interrupted.commits += 1
        if Interrupted.commits == 2:
            os.kill(os.getpid(), {signal})

@hookimpl
def register_storages():
    return [Interrupted]
"""


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "dicomweb_server", *arguments, "--config", "config.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_an_interrupted_import_counts_what_it_stored(tmp_path, number):
    (tmp_path / "files").mkdir()
    for each in range(100):
        (tmp_path / "files" / f"{each:03}.dcm").write_bytes(make_instance())
    (tmp_path / "interrupted.py").write_text(INTERRUPTED.format(signal=int(number)))
    config = {
        "StorageDirectory": "data",
        "Plugins": ["interrupted.py"],
        "Storages": {"default": {"Type": "interrupted"}},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = run(tmp_path, "import", "files")
    assert done.returncode == 1
    stored = int(re.search(r"(\d+) stored", done.stdout)[1])
    assert 0 < stored < 100
    assert f"interrupted after {stored} of 100 files" in done.stderr
    config = ["--config", str(tmp_path / "config.json")]
    assert json.loads(CliRunner().invoke(cli, [*config, "stats"]).stdout)["instances"] == stored
    checked = CliRunner().invoke(cli, [*config, "check"])
    assert checked.exit_code == 0
    assert "younger than a day" not in checked.stdout  # no file without its instance
    (tmp_path / "interrupted.py").write_text(INTERRUPTED.format(signal=0))  # sends nothing
    again = run(tmp_path, "import", "files")
    assert f"{100 - stored} stored" in again.stdout


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_the_server_of_the_demo_ends_with_it(tmp_path, number):
    process = subprocess.Popen(
        [sys.executable, "-m", "dicomweb_server", "demo"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    try:
        text = ""
        while "until you press" not in text:
            line = process.stdout.readline()
            assert line, text
            text += line
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", text)[1])
        assert is_open(port)
        process.send_signal(number)
        process.wait(60)
        end = time.monotonic() + 60
        while is_open(port) and time.monotonic() < end:
            time.sleep(0.1)
        assert not is_open(port), "the server outlived the demo"
    finally:
        process.stdout.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
