"""`dicomweb-server config` and `dicomweb-server extensions`: what is configured and installed."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dicomweb_server.cli.shared import opened
from dicomweb_server.config import ConfigError
from dicomweb_server.launch import check_start
from dicomweb_server.providers import secret_keys
from dicomweb_server.web.app import load_all, read_configuration
from dicomweb_server.web.server import describe


@click.group("config")
def config_group() -> None:
    """Show or check the configuration."""


@config_group.command("show")
@click.pass_obj
def show(path: Path | None) -> None:
    """Print every option with its value; secrets are masked."""
    raw, base, source = read_configuration(path)
    config, extensions = load_all(raw, base=base, source=source)
    document = config.masked(secret_keys(extensions))
    click.echo(json.dumps(document, indent=2, default=str, ensure_ascii=False))


@config_group.command("check")
@click.pass_obj
def check(path: Path | None) -> None:
    """Say whether a server could start with the configuration."""
    with opened(path, working=False) as context:
        try:
            check_start(context)
        except ConfigError as error:
            where = f"{context.config.source}: " if context.config.source else ""
            raise ConfigError(f"{where}{error}") from error
        source = context.config.source or "the defaults"
    click.echo(f"A server can start with {source}.")


@click.command("extensions")
@click.pass_obj
def extensions_command(path: Path | None) -> None:
    """List what is installed, what it does, and what is in use."""
    with opened(path, working=False) as context:
        described = describe(context)
    for info in described["extensions"]:
        hooks = ", ".join(info["hooks"]) or "-"
        click.echo(f"{info['name']:24} {info['version']:10} {info['status']:9} {hooks}")
    click.echo()
    for kind, chosen in described["in use"].items():
        click.echo(f"{kind + ':':24} {_listed(chosen)}")


def _listed(chosen: object) -> str:
    if isinstance(chosen, dict):
        return ", ".join(f"{alias} ({name})" for alias, name in chosen.items())
    return ", ".join(chosen) if isinstance(chosen, list) else str(chosen)
