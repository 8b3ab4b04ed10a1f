"""The folder in which the processes of one server count.

prometheus_client knows it by an environment variable, which child processes inherit: also another
server that this one, or a test, starts. So the name of a folder of ours tells whose it is.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "dicomweb-metrics-"


def use_folder() -> Path:
    """The folder of this process and those that it forks, made if need be."""
    named = os.environ.get(VARIABLE)
    if named and not _is_of_another(named):
        folder = Path(named)
        folder.mkdir(parents=True, exist_ok=True)
    else:
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        os.environ[VARIABLE] = str(folder)
        atexit.register(_remove, folder, os.getpid())
    _forget_dead(folder, everything=True)
    return folder


def _is_of_another(named: str) -> bool:
    name = Path(named).name
    return name.startswith(_PREFIX) and not name.startswith(f"{_PREFIX}{os.getpid()}-")


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
