"""`migrate`, `check`, `reindex` and `stats`: looking after an archive."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dicomweb_server.cli.shared import opened
from dicomweb_server.context import ServerContext
from dicomweb_server.interfaces.index import IndexFailure
from dicomweb_server.services.maintenance import Maintenance, Report


@click.command()
@click.pass_obj
def migrate(config: Path | None) -> None:
    """Bring the schema of the index up to date."""
    with opened(config) as context:
        click.echo(context.index.migrate())


@click.command()
@click.option("--repair", is_flag=True, help="Mend what can be mended without losing anything.")
@click.option("--digests", is_flag=True, help="Read every file and compare its SHA-256.")
@click.pass_obj
def check(config: Path | None, repair: bool, digests: bool) -> None:
    """Compare the index with itself and with the stored files, by their sizes.

    Ends with status 1 if something is wrong and was not mended.
    """
    with opened(config) as context:
        maintenance = Maintenance(context.index, context.storages)
        options = context.services.ingest.reading
        report = maintenance.check(options, repair=repair, digests=digests)
    for sentence in report.problems:
        click.echo(sentence)
    click.echo(report.summary)
    if report.unresolved:
        raise SystemExit(1)


@click.command()
@click.option(
    "--tags", is_flag=True, help="Read no files: only fill in ExtraMainDicomTags, from the index."
)
@click.pass_obj
def reindex(config: Path | None, tags: bool) -> None:
    """Read every stored file again and write down what is found; deleted ones stay deleted.

    The server can work meanwhile. Ends with status 1 if files could not be read.
    """
    with opened(config) as context:
        maintenance = Maintenance(context.index, context.storages)
        count = maintenance.count_blobs()
        _prepare(context, count)
        report = None if tags else _read_files(context, maintenance, count)
        _fill(context)
    if report is None:
        return
    for sentence in report.problems:
        click.echo(sentence)
    click.echo(report.summary)
    if report.problems:
        raise SystemExit(1)


def _read_files(context: ServerContext, maintenance: Maintenance, count: int) -> Report:
    with click.progressbar(length=count, label="reindexing") as bar:
        return maintenance.reindex(context.services.ingest.reading, bar.update)


def _fill(context: ServerContext) -> None:
    """Hold the attributes of `ExtraMainDicomTags` of what was stored before they were named."""
    count = context.index.unfilled()
    with click.progressbar(context.index.fill(), length=count, label="extra tags") as bar:
        filled = sum(1 for _ in bar)
    if context.main_tags.has_extra:
        click.echo(f"{filled} studies were lacking attributes of ExtraMainDicomTags, now none is")


def _prepare(context: ServerContext, count: int) -> None:
    """Make the index if there is anything to read: a mistyped path must not become an archive."""
    if count:
        context.prepare()
        return
    try:
        context.index.check()
    except IndexFailure as error:
        raise click.ClickException(f"the storages hold no files, and {error}") from error


@click.command()
@click.pass_obj
def stats(config: Path | None) -> None:
    """Print how much the archive holds, as JSON."""
    with opened(config) as context:
        found = context.index.statistics()
    counts = {
        "patients": found.patients,
        "studies": found.studies,
        "series": found.series,
        "instances": found.instances,
        "bytes": found.size,
    }
    click.echo(json.dumps(counts, indent=2))
