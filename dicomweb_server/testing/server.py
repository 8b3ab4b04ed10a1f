"""A real server: gunicorn with its workers, on a free port, to be killed and started again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_START_SECONDS = 60
_STOP_SECONDS = 30


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _open(url: str, timeout: float, tls: ssl.SSLContext | None) -> int:
    try:
        with urllib.request.urlopen(url, timeout=timeout, context=tls) as answer:  # noqa: S310
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        return error.code


class RunningServer:
    """`dicomweb-server serve` as processes of their own, while the `with` block runs.

    `config`: options beside those that say where it listens and keeps its data. `folder`: where
    the configuration, the data and the log lie; a temporary one if None. `tls`: how to reach a
    server with `SslEnabled`. `arguments`: what follows `serve` on the command line.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | None = None,
        *,
        folder: Path | None = None,
        workers: int = 2,
        tls: ssl.SSLContext | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self._tls = tls
        self._arguments = arguments
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="dicomweb-server-")
            folder = Path(self._temporary.name)
        self.folder = folder
        self.port = free_port()
        self.config: dict[str, Any] = {
            "HttpPort": self.port,
            "HttpBindAddresses": ["127.0.0.1"],
            "HttpWorkers": workers,
            "StorageDirectory": str(folder / "data"),
        } | dict(config or {})
        self.config_path = folder / "config.json"
        self.log_path = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:PORT`, or `https://`."""
        scheme = "https" if self.config.get("SslEnabled") else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base URL of DICOMweb, with a slash at its end."""
        return f"{self.origin}/dicom-web/"

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # --- starting and stopping -------------------------------------------------------------

    def start(self) -> None:
        """Start, and return when the server is ready; raises RuntimeError with its log if not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config_path.write_text(json.dumps(self.config))
        command = [sys.executable, "-m", "dicomweb_server", "serve", "--config"]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [*command, str(self.config_path), *self._arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )
        self._wait_until_ready(self._process)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with {process.returncode}:\n{self.log}")
            with contextlib.suppress(OSError):
                ready = _open(f"{self.origin}/health/ready", 5, self._tls) == 200
                if ready and len(self.workers()) == self.config["HttpWorkers"]:
                    return
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"the server was not ready after {_START_SECONDS} s:\n{self.log}")

    def kill(self) -> None:
        """SIGKILL to every process of the server at once, as a power failure would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """Let the server finish what it does; the exit status."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(_STOP_SECONDS)
        finally:
            self.kill()

    def restart(self) -> None:
        """Stop if it runs, and start with the same configuration, data and port."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._clean()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._clean()

    def _clean(self) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()

    # --- looking at it ---------------------------------------------------------------------

    @property
    def process_id(self) -> int:
        """The process that the workers were forked from; signals go to it."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    def workers(self) -> list[int]:
        """The process ids of the workers."""
        if self._process is None:
            return []
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in children.split()]

    def resident_bytes(self) -> dict[int, int]:
        """Worker -> bytes of memory it holds (VmRSS of /proc)."""
        found = {}
        for pid in self.workers():
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            kilobytes = next(line.split()[1] for line in lines if line.startswith("VmRSS:"))
            found[pid] = int(kilobytes) * 1024
        return found

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `dicomweb-server` with this server's configuration."""
        command = [sys.executable, "-m", "dicomweb_server", "--config", str(self.config_path)]
        return subprocess.run(  # noqa: S603
            [*command, *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
        )
