"""`dicomweb-server extension new`: the beginning of an extension, with tests that pass."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import click

from dicomweb_server.cli.shared import extensions_of
from dicomweb_server.cli.skeletons import KINDS, package_of, skeleton
from dicomweb_server.plugins import Extensions

_NAME = re.compile(r"(?=.{1,32}\Z)[a-z][a-z0-9]*(-[a-z0-9]+)*")


@click.group("extension")
def extension_group() -> None:
    """Write extensions; `dicomweb-server extensions` lists those there are."""


@extension_group.command("new")
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where its folder is made; default: the current folder.",
)
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    default="route",
    show_default=True,
    help="What the extension offers.",
)
@click.pass_obj
def new(config: Path | None, name: str, directory: Path, kind: str) -> None:
    """Make the folder dicomweb-NAME with an extension that works, its tests and a README."""
    _check_name(name)
    _check_free(name, kind, extensions_of(config))
    folder = directory / f"dicomweb-{name}"
    _write(folder, skeleton(name, kind))
    click.echo(f"{folder} holds an extension: {KINDS[kind].what}")
    click.echo(f"Next: cd {folder}, pip install -e '.[test]', pytest; its README.md says more.")


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise click.ClickException(
            f"{name!r} is no name for an extension; possible are at most 32 lower-case letters and "
            f"digits that begin with a letter, with single hyphens in between, such as ward-notes"
        )


def _check_free(name: str, kind: str, extensions: Extensions) -> None:
    """Refuse a name that would stop the server because somebody else has it."""
    for info in extensions.infos:
        if info.name == name:
            raise _taken(f"an extension named {name} is there already, from {info.origin}")
    hook = KINDS[kind].hook
    for owner, offered in extensions.collect(hook) if hook else ():
        if getattr(offered, "name", "") == name:
            raise _taken(f"the extension {owner} offers the {KINDS[kind].noun} {name!r} already")
    if importlib.util.find_spec(package_of(name)) is not None:
        raise _taken(f"a Python package {package_of(name)} is installed already")


def _taken(sentence: str) -> click.ClickException:
    return click.ClickException(f"{sentence}; choose another name")


def _write(folder: Path, texts: dict[str, str]) -> None:
    if folder.exists():
        raise click.ClickException(
            f"{folder} exists already; choose another name, or another --directory"
        )
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
