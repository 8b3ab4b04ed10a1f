"""The group of commands, and what they share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from dicomweb_server import __version__
from dicomweb_server.cli.configuration import config_group, extensions_command
from dicomweb_server.cli.demo import demo
from dicomweb_server.cli.importing import import_command
from dicomweb_server.cli.maintenance import check, migrate, reindex, stats
from dicomweb_server.cli.serve import serve
from dicomweb_server.config import ConfigError
from dicomweb_server.interfaces.index import IndexFailure
from dicomweb_server.interfaces.state import StateError
from dicomweb_server.interfaces.storage import StorageError
from dicomweb_server.plugins import load_extensions
from dicomweb_server.web.app import load_all, read_configuration

_EXPECTED = (ConfigError, IndexFailure, StateError, StorageError)


class _Commands(click.Group):
    """The core's commands, and those of the extensions that the configuration names."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except _EXPECTED as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dicomweb-server")
@click.option(
    "--config",
    "config_path",
    type=click.Path(exists=True, path_type=Path),
    help="Configuration file, or folder of *.json files.",
)
@click.pass_context
def cli(ctx: click.Context, config_path: Path | None) -> None:
    """A DICOMweb server.

    Without --config, the file that DICOMWEB_SERVER_CONFIG names is used, else config.json in the
    current folder, else the defaults.
    """
    ctx.obj = config_path


for command in (
    *(serve, demo, import_command, config_group, extensions_command),
    *(migrate, check, reindex, stats),
):
    cli.add_command(command)


def _add_extension_commands() -> None:
    """Let extensions add commands; a broken configuration must not hide `config check`."""
    try:
        raw, base, source = read_configuration(None)
        _, extensions = load_all(raw, base=base, source=source)
    except ConfigError:
        extensions = load_extensions()
    extensions.hook.register_commands(cli=cli)


def main() -> None:
    """Entry point of the console script."""
    try:
        _add_extension_commands()
    except ConfigError as error:
        click.echo(f"Warning: {error}", err=True)
    cli(prog_name="dicomweb-server")
    sys.exit(0)
