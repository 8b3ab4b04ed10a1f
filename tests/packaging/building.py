"""Builds wheels of copies, so that nothing is left behind in the tree, and without a network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "dicomweb_server", "extensions")
IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")


def run(*command, folder, environ=None, **options):
    """Run a program in a folder, without what the environment says about Python and this project."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DICOMWEB_", "PYTHON"))}
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=kept | (environ or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        **options,
    )


def copied(source, folder, names=None):
    """A copy of a folder, or of some of what is in it."""
    if names is None:
        return shutil.copytree(source, folder, ignore=IGNORED)
    folder.mkdir(exist_ok=True)
    for name in names:
        path = source / name
        if path.is_dir():
            shutil.copytree(path, folder / name, ignore=IGNORED)
        else:
            shutil.copy(path, folder / name)
    return folder


def built(source, target):
    """The wheel of a folder, made by the setuptools that are installed here."""
    command = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation")
    done = run(*command, "-q", "-w", target, source, folder=source)
    assert done.returncode == 0, done.stderr
    (wheel,) = target.glob("*.whl")
    return wheel
