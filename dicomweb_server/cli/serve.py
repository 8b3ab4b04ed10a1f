"""`dicomweb-server serve`: gunicorn with our settings, without a file of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.errors import HaltServer

from dicomweb_server.cli.shared import opened
from dicomweb_server.launch import bind_addresses, settings_for, start_application
from dicomweb_server.web.access import authentication_enabled, check_access, remote_access


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, told everything by us."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        return start_application(Path.cwd())


@click.command()
@click.pass_obj
def serve(chosen: Path | None) -> None:
    """Serve until stopped."""
    if chosen is not None:
        # The application looks for its configuration here, as under plain gunicorn.
        os.environ["DICOMWEB_SERVER_CONFIG"] = str(chosen.absolute())
    # What can be told before the fork is told here, once and not by each worker.
    with opened(None) as context:
        check_access(context)
        config = context.config
    for address in bind_addresses(config):
        click.echo(f"dicomweb-server listens on http://{address}")
    if remote_access(config) and not authentication_enabled(config):
        click.echo("Warning: everybody who reaches this server may see and change everything.")
    try:
        _Server(settings_for(config)).run()
    except HaltServer as error:  # a worker could not start, and said why
        raise SystemExit(error.exit_status) from error
