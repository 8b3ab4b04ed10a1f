"""The worker's side: hands tasks to helpers, and does not suffer when one of them fails."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dicomweb_server.interfaces.codecs import CodecError
from dicomweb_server.isolation import wire
from dicomweb_server.isolation.tasks import TASKS, Toolbox
from dicomweb_server.isolation.template import describe

_START_SECONDS = 60
_LAUNCH = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from dicomweb_server.isolation.template import main; main(int(sys.argv[1]))"
)
# One thread for each library: helpers are forked from a process with a single one, and there is
# one helper for each core already.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class IsolationError(Exception):
    """The processes that decode cannot be had; the message is for an operator."""


class Busy(IsolationError):
    """All helpers have been at work for too long."""


class Crashed(CodecError):
    """The helper ended in the middle of its task."""


class TooSlow(CodecError):
    """The task took longer than it may."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one helper: bytes of memory that it may grow by, and seconds for one task.

    0 bytes are no limit.
    """

    memory: int = 2 << 30
    seconds: float = 20.0


class Runner(ABC):
    """Runs tasks on frames."""

    @abstractmethod
    def run(
        self, task: str, arguments: Mapping[str, Any], *blobs: bytes
    ) -> tuple[Mapping[str, Any], bytes]:
        """The result of one of the `TASKS`: what it tells, in JSON, and its bytes.

        Raises:
            CodecError: the frames cannot be processed; `Crashed` and `TooSlow` are kinds of it.
            IsolationError: the server cannot process any right now.
        """

    def close(self) -> None:  # noqa: B027 # doing nothing is right
        """End what runs; it is started again when it is needed."""


class Inline(Runner):
    """Runs tasks in the process and thread of the caller, without limits."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    def run(
        self, task: str, arguments: Mapping[str, Any], *blobs: bytes
    ) -> tuple[Mapping[str, Any], bytes]:
        """The result of a task."""
        try:
            told, data = TASKS[task](self._tools, arguments, blobs)
        except MemoryError as error:
            raise CodecError("The frame needs more memory than there is.") from error
        # As it comes from a helper.
        return json.loads(json.dumps(told)), b"".join(data)


class _Helper:
    """One helper, as its worker sees it."""

    def __init__(self, pid: int, connection: socket.socket, scratch: wire.Scratch) -> None:
        self.pid = pid
        self._connection = connection
        self._scratch = scratch

    def run(
        self, task: str, arguments: Mapping[str, Any], blobs: Sequence[bytes], seconds: float
    ) -> tuple[Mapping[str, Any], bytes]:
        """The result of a task; raises OSError or EOFError when the helper is lost."""
        self._scratch.write(blobs)
        sizes = [len(blob) for blob in blobs]
        self._connection.settimeout(seconds)
        wire.send(self._connection, {"task": task, "arguments": arguments, "sizes": sizes})
        answer, _ = wire.receive(self._connection)
        try:
            if "error" in answer:
                raise CodecError(str(answer["error"]))
            return answer["told"], self._scratch.read(answer["offset"], answer["size"])
        finally:
            self._scratch.shrink()

    def close(self) -> None:
        """Let it end."""
        self._connection.close()
        self._scratch.close()


class Pool(Runner):
    """Up to `size` helpers, started when they are needed, each doing one task at a time."""

    def __init__(
        self, tools: Toolbox, size: int, limits: Limits, values: Mapping[str, Any] | None = None
    ) -> None:
        """`values`: of the options that codecs and renderers read."""
        self._start = {
            "providers": {
                "codecs": [describe(codec) for codec in tools.codecs],
                "renderers": [describe(renderer) for renderer in tools.renderers],
            },
            "values": dict(values or {}),
        }
        self._limits = limits
        self._places = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[_Helper] = []
        self._template: _Template | None = None

    def run(
        self, task: str, arguments: Mapping[str, Any], *blobs: bytes
    ) -> tuple[Mapping[str, Any], bytes]:
        """The result of a task, by the next helper that is free.

        A helper may have been killed for what is not the fault of its task, as by the kernel for
        want of memory, so a lost task is done once more.
        """
        try:
            return self._once(task, arguments, blobs)
        except Crashed:
            return self._once(task, arguments, blobs)

    def _once(
        self, task: str, arguments: Mapping[str, Any], blobs: Sequence[bytes]
    ) -> tuple[Mapping[str, Any], bytes]:
        with self._helper() as helper:
            began = time.monotonic()
            try:
                return helper.run(task, arguments, blobs, self._limits.seconds)
            except TimeoutError as error:
                raise TooSlow(
                    f"The frame was not done after {self._limits.seconds:g} seconds."
                ) from error
            except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
                spent = time.monotonic() - began
                raise Crashed(
                    f"The frame made its codec fail after {spent:.1f} seconds."
                ) from error

    @contextlib.contextmanager
    def _helper(self) -> Iterator[_Helper]:
        if not self._places.acquire(timeout=2 * self._limits.seconds):
            raise Busy("all processes that decode are busy; see CodecProcesses")
        try:
            helper = self._take()
            usable = False
            try:
                yield helper
                usable = True
            except CodecError as error:
                usable = not isinstance(error, Crashed | TooSlow)
                raise
            finally:
                if usable:
                    self._idle.append(helper)
                else:
                    self._give_up(helper)
        finally:
            self._places.release()

    def _take(self) -> _Helper:
        with contextlib.suppress(IndexError):
            return self._idle.pop()
        with self._lock:
            # Somebody may have ended the template: then there is a new one.
            for _ in range(2):
                if self._template is None:
                    self._template = _Template(self._start)
                with contextlib.suppress(OSError, EOFError):
                    return self._template.fork(self._limits.memory)
                self._template.close()
                self._template = None
        raise IsolationError("the process that helpers come from is gone")

    def _give_up(self, helper: _Helper) -> None:
        helper.close()
        with self._lock:
            if self._template is not None:
                self._template.kill(helper.pid)

    def close(self) -> None:
        """End all helpers."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()
            if self._template is not None:
                self._template.close()
                self._template = None


class _Template:
    """The template of this process; see the package."""

    def __init__(self, start: Mapping[str, Any]) -> None:
        self._control, other = socket.socketpair()
        with other:
            # Nothing of the server but the socket: neither its listeners nor its clients.
            self._process = subprocess.Popen(  # noqa: S603 # nothing of it comes from outside
                [sys.executable, "-c", _LAUNCH, str(other.fileno()), json.dumps(sys.path)],
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                env=os.environ | _ONE_THREAD,
            )
        self._control.settimeout(_START_SECONDS)
        try:
            wire.send(self._control, start)
            answer, _ = wire.receive(self._control)
        except (OSError, EOFError) as error:
            self.close()
            raise IsolationError("the process that helpers come from did not start") from error
        if "error" in answer:
            self.close()
            raise IsolationError(str(answer["error"]))

    def fork(self, memory: int) -> _Helper:
        """A new helper."""
        ours, theirs = socket.socketpair()
        scratch = wire.Scratch()
        try:
            with theirs:
                files = [theirs.fileno(), scratch.descriptor]
                wire.send(self._control, {"do": "fork", "memory": memory}, files)
            answer, _ = wire.receive(self._control)
        except BaseException:
            ours.close()
            scratch.close()
            raise
        return _Helper(answer["pid"], ours, scratch)

    def kill(self, pid: int) -> None:
        """End a helper that does not listen any more."""
        with contextlib.suppress(OSError):
            wire.send(self._control, {"do": "kill", "pid": pid})

    def close(self) -> None:
        """End the template and all of its helpers."""
        self._control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
            return
        self._process.kill()
        self._process.wait()
