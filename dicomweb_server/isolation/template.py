"""The process that helpers are forked from. It has one thread, so forking it is safe."""

from __future__ import annotations

import importlib
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dicomweb_server.config import Config
from dicomweb_server.interfaces.codecs import Codec
from dicomweb_server.interfaces.provider import Settings
from dicomweb_server.interfaces.renderers import Renderer
from dicomweb_server.isolation import wire
from dicomweb_server.isolation.helper import limit_memory, serve
from dicomweb_server.isolation.tasks import Toolbox
from dicomweb_server.plugin_files import FILES

_REAP_SECONDS = 5


def describe(provider: Codec | Renderer) -> dict[str, Any]:
    """Where the class of a provider is found again, in JSON."""
    kind = type(provider)
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return {"module": kind.__module__, "name": kind.__qualname__, "file": file}


def build(described: Mapping[str, Any], config: Config) -> Any:
    """The provider that was described."""
    try:
        found: Any = importlib.import_module(described["module"])
    except ImportError:
        # A file that `Plugins` names is found by no import.
        FILES.begin()
        FILES.load(Path(described["file"]))
        found = sys.modules[described["module"]]
    for name in described["name"].split("."):
        found = getattr(found, name)
    return found(Settings(config, {}))


def toolbox(described: Mapping[str, Sequence[Any]], values: Mapping[str, Any]) -> Toolbox:
    """Codecs and renderers from their descriptions and the values of their options."""
    importlib.import_module("dicomweb_server.imaging.presentation")
    config = Config(values, {}, Path.cwd())
    codecs = [build(each, config) for each in described["codecs"]]
    renderers = [build(each, config) for each in described["renderers"]]
    for each in (*codecs, *renderers):
        each.warm_up()
    return Toolbox(codecs, renderers)


def main(descriptor: int) -> None:
    """Fork helpers for the worker at the other end of a socket, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the worker's affair
    control = socket.socket(fileno=descriptor)
    start, _ = wire.receive(control)
    try:
        tools = toolbox(start["providers"], start["values"])
    except Exception as error:
        wire.send(control, {"error": f"the codecs cannot be loaded: {error!r}"})
        return
    wire.send(control, {"ready": True})
    _Nursery(control, tools).run()


class _Nursery:
    """Forks helpers on demand, reaps them, and kills those that the worker gave up."""

    def __init__(self, control: socket.socket, tools: Toolbox) -> None:
        self._control = control
        self._tools = tools
        self._children: set[int] = set()
        # Not select(), which takes no descriptor above 1023: a busy worker has more.
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def run(self) -> None:
        """Until the worker is gone."""
        while self._serve():
            self._reap()
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _serve(self) -> bool:
        if not self._poll.poll(_REAP_SECONDS * 1000):
            return True
        try:
            order, files = wire.receive(self._control, files=2)
        except (EOFError, OSError):
            return False
        self._reap()
        if order["do"] == "fork":
            wire.send(self._control, {"pid": self._fork(files, order["memory"])})
        elif order["pid"] in self._children:
            os.kill(order["pid"], signal.SIGKILL)
        return True

    def _fork(self, files: Sequence[int], memory: int) -> int:
        pid = os.fork()
        if pid:
            self._children.add(pid)
            for each in files:
                os.close(each)
            return pid
        status = 1
        try:
            self._control.close()
            connection, scratch = files
            limit_memory(memory)
            serve(socket.socket(fileno=connection), wire.Scratch(scratch), self._tools)
            status = 0
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while self._children:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._children.clear()
                return
            if not pid:
                return
            self._children.discard(pid)
