"""`backup`, `restore` and `move`: where the bytes lie."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from dicomweb_server.cli.shared import noting_signals, opened
from dicomweb_server.config import ConfigError
from dicomweb_server.context import ServerContext
from dicomweb_server.services.backup import Backup, BackupError, BackupReport, Restoration
from dicomweb_server.services.moving import Moved, Mover

_FOLDER = click.Path(file_okay=False, path_type=Path)


def _told(report: BackupReport) -> None:
    for sentence in report.problems:
        click.echo(sentence)
    click.echo(report.summary)
    if report.problems:
        raise SystemExit(1)


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option("--digests", is_flag=True, help="Read every file and compare its SHA-256.")
@click.option("--copy", is_flag=True, help="Copy files even where links would do.")
@click.pass_obj
def backup(config: Path | None, folder: Path, digests: bool, copy: bool) -> None:
    """Copy the index and the files into a folder; the server may run.

    The same folder again takes what is new, and drops what was deleted. Ends with status 1 if
    files are lost or wrong.
    """
    with opened(config) as context:
        making = Backup(context.index, context.storages, folder, digests=digests, link=not copy)
        try:
            report = making.make()
        except BackupError as error:
            raise click.ClickException(str(error)) from error
    _told(report)


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option("--digests", is_flag=True, help="Read every file and compare its SHA-256.")
@click.option("--copy", is_flag=True, help="Copy files even where links would do.")
@click.pass_obj
def restore(config: Path | None, folder: Path, digests: bool, copy: bool) -> None:
    """Fill an empty archive from the folder of a backup.

    Ends with status 1 if files of the backup are lost or wrong; the others are there.
    """
    with opened(config) as context:
        restoring = Restoration(
            context.index, context.storages, folder, digests=digests, link=not copy
        )
        try:
            report = restoring.run()
        except BackupError as error:
            raise click.ClickException(str(error)) from error
    _told(report)


@click.command()
@click.option("--from", "source", required=True, metavar="ALIAS", help="Where files lie now.")
@click.option("--to", "target", required=True, metavar="ALIAS", help="Where they go.")
@click.option("--older-than", type=click.IntRange(0), metavar="DAYS", help="Received before that.")
@click.option("--study", metavar="UID", help="Those of one study.")
@click.option(
    "--grace",
    type=click.IntRange(0),
    default=60,
    show_default=True,
    help="Seconds for which old files stay, for downloads that began before.",
)
@click.pass_obj
def move(
    config: Path | None,
    source: str,
    target: str,
    older_than: int | None,
    study: str | None,
    grace: int,
) -> None:
    """Move instances from one storage to another; the server may run.

    It can be interrupted, and goes on when it is called again. Ends with status 1 if files could
    not be moved.
    """
    with opened(config) as context:
        _check(context, source, target)
        context.prepare()
        before = None if older_than is None else datetime.now(UTC) - timedelta(days=older_than)
        entries = context.index.blobs(storage=source, received_before=before, study=study)
        mover = Mover(context.index, context.storages, target, grace=grace)
        with noting_signals() as stop:
            moved = mover.move(entries, lambda: stop.requested)
    _tell(moved)
    if stop.requested:
        raise click.ClickException("interrupted; run the same command to go on")


def _check(context: ServerContext, source: str, target: str) -> None:
    possible = sorted(context.storages.by_alias)
    for option, alias in (("--from", source), ("--to", target)):
        if alias not in possible:
            raise ConfigError(
                f"{option} names the storage {alias!r}, which Storages does not define; possible "
                f"are {', '.join(possible)}"
            )
    if source == target:
        raise ConfigError(f"--from and --to both name the storage {source!r}")


def _tell(moved: Moved) -> None:
    for sentence in moved.problems:
        click.echo(sentence)
    click.echo(f"{moved.files} files with {moved.size} bytes were moved")
    if moved.problems:
        raise SystemExit(1)
