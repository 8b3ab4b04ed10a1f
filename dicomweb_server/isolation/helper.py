"""A helper: does one task after another until its worker is gone."""

from __future__ import annotations

import resource
import socket
import sys
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from dicomweb_server.dicom import DicomError
from dicomweb_server.isolation import wire
from dicomweb_server.isolation.tasks import TASKS, Toolbox


class _Parts(Sequence[bytes]):
    """The bytes that came with a task, read when they are asked for."""

    def __init__(self, scratch: wire.Scratch, sizes: Sequence[int]) -> None:
        self._scratch = scratch
        self._sizes = sizes
        self._starts = list(accumulate(sizes, initial=0))

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        return self._scratch.read(self._starts[number], self._sizes[number])


def limit_memory(size: int) -> None:
    """Let this process grow by `size` bytes; 0: without limit."""
    if size:
        most = _address_space() + size
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    # Core dumps hold pictures of patients.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _address_space() -> int:
    try:
        pages = Path("/proc/self/statm").read_text("ascii").split()[0]
        return int(pages) * resource.getpagesize()
    except OSError:  # no Linux
        return 1 << 32


def serve(connection: socket.socket, scratch: wire.Scratch, tools: Toolbox) -> None:
    """Answer tasks until the other end is closed."""
    while True:
        try:
            task, _ = wire.receive(connection)
        except (EOFError, OSError):
            return
        wire.send(connection, _answer(task, scratch, tools))


def _answer(task: dict[str, Any], scratch: wire.Scratch, tools: Toolbox) -> dict[str, Any]:
    sizes = task["sizes"]
    try:
        blobs = _Parts(scratch, sizes)
        told, data = TASKS[task["task"]](tools, task["arguments"], blobs)
        # Behind what came: some of that may still be read while the result is made.
        offset = sum(sizes)
        return {"told": told, "offset": offset, "size": scratch.write(data, offset)}
    except DicomError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": "The frame needs more memory than the server gives it."}
    except Exception as error:
        print(f"a task failed: {error!r}", file=sys.stderr, flush=True)
        return {"error": f"The frame cannot be processed: {type(error).__name__}."}
