"""What several commands need."""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from dicomweb_server.config import Config, ConfigError
from dicomweb_server.context import ServerContext
from dicomweb_server.plugins import Extensions, load_extensions
from dicomweb_server.settings import INDEX_DIRECTORY, STORAGE_DIRECTORY
from dicomweb_server.web.app import create_context, load_all, read_configuration


@contextmanager
def opened(
    config: Path | None, *, quiet: bool = False, working: bool = True
) -> Iterator[ServerContext]:
    """The context of a configuration, closed at the end whatever happens.

    `quiet`: without warnings, since something that is started later gives them again. `working`:
    it is used on the archive of a server, whose user this must be.
    """
    if quiet:
        logging.disable(logging.WARNING)
    try:
        context = create_context(config)
    finally:
        if quiet:
            logging.disable(logging.NOTSET)
    try:
        if working:
            _require_owner(context.config)
        yield context
    finally:
        context.close()


def _require_owner(config: Config) -> None:
    """Raise `ConfigError` if root would leave files to a server that cannot read them."""
    data = config.path(config[STORAGE_DIRECTORY])
    index = config.path(config[INDEX_DIRECTORY] or config[STORAGE_DIRECTORY])
    for path in (index / "index.sqlite", data / "instances" / ".dicomweb-storage"):
        with contextlib.suppress(OSError):
            owner = path.stat().st_uid
            if owner != os.geteuid() == 0:
                raise ConfigError(
                    f"{path} belongs to {_name_of(owner)}, and a server that runs as that user "
                    f"could not read what root makes: run this as that user, for example with "
                    f"`runuser -u {_name_of(owner)} -- dicomweb-server ...`"
                )


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def extensions_of(config: Path | None) -> Extensions:
    """The extensions of a configuration; if that is wrong, those that are installed."""
    try:
        raw, base, source = read_configuration(config)
        return load_all(raw, base=base, source=source)[1]
    except ConfigError:
        return load_extensions()


class Interruption:
    """Notes Ctrl-C and SIGTERM, so that what is being done can be finished; a second one raises."""

    def __init__(self) -> None:
        self.requested = False

    def note(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


_HUNG_UP = getattr(signal, "SIGHUP", signal.SIGTERM)


@contextmanager
def noting_signals() -> Iterator[Interruption]:
    """Signals that ask for the end only ask, while the block runs."""
    interruption = Interruption()
    with _handled(interruption.note, (signal.SIGINT, signal.SIGTERM, _HUNG_UP)):
        yield interruption


@contextmanager
def ending_like_ctrl_c() -> Iterator[None]:
    """SIGTERM and a closed terminal raise KeyboardInterrupt while the block runs."""
    with _handled(_raise, (signal.SIGTERM, _HUNG_UP)):
        yield


@contextmanager
def _handled(
    handler: Callable[[int, FrameType | None], None], signals: tuple[int, ...]
) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals in the main thread only
        return
    # What is ignored (by nohup, for example) stays ignored.
    mine = [s for s in set(signals) if signal.getsignal(s) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in mine}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
