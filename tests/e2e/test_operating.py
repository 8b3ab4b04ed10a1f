"""What operators rely on: logs for machines, and restarts that lose no upload."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from dicomweb_server.testing.dicom import make_study, multipart_body, path_of
from dicomweb_server.testing.server import RunningServer
from tests.commands import command

ROOT = Path(__file__).parents[2]
RAW = {"Accept": "application/dicom; transfer-syntax=*"}


# --- logs ----------------------------------------------------------------------------------


@pytest.mark.dicomweb_config(
    {
        "LogFormat": "json",
        "LogLevel": "debug",
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"alice": "secret"},
    }
)
def test_a_log_for_machines(server):
    answer = httpx.get(
        f"{server.url}studies?PatientName=Nobody",
        auth=("alice", "secret"),
        headers={"X-Request-ID": "mine-1"},
    )
    assert answer.status_code == 200
    assert httpx.post(f"{server.url}studies", content=b"x").status_code == 401
    server.stop()
    lines = [line for line in server.log.splitlines() if line.startswith("{")]
    messages = [json.loads(line) for line in lines]
    (mine,) = [m for m in messages if m.get("request_id") == "mine-1"]
    assert mine["user"] == "alice"
    assert mine["level"] == "INFO"
    assert mine["logger"] == "dicomweb_server.access"
    assert (mine["method"], mine["path"], mine["status"]) == ("GET", "/dicom-web/studies", 200)
    assert mine["time"].endswith("+00:00")
    assert "Nobody" not in server.log
    # gunicorn's messages are objects too.
    assert any(m["logger"] == "gunicorn.error" for m in messages)


# --- applications around ours --------------------------------------------------------------

WRAPPED = """
from wsgi import app as inner

def app(environ, start_response):
    return inner(environ, start_response)
"""


def test_an_application_inside_of_another_is_served(tmp_path):
    (tmp_path / "wrapped.py").write_text(WRAPPED)
    planned = RunningServer(folder=tmp_path, workers=1)
    planned.config_path.write_text(json.dumps(planned.config))
    paths = f"{ROOT},{tmp_path}"
    command = ["-c", str(ROOT / "gunicorn.conf.py"), "--pythonpath", paths, "wrapped:app"]
    with planned.log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *command],
            env=os.environ | {"DICOMWEB_SERVER_CONFIG": str(planned.config_path)},
            stderr=log,
        )
    try:
        end = time.monotonic() + 60
        status = None
        while status is None and process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(httpx.TransportError):
                status = httpx.get(f"{planned.origin}/health/ready").status_code
            time.sleep(0.1)
        assert status == 200, planned.log
        assert "CacheSweepSeconds" in planned.log
    finally:
        process.terminate()
        process.wait(30)


# --- restarts ------------------------------------------------------------------------------


class SlowUpload:
    """A store request of which the server has read the first part, and waits for the rest."""

    def __init__(self, server):
        self.files = make_study(series=1, instances=3, pixels=bytes(2_000_000))
        self._body, content_type = multipart_body(self.files)
        self._sent = len(self._body) // 2
        self._wire = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        head = (
            f"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(self._body)}\r\n\r\n"
        )
        self._wire.sendall(head.encode() + self._body[: self._sent])

    def finish(self):
        """The status of the answer."""
        with self._wire:
            self._wire.sendall(self._body[self._sent :])
            return int(self._wire.makefile("rb").readline().split()[1])


def wait_until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.05)


def unfinished(server):
    """Files that are being written: the server has begun to read."""
    return list((server.folder / "data" / "instances").rglob("*.part"))


def refuses(server):
    """Whether nobody listens any more."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 5):
        return False
    return True


def stored(server, upload):
    with httpx.Client(timeout=60) as client:
        for data in upload.files:
            answer = client.get(f"{server.url}{path_of(data)}", headers=RAW)
            if answer.content != data:
                return False
    return True


@pytest.mark.slow
def test_an_upload_ends_well_while_the_server_stops(server):
    upload = SlowUpload(server)
    wait_until(lambda: unfinished(server))
    ended = []
    stopping = threading.Thread(target=lambda: ended.append(server.stop()))
    stopping.start()
    wait_until(lambda: refuses(server))
    assert upload.finish() == 200
    stopping.join(60)
    assert ended == [0]
    server.start()
    assert stored(server, upload)
    assert command(server, "check").exit_code == 0


@pytest.mark.slow
def test_an_upload_ends_well_while_the_server_reloads(server):
    upload = SlowUpload(server)
    wait_until(lambda: unfinished(server))
    before = set(server.workers())
    os.kill(server.process_id, signal.SIGHUP)
    wait_until(lambda: len(set(server.workers()) - before) == 2)
    # New workers answer while an old one waits for the upload.
    assert httpx.get(f"{server.url}studies", timeout=60).status_code == 200
    assert upload.finish() == 200
    assert stored(server, upload)
    wait_until(lambda: not set(server.workers()) & before)


@pytest.mark.slow
@pytest.mark.dicomweb_config({"GracefulTimeout": 1})
def test_an_upload_that_does_not_end_is_given_up_and_leaves_nothing_half_done(server):
    upload = SlowUpload(server)
    wait_until(lambda: unfinished(server))
    server.stop()
    with pytest.raises((OSError, IndexError)):
        upload.finish()
    server.start()
    assert httpx.get(f"{server.url}instances").json() == []
    assert command(server, "check").exit_code == 0
