"""`dicomweb-server import`: files, folders and ZIPs into the archive, without HTTP."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import click

from dicomweb_server.interfaces.index import Origin, Outcome
from dicomweb_server.services.ingest import Batch, Ingested
from dicomweb_server.web.app import create_context

_READ = 1 << 20
_DOZEN = 12


@dataclass(frozen=True)
class Source:
    """One file to import: a path, or a member of a ZIP."""

    path: Path
    member: str = ""

    def __str__(self) -> str:
        return f"{self.path}!{self.member}" if self.member else str(self.path)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes."""
        if not self.member:
            with self.path.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
            yield file  # type: ignore[misc]


def find_sources(paths: Sequence[Path]) -> Iterator[Source]:
    """Every file below the paths, and every member of the ZIPs among them."""
    for path in paths:
        if path.is_dir():
            files = (p for p in sorted(path.rglob("*")) if p.is_file() and p.name != "DICOMDIR")
            yield from find_sources(list(files))
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = [info.filename for info in archive.infolist() if not info.is_dir()]
            yield from (Source(path, name) for name in names)
        else:
            yield Source(path)


def _read_into(batch: Batch, source: Source) -> None:
    part = batch.part()
    try:
        with source.open() as file:
            while data := file.read(_READ):
                part.write(data)
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        part.fail(f"cannot be read: {error}")
    part.finish()


class _Tally:
    """Counts what happened, and remembers the first refusals for the end."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.refused: list[tuple[Source, str]] = []

    def add(self, source: Source, result: Ingested) -> None:
        if result.outcome is None:
            self.counts["refused"] += 1
            self.refused.append((source, result.message))
        elif result.outcome is Outcome.KEPT:
            self.counts["was there already"] += 1
        else:
            self.counts[result.outcome.value] += 1

    def show(self, verbose: bool) -> None:
        shown = self.refused if verbose else self.refused[:_DOZEN]
        for source, message in shown:
            click.echo(f"refused: {source}: {message}")
        if len(shown) < len(self.refused):
            click.echo(f"... and {len(self.refused) - len(shown)} more; --verbose shows all")
        summary = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
        click.echo(summary or "nothing found")


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--verbose", is_flag=True, help="Show every file that was refused.")
@click.pass_obj
def import_command(config: Path | None, paths: tuple[Path, ...], verbose: bool) -> None:
    """Store files, folders and ZIP archives.

    It can be repeated after an interruption: what is stored already is not stored again. Ends
    with status 1 if anything was refused.
    """
    context = create_context(config)
    context.index.migrate()
    sources = list(find_sources(paths))
    tally = _Tally()
    with click.progressbar(length=len(sources), label="importing", show_pos=True) as bar:
        for start in range(0, len(sources), 32):
            part = sources[start : start + 32]
            batch = context.services.ingest.batch(Origin("import"))
            for source in part:
                _read_into(batch, source)
            for source, result in zip(part, batch.commit(), strict=True):
                tally.add(source, result)
            bar.update(len(part))
    tally.show(verbose)
    context.close()
    if tally.refused:
        raise SystemExit(1)
