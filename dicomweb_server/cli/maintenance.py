"""`migrate`, `check`, `reindex` and `stats`: looking after an archive."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dicomweb_server.cli.shared import opened
from dicomweb_server.context import ServerContext
from dicomweb_server.interfaces.index import IndexFailure
from dicomweb_server.services.maintenance import Maintenance


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
        report = Maintenance(context.index, context.storages).check(repair=repair, digests=digests)
    for sentence in report.problems:
        click.echo(sentence)
    click.echo(report.summary)
    if report.unresolved:
        raise SystemExit(1)


@click.command()
@click.pass_obj
def reindex(config: Path | None) -> None:
    """Read every stored file again and write down what is found; deleted ones stay deleted.

    Ends with status 1 if files could not be read.
    """
    with opened(config) as context:
        maintenance = Maintenance(context.index, context.storages)
        count = maintenance.count_blobs()
        _prepare(context, count)
        with click.progressbar(length=count, label="reindexing") as bar:
            report = maintenance.reindex(context.services.ingest.reading, bar.update)
    for sentence in report.problems:
        click.echo(sentence)
    click.echo(report.summary)
    if report.problems:
        raise SystemExit(1)


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
