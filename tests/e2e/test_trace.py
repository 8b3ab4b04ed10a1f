"""The trace of a real server, however it is started."""

import json
import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from dicomweb_server.testing.dicom import make_instance, path_of
from dicomweb_server.testing.server import RunningServer, free_port
from tests.docs.helpers import ROOT

DICOM = {"Content-Type": "application/dicom"}


def fields(log):
    """The objects in a log of JSON."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def is_number(value):
    return isinstance(value, float | int) and not isinstance(value, bool)


def used(url):
    """Store an instance and read it back."""
    data = make_instance(PatientID="Secret")
    with httpx.Client() as client:
        assert client.post(f"{url}studies", content=data, headers=DICOM).status_code == 200
        raw = {"Accept": "application/dicom; transfer-syntax=*", "X-Request-ID": "mine"}
        assert client.get(f"{url}{path_of(data)}", headers=raw).content == data


def check_trace(log):
    """The log of a server that was `used` tells who did what."""
    told = fields(log)
    hooks = {(each["hook"], each["extension"]): each for each in told if "hook" in each}
    assert hooks["register_indexes", "index-sql"]["answered"] == "a list of 1: SqlIndex"
    starts = {each["extension"]: each for each in told if "steps" in each}
    assert {"load", "register", "hooks", "build"} == starts["index-sql"]["steps"].keys()
    requests = [each for each in told if "extensions" in each]
    (stored,) = (each for each in requests if each["method"] == "POST")
    (read,) = (each for each in requests if each["request_id"] == "mine")
    assert {"storage-filesystem", "index-sql"} <= stored["extensions"].keys()
    assert "index-sql" in read["extensions"]
    numbers = [each["milliseconds"] for each in (*hooks.values(), *starts.values())]
    for each in requests:
        numbers += each["extensions"].values()
    assert all(is_number(number) for number in numbers)
    assert all(each["logger"] == "dicomweb_server.trace" for each in (*requests, *hooks.values()))
    assert "Secret" not in log


@pytest.mark.parametrize(
    ("options", "arguments"), [({"TraceHooks": True}, ()), ({}, ("--trace-hooks",))]
)
def test_by_the_command(tmp_path, options, arguments):
    config = {"LogFormat": "json", "LogLevel": "warning"} | options
    with RunningServer(config, folder=tmp_path, arguments=arguments) as server:
        used(server.url)
        server.stop()
        check_trace(server.log)


def test_without_it_the_log_has_no_trace(tmp_path):
    with RunningServer({"LogFormat": "json", "LogLevel": "debug"}, folder=tmp_path) as server:
        used(server.url)
        server.stop()
        told = fields(server.log)
    assert not any("hook" in each or "extensions" in each for each in told)
    # How long the start took is there all the same.
    assert "index-sql" in {each["extension"] for each in told if "steps" in each}


def test_under_plain_gunicorn(tmp_path):
    port = free_port()
    config = {
        "HttpPort": port,
        "HttpWorkers": 1,
        "StorageDirectory": "data",
        "TraceHooks": True,
        "LogFormat": "json",
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    gunicorn = ["-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "--chdir", str(ROOT)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *gunicorn, "wsgi:app"],
            env=os.environ | {"DICOMWEB_SERVER_CONFIG": str(tmp_path / "config.json")},
            stderr=log,
        )
    try:
        wait_until_ready(process, f"http://127.0.0.1:{port}/health/ready")
        used(f"http://127.0.0.1:{port}/dicom-web/")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    check_trace((tmp_path / "log").read_text())


def wait_until_ready(process, url):
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the server was not ready")
