"""Starting under gunicorn: its settings from our configuration, and sentences instead of traces."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import logging
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask

from dicomweb_server.config import Config, ConfigError
from dicomweb_server.context import ServerContext
from dicomweb_server.http.access import CONTEXT_KEY
from dicomweb_server.interfaces.index import IndexFailure
from dicomweb_server.interfaces.state import StateError
from dicomweb_server.interfaces.storage import StorageError
from dicomweb_server.settings import (
    GRACEFUL_TIMEOUT,
    HTTP_BIND_ADDRESSES,
    HTTP_PORT,
    HTTP_THREADS,
    HTTP_WORKERS,
    LOG_FORMAT,
    LOG_LEVEL,
)
from dicomweb_server.tls import encryption
from dicomweb_server.web.access import check_access, remote_access
from dicomweb_server.web.app import (
    build_app,
    create_app,
    load_all,
    read_configuration,
    read_early,
)
from dicomweb_server.web.logs import OwnHandler, formatter

log = logging.getLogger(__name__)

_M_ARENA_MAX = -8  # from glibc's malloc.h
_ARENAS = 2
_SILENCE = 60
_CANNOT_LOAD = 4
"""gunicorn's exit status for an application that cannot be loaded: it stops the master too."""
EXPECTED = (ConfigError, IndexFailure, StateError, StorageError)
"""What says in its own words why something cannot be done."""
TRACEBACK = "DICOMWEB_SERVER_TRACEBACK"
"""Environment variable: when it is set, an unexpected failure shows where it happened."""


def reason(error: Exception) -> str:
    """One sentence about any failure, for an operator."""
    if isinstance(error, EXPECTED):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return f"the Python package {error.name} is needed for this and is not installed"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'a file'}: {error.strerror}"
    return f"unexpected {type(error).__name__}: {error} (set {TRACEBACK}=1 to see where)"


@contextmanager
def _starting() -> Iterator[None]:
    """Whatever fails ends the process with a sentence."""
    try:
        yield
    except Exception as error:
        if os.environ.get(TRACEBACK) and not isinstance(error, EXPECTED):
            raise
        sys.stderr.write(f"dicomweb-server cannot start: {reason(error)}\n")
        raise SystemExit(_CANNOT_LOAD) from error


def configure_logging(level: str, packages: Iterable[str] = (), kind: str = "text") -> None:
    """One line for each message of ours and of the `packages` on standard error.

    `kind`: "text", or "json"; then gunicorn's messages are JSON too.
    """
    # None of our forms names them, and to find them out is a third of a message.
    logging.logThreads = logging.logMultiprocessing = False
    logging._srcfile = None  # as the documentation of logging says
    handler = OwnHandler(sys.stderr)
    handler.setFormatter(formatter(kind))
    # Of all others, whose loggers have no handler: extensions at the start, libraries ever.
    root = logging.getLogger()
    for former in [each for each in root.handlers if isinstance(each, OwnHandler)]:
        root.removeHandler(former)
    root.addHandler(handler)
    for name in {"dicomweb_server", *packages}:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False
    if kind == "json":
        for other in logging.getLogger("gunicorn.error").handlers:
            other.setFormatter(formatter(kind))


def start_application(beside: Path, instead: Mapping[str, Any] = {}) -> Flask:
    """The application for gunicorn. Whatever fails ends the process with a sentence.

    `instead`: options of the top level that win over those of the configuration.
    """
    with _starting():
        _log_the_start(beside)
        app = create_app(beside=beside, instead=instead)
    context: ServerContext = app.extensions[CONTEXT_KEY]
    plugins = context.extensions.manager.get_plugins()
    packages = [getattr(plugin, "__name__", "dicomweb_server") for plugin in plugins]
    configure_logging(context.config[LOG_LEVEL], packages, context.config[LOG_FORMAT])
    # The workers are forked from here: connections must not cross, and what is loaded is shared
    # as long as the garbage collector does not write to it.
    context.close()
    limit_arenas()
    gc.collect()
    gc.freeze()
    return app


def _log_the_start(beside: Path) -> None:
    """Let what is said before all options are known look as the configuration wants it."""
    raw, base, source = read_configuration(None, beside)
    early = read_early(raw, LOG_LEVEL, LOG_FORMAT, base=base, source=source)
    configure_logging(early[LOG_LEVEL], kind=early[LOG_FORMAT])


def limit_arenas() -> None:
    """Keep glibc from giving every thread a heap of its own, which it never gives back."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def check_start(context: ServerContext) -> None:
    """Raise `ConfigError` if a server could not start, as far as can be told without starting it.

    Neither the database nor the folders are touched.
    """
    check_access(context)
    check_addresses(context.config)
    encryption(context.config)
    build_app(context)


def check_addresses(config: Config) -> None:
    """Raise `ConfigError` unless this machine can listen on every address."""
    port = config[HTTP_PORT]
    for host in _hosts(config):
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:  # perhaps by this very server
                continue
            option = HTTP_PORT if error.errno == errno.EACCES else HTTP_BIND_ADDRESSES
            raise ConfigError(
                f"{option.name}: port {port} of {host} cannot be listened on: {error.strerror}; "
                f"possible are addresses of this machine, and ports that this user may open"
            ) from error


def _hosts(config: Config) -> tuple[str, ...]:
    if config[HTTP_BIND_ADDRESSES]:
        return config[HTTP_BIND_ADDRESSES]
    # All of them is what RemoteAccessAllowed means.
    return ("0.0.0.0",) if remote_access(config) else ("127.0.0.1",)  # noqa: S104


def bind_addresses(config: Config) -> list[str]:
    """`host:port` for each address to listen on."""
    port = config[HTTP_PORT]
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in _hosts(config)]


def gunicorn_settings(beside: Path) -> dict[str, Any]:
    """Settings for gunicorn, from the configuration that the application will read too."""
    with _starting():
        raw, base, source = read_configuration(None, beside)
        config, _ = load_all(raw, base=base, source=source)
        return settings_for(config)


def _tls_settings(config: Config) -> dict[str, Any]:
    """gunicorn's settings for TLS; raises `ConfigError` when a certificate cannot be used."""
    encrypted = encryption(config, _SILENCE)
    if encrypted is None:
        return {}

    def ssl_context(_settings: Any, _default: Any) -> Any:
        return encrypted

    return {"certfile": encrypted.certificate, "ssl_context": ssl_context}


def _begin_housekeeping(worker: Any) -> None:
    """Threads do not survive the fork: each worker begins its own."""
    context: ServerContext | None = getattr(worker.wsgi, "extensions", {}).get(CONTEXT_KEY)
    if context is not None:
        context.services.housekeeper.start()
        return
    log.warning(
        "gunicorn serves a %s around the application, so CacheSweepSeconds has no effect; "
        "middleware in `app.wsgi_app` leaves gunicorn the application itself",
        type(worker.wsgi).__name__,
    )


def settings_for(config: Config) -> dict[str, Any]:
    """gunicorn's settings for a checked configuration."""
    return _tls_settings(config) | {
        "bind": bind_addresses(config),
        "workers": config[HTTP_WORKERS] or os.cpu_count() or 1,
        # Threads: a worker of the default kind is killed when a download takes too long.
        "worker_class": "dicomweb_server.worker.LingeringThreadWorker",
        "threads": config[HTTP_THREADS],
        "keepalive": 15,
        # 90 UIDs in a query do not fit into the default of 4094.
        "limit_request_line": 8190,
        "limit_request_field_size": 16380,
        # Longest time without a heartbeat: threads may work for longer than this.
        "timeout": _SILENCE,
        "graceful_timeout": config[GRACEFUL_TIMEOUT],
        "accesslog": None,  # our own log has no query strings
        "loglevel": "warning" if config[LOG_LEVEL] == "info" else config[LOG_LEVEL],
        "control_socket_disable": True,
        # What proxies say is judged by `TrustedProxies`, not by gunicorn, which would take the
        # scheme and SCRIPT_NAME from every client of this machine.
        "forwarded_allow_ips": "",
        "secure_scheme_headers": {},
        "forwarder_headers": "",
        # Loaded once, before the fork: workers share the memory of the code.
        "preload_app": True,
        "post_worker_init": _begin_housekeeping,
    }
