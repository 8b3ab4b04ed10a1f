"""Folders of files that can be made again: bounded, and gone with what they were made of.

Each folder of a cache that holds what was made of one thing has a file that names it, so that
somebody can find out later whether it is still there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from dicomweb_server.config import Config
from dicomweb_server.settings import INDEX_DIRECTORY, STORAGE_DIRECTORY

_OWNER = "made-of"


def cache_folder(config: Config) -> Path:
    """The folder of all caches of this node."""
    return config.path(config[INDEX_DIRECTORY] or config[STORAGE_DIRECTORY]) / "cache"


def trim(folder: Path, maximum: int) -> int:
    """Delete the oldest files until the rest has at most `maximum` bytes; how many it has then."""
    files = []
    for at, _, names in os.walk(folder):
        for name in names:
            path = Path(at, name)
            if name == _OWNER:
                continue
            with contextlib.suppress(OSError):
                status = path.stat()
                files.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= maximum:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size
    return total


def open_for(folder: Path, owner: str) -> None:
    """Make the folder of what is made of `owner`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _OWNER
    if not path.exists():
        unique = folder / f"{_OWNER}.{uuid.uuid4().hex}"
        unique.write_text(owner)
        unique.rename(path)


def owned(root: Path) -> Iterator[tuple[Path, str]]:
    """(folder, owner) of every folder in folders of a root; the owner is "" if nothing names it."""
    for above in subfolders(root):
        for folder in subfolders(above):
            owner = ""
            with contextlib.suppress(OSError):
                owner = (folder / _OWNER).read_text()
            yield folder, owner


def is_bare(folder: Path) -> bool:
    """Whether nothing is in a folder of a cache but perhaps the name of its owner."""
    with contextlib.suppress(OSError):  # deleted a moment ago
        return all(path.name == _OWNER for path in folder.iterdir())
    return True


def subfolders(path: Path) -> list[Path]:
    """The folders in a folder; none if it is not there."""
    with contextlib.suppress(OSError):
        return [Path(entry.path) for entry in os.scandir(path) if entry.is_dir()]
    return []


def remove(folder: Path) -> None:
    """Delete a folder with all of its files."""
    shutil.rmtree(folder, ignore_errors=True)
