"""The group of commands, and what they share."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from dicomweb_server import __version__
from dicomweb_server.cli.authoring import extension_group
from dicomweb_server.cli.configuration import config_group, extensions_command
from dicomweb_server.cli.copying import backup, move, restore
from dicomweb_server.cli.demo import demo
from dicomweb_server.cli.documenting import docs_command
from dicomweb_server.cli.importing import import_command
from dicomweb_server.cli.maintenance import check, migrate, reindex, stats
from dicomweb_server.cli.protecting import protect
from dicomweb_server.cli.serve import serve
from dicomweb_server.cli.shared import extensions_of, opened
from dicomweb_server.context import COMMAND_KEY
from dicomweb_server.launch import EXPECTED, TRACEBACK, reason
from dicomweb_server.web.logs import OwnHandler

_CLICKS_OWN = (click.ClickException, click.Abort, click.exceptions.Exit)


def _remember(ctx: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    """Keep the path for the command that runs; what stands later on the line wins."""
    if value is not None:
        ctx.obj = value


def _config_option() -> click.Option:
    return click.Option(
        ["--config"],
        type=click.Path(exists=True, path_type=Path),
        expose_value=False,
        callback=_remember,
        help="Configuration file, or folder of *.json files.",
    )


def accept_config(command: click.Command) -> click.Command:
    """Let a command, and all below it, take `--config` too."""
    if not any("--config" in parameter.opts for parameter in command.params):
        command.params.append(_config_option())
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            accept_config(inner)
    return command


class Commands(click.Group):
    """The core's commands, and those of the extensions that the configuration names."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.of_extensions: dict[str, click.Command] = {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Which commands there are depends on the configuration, wherever on the line it is named.
        self.of_extensions = extension_commands(_named(args))
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.of_extensions})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or self.of_extensions.get(cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        ctx.meta[COMMAND_KEY] = opened
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            raise click.ClickException(reason(error)) from error
        except _CLICKS_OWN:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise
            if os.environ.get(TRACEBACK):
                raise
            raise click.ClickException(reason(error)) from error


def _named(args: Sequence[str]) -> Path | None:
    """The path that `--config` names anywhere on the line; the last one counts."""
    found = None
    for position, word in enumerate(args):
        if word == "--":
            break
        if word == "--config" and position + 1 < len(args):
            found = args[position + 1]
        elif word.startswith("--config="):
            found = word.partition("=")[2]
    path = Path(found) if found else None
    return path if path is not None and path.exists() else None


def extension_commands(path: Path | None) -> dict[str, click.Command]:
    """What extensions add. A broken configuration must not hide `config check`."""
    collected = click.Group()
    try:
        extensions_of(path).call("register_commands", cli=collected)
    except Exception as error:
        click.echo(f"Warning: commands of extensions are missing: {error}", err=True)
    return {name: accept_config(command) for name, command in collected.commands.items()}


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dicomweb-server")
def cli() -> None:
    """A DICOMweb server.

    Without --config, the file that DICOMWEB_SERVER_CONFIG names is used, else config.json in the
    current folder, else the defaults.
    """
    handler = OwnHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler])


def _core_commands() -> Iterable[click.Command]:
    yield from (serve, demo, import_command, config_group, extensions_command)
    yield extension_group
    yield from (migrate, check, reindex, stats, protect, backup, restore, move, docs_command)


for each in _core_commands():
    cli.add_command(each)
accept_config(cli)


def main() -> None:
    """Entry point of the console script."""
    cli(prog_name="dicomweb-server")
