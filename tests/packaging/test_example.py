"""The example is a package of its own: built, installed beside the server, and used over HTTP."""

import json
import re
import shlex
import sys
from pathlib import Path

import httpx
import pydicom.data
import pytest

from dicomweb_server.testing.server import RunningServer
from tests.packaging.building import ROOT, built, copied, run

EXAMPLE = ROOT / "examples" / "dicomweb_example_research"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
DATA = Path(pydicom.data.get_testdata_file("CT_small.dcm")).read_bytes()


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """A folder in which the server and the example are installed; the rest is found as here."""
    folder = tmp_path_factory.mktemp("example")
    example = built(copied(EXAMPLE, folder / "tree"), folder / "dist")
    target = folder / "site"
    install = ("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", target)
    done = run(sys.executable, *install, wheel, example, folder=folder)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def server(site, tmp_path, monkeypatch):
    """A server of what is installed, with the configuration that the example tells."""
    (text,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    monkeypatch.setenv("PYTHONPATH", str(site))
    with RunningServer(json.loads(text), folder=tmp_path) as running:
        yield running


def commands():
    """(method, body, path, answer) of each call of curl that the README shows."""
    found = re.findall(r"^    \$ curl (.*)\n((?:    [^$].*\n)*)", README, re.MULTILINE)
    for line, answer in found:
        words = shlex.split(line)
        options = dict(zip(words[:-1:2], words[1:-1:2], strict=True))
        path = words[-1].removeprefix("http://127.0.0.1:8042")
        yield options.get("-X", "GET"), options.get("-d"), path, answer.strip()


def test_the_server_is_the_one_that_is_installed(site, tmp_path):
    code = "import dicomweb_server, dicomweb_example_research as e; print(e.__file__)\n"
    code += "print(dicomweb_server.__file__)"
    environ = {"PYTHONPATH": str(site)}
    done = run(sys.executable, "-c", code, folder=tmp_path, environ=environ)
    assert done.stdout.count(str(site)) == 2, done.stdout + done.stderr


def test_it_does_over_http_what_its_readme_says(server):
    def store():
        headers = {"Content-Type": "application/dicom"}
        return httpx.post(f"{server.url}studies", content=DATA, headers=headers)

    def call(command):
        method, body, path, expected = command
        answer = httpx.request(method, f"{server.origin}{path}", content=body)
        assert answer.is_success
        assert answer.text == expected

    listed = httpx.get(f"{server.origin}/extensions").json()["extensions"]
    (info,) = (each for each in listed if each["name"] == "example-research")
    assert (info["origin"], info["version"]) == ("dicomweb-example-research", "0.1.0")

    enrol, look, withdraw = commands()
    refused = store()
    assert refused.status_code == 409
    assert refused.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0x0124]
    call(enrol)
    server.restart()
    call(look)
    stored = store()
    assert stored.status_code == 202
    url = stored.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    (metadata,) = httpx.get(f"{url}/metadata").json()
    assert metadata["00120020"]["Value"] == ["ACME-1"]
    assert metadata["00120040"]["Value"] == ["S-007"]
    call(withdraw)
    assert store().status_code == 409
    assert "1CT1" not in server.log


@pytest.mark.slow
def test_its_own_tests_pass_when_it_is_installed(site, tmp_path):
    folder = copied(EXAMPLE, tmp_path / "example")
    without = ("-p", "no:cacheprovider", "-p", "no:xdist", "-o", "pythonpath=")
    command = (sys.executable, "-m", "pytest", "-q", *without, "--import-mode=importlib")
    (folder / "dicomweb_example_research").rename(folder / "moved_away")
    done = run(*command, folder=folder, environ={"PYTHONPATH": str(site)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
