"""`dicomweb-server serve`: gunicorn with our settings, without a file of its own."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import click
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.errors import HaltServer

from dicomweb_server.cli.shared import opened
from dicomweb_server.config import Config
from dicomweb_server.launch import (
    bind_addresses,
    check_addresses,
    settings_for,
    start_application,
)
from dicomweb_server.settings import TRACE_HOOKS
from dicomweb_server.tls import scheme
from dicomweb_server.web.access import authentication_enabled, check_access, remote_access


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, told everything by us."""

    def __init__(self, settings: dict[str, Any], instead: dict[str, Any]) -> None:
        self._settings = settings
        self._instead = instead
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        return start_application(Path.cwd(), self._instead)


def _announce(config: Config) -> None:
    """Say where the server is; gunicorn calls this when it listens."""
    for address in bind_addresses(config):
        click.echo(f"dicomweb-server listens on {scheme(config)}://{address}")
    if remote_access(config) and not authentication_enabled(config):
        click.echo("Warning: everybody who reaches this server may see and change everything.")


def _end_with_input() -> None:
    """Stop the server when its standard input ends, and with it whoever holds the other end."""

    def watch() -> None:
        # Not sys.stdin: workers are forked while its lock is held.
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


@click.command()
@click.option(
    "--trace-hooks",
    is_flag=True,
    help="Log what each extension does, and how long it takes; the option TraceHooks.",
)
@click.option("--end-with-input", is_flag=True, hidden=True, help="Stop when stdin is closed.")
@click.pass_obj
def serve(chosen: Path | None, trace_hooks: bool, end_with_input: bool) -> None:
    """Serve until stopped."""
    if chosen is not None:
        # The application looks for its configuration here, as under plain gunicorn.
        os.environ["DICOMWEB_SERVER_CONFIG"] = str(chosen.absolute())
    # What can be told before the fork is told here, once and not by each worker.
    with opened(None, quiet=True) as context:
        check_access(context)
        check_addresses(context.config)
        config = context.config
    if end_with_input:
        _end_with_input()
    settings = settings_for(config) | {"when_ready": lambda _arbiter: _announce(config)}
    try:
        _Server(settings, {TRACE_HOOKS.name: True} if trace_hooks else {}).run()
    except HaltServer as error:  # a worker could not start, and said why
        raise SystemExit(error.exit_status) from error
