"""The folder in which the processes of one server count.

prometheus_client knows it by an environment variable, which child processes inherit: also another
server that this one, or a test, starts. So the name of a folder of ours tells whose it is.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "dicomweb-metrics-"
_MARK = "held"
_GRACE_SECONDS = 3600
"""A folder that nobody has held yet may be one that somebody is just making."""


def use_folder() -> Path:
    """The folder of this process and those that it forks, made if need be."""
    named = os.environ.get(VARIABLE)
    if named and not _is_of_another(named):
        folder = Path(named)
        folder.mkdir(parents=True, exist_ok=True)
    else:
        _remove_abandoned(Path(tempfile.gettempdir()))
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        _hold(folder)
        os.environ[VARIABLE] = str(folder)
        atexit.register(_remove, folder, os.getpid())
    _forget_dead(folder, everything=True)
    return folder


def _is_of_another(named: str) -> bool:
    name = Path(named).name
    return name.startswith(_PREFIX) and not name.startswith(f"{_PREFIX}{os.getpid()}-")


def _hold(folder: Path) -> None:
    """Lock a folder for as long as this process or one that it forks lives.

    Not the process ID in its name: that may be somebody else's by now, or of another container.
    Not a file in it: what cleans folders of temporary files deletes files that look idle, and
    systemd-tmpfiles leaves a locked folder alone. Where folders cannot be locked, none is removed.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # until the system closes it
        (folder / _MARK).touch()


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of servers that were killed."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Whether a folder is ours to remove; raises `OSError` if that cannot be told."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(folder, flags)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.getuid():
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Looked for while we have the lock: who makes the folder cannot leave the mark meanwhile.
        return (folder / _MARK).exists() or status.st_mtime < time.time() - _GRACE_SECONDS
    finally:
        os.close(descriptor)


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # workers end before the server does
        shutil.rmtree(folder, ignore_errors=True)


def forget_dead_gauges(folder: Path) -> None:
    """Forget what processes that died were doing; what they counted stays."""
    _forget_dead(folder, everything=False)


def _forget_dead(folder: Path, *, everything: bool) -> None:
    for path in folder.glob("*.db" if everything else "gauge_live*.db"):
        pid = path.stem.rpartition("_")[2]
        if pid.isdigit() and not _lives(int(pid)):
            path.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
