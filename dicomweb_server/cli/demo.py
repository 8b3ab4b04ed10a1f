"""`dicomweb-server demo`: the main job, on real files, where one can watch."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pydicom

from dicomweb_server.cli.shared import ending_like_ctrl_c
from dicomweb_server.ps318.multipart import PART_END, MultipartEncoder

_FILES = (
    *("CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm", "examples_palette.dcm"),
    *("examples_rgb_color.dcm", "JPEG2000.dcm", "rtplan.dcm", "reportsi.dcm", "waveform_ecg.dcm"),
    *("liver.dcm", "chrH31.dcm", "chrX1.dcm", "SC_rgb_jpeg_gdcm.dcm", "emri_small.dcm"),
)
_PORT = 8042
_START_SECONDS = 60


def sample_files() -> list[Path]:
    """Real DICOM files that pydicom brings along."""
    root = Path(pydicom.__file__).parent / "data"
    found = [path for name in _FILES for path in sorted(root.rglob(name))]
    return found or sorted(root.rglob("*.dcm"))[:10]


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _server(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The real thing: `dicomweb-server serve` on its defaults, but for a port that is taken."""
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        if port != _PORT:
            config = Path(folder, "config.json")
            data = Path.cwd() / "data"
            config.write_text(json.dumps({"HttpPort": port, "StorageDirectory": str(data)}))
            environment["DICOMWEB_SERVER_CONFIG"] = str(config)
        # However this process ends, the pipe ends with it, and the server with the pipe.
        command = [sys.executable, "-m", "dicomweb_server", "serve", "--end-with-input"]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE)  # noqa: S603
        try:
            _wait(process, port)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise click.ClickException("the server stopped; its message stands above")
        try:
            _get(f"http://127.0.0.1:{port}/health/ready")
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise click.ClickException(f"the server was not ready after {_START_SECONDS} s")


def _get(url: str, accept: str = "*/*") -> bytes:
    request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        body: bytes = answer.read()
        return body


def _store(base: str, files: list[Path]) -> dict[str, Any]:
    encoder = MultipartEncoder(uuid.uuid4().hex)
    parts = []
    for path in files:
        data = path.read_bytes()
        parts += [encoder.part_header("application/dicom", len(data)), data, PART_END]
    body = b"".join([*parts, encoder.closing()])
    headers = {"Content-Type": encoder.content_type("application/dicom")}
    request = urllib.request.Request(f"{base}studies", body, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        document: dict[str, Any] = json.loads(answer.read())
        return document


def _first(attributes: dict[str, Any], tag: str) -> str:
    values = attributes.get(tag, {}).get("Value") or [""]
    value = values[0]
    return str(value.get("Alphabetic", "") if isinstance(value, dict) else value)


def _show(base: str) -> None:
    files = sample_files()
    stored = _store(base, files)["00081199"]["Value"]
    click.echo(f"STOW-RS   stored {len(stored)} of {len(files)} files that come with pydicom")
    studies = json.loads(_get(f"{base}studies?includefield=StudyDescription"))
    click.echo(f"QIDO-RS   found {len(studies)} studies:")
    for study in studies:
        click.echo(
            f"          {_first(study, '00100010')[:28]:28} {_first(study, '00080020'):8} "
            f"{_first(study, '00080061'):6} {_first(study, '00201208'):>3} instance(s)"
        )
    url = stored[0]["00081190"]["Value"][0]
    metadata = json.loads(_get(f"{url}/metadata"))[0]
    click.echo(f"WADO-RS   metadata of the first instance has {len(metadata)} attributes")
    dicom = _get(url, "application/dicom; transfer-syntax=*")
    same = dicom == files[0].read_bytes()
    click.echo(f"WADO-RS   its file came back, {len(dicom)} bytes, byte-identical: {same}")
    if not same:
        raise click.ClickException("the file that came back differs from the one that was stored")
    picture = _get(f"{url}/rendered", "image/png")
    click.echo(f"WADO-RS   rendered as PNG: {len(picture)} bytes")
    study = url.split("/series/")[0]
    click.echo("\nOpen or curl:")
    for address in (
        *(f"{base}studies", f"{study}/series", f"{study}/metadata", f"{url}/metadata"),
        *(f"{url}/rendered", f"{study}/thumbnail"),
    ):
        click.echo(f"  {address}")


@click.command()
@click.option("--once", is_flag=True, help="Stop when everything was shown.")
def demo(once: bool) -> None:
    """Start a server, store real files, find, retrieve and render them."""
    port = _free_port(_PORT)
    with ending_like_ctrl_c(), _server(port) as process:
        _show(f"http://127.0.0.1:{port}/dicom-web/")
        if once:
            click.echo("\nDone.")
            return
        click.echo("\nThe server runs until you press Ctrl-C.")
        try:
            process.wait()
        except KeyboardInterrupt:
            click.echo("\nStopping.")
