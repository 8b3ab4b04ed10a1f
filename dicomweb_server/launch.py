"""Starting under gunicorn: its settings from our configuration, and sentences instead of traces."""

from __future__ import annotations

import logging
import os
import sys
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


def configure_logging(level: str) -> None:
    """One line for each message on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("dicomweb_server")
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
    configure_logging(context.config[LOG_LEVEL])
    return app


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
    """Settings for gunicorn; the application is built in each worker, not before the fork."""
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
    }
