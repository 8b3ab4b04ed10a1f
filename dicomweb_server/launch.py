"""Starting under gunicorn: its settings from our configuration, and sentences instead of traces."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flask import Flask

from dicomweb_server.config import Config, ConfigError
from dicomweb_server.context import ServerContext
from dicomweb_server.interfaces.index import IndexFailure
from dicomweb_server.settings import (
    HTTP_BIND_ADDRESSES,
    HTTP_PORT,
    HTTP_THREADS,
    HTTP_WORKERS,
    LOG_LEVEL,
)
from dicomweb_server.web.access import remote_access
from dicomweb_server.web.app import create_app, load_all, read_configuration

_M_ARENA_MAX = -8  # from glibc's malloc.h
_ARENAS = 2


def configure_logging(level: str, packages: Iterable[str] = ()) -> None:
    """One line for each message of ours and of the `packages` on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in {"dicomweb_server", *packages}:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False


def start_application(beside: Path) -> Flask:
    """The application for gunicorn. A configuration error ends the process with its sentence."""
    try:
        app = create_app(beside=beside)
    except (ConfigError, IndexFailure) as error:
        sys.stderr.write(f"dicomweb-server cannot start: {error}\n")
        # gunicorn's code for an application that cannot be loaded: it stops the master too.
        raise SystemExit(4) from error
    context: ServerContext = app.extensions["dicomweb_server"]
    plugins = context.extensions.manager.get_plugins()
    configure_logging(
        context.config[LOG_LEVEL], [getattr(p, "__name__", "dicomweb_server") for p in plugins]
    )
    # The workers are forked from here: connections must not cross, and what is loaded is shared
    # as long as the garbage collector does not write to it.
    context.close()
    limit_arenas()
    gc.collect()
    gc.freeze()
    return app


def limit_arenas() -> None:
    """Keep glibc from giving every thread a heap of its own, which it never gives back."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def bind_addresses(config: Config) -> list[str]:
    """`host:port` for each address to listen on."""
    hosts = config[HTTP_BIND_ADDRESSES] or (
        ("0.0.0.0",)  # noqa: S104 # what RemoteAccessAllowed means
        if remote_access(config)
        else ("127.0.0.1",)
    )
    port = config[HTTP_PORT]
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in hosts]


def gunicorn_settings(beside: Path) -> dict[str, Any]:
    """Settings for gunicorn, from the configuration that the application will read too."""
    raw, base, source = read_configuration(None, beside)
    try:
        config, _ = load_all(raw, base=base, source=source)
    except ConfigError as error:
        sys.stderr.write(f"dicomweb-server cannot start: {error}\n")
        raise SystemExit(4) from error
    return settings_for(config)


def settings_for(config: Config) -> dict[str, Any]:
    """gunicorn's settings for a checked configuration."""
    return {
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
        "timeout": 60,
        "graceful_timeout": 30,
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
    }
