"""Folders of files that can be made again: bounded by deleting what was written longest ago."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def trim(folder: Path, maximum: int) -> int:
    """Delete the oldest files until the rest has at most `maximum` bytes; how many it has then."""
    files = []
    for at, _, names in os.walk(folder):
        for name in names:
            path = Path(at, name)
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
