"""`dicomweb-server import`: files, folders and ZIPs into the archive, without HTTP."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import IO

import click

from dicomweb_server.cli.shared import Interruption, noting_signals, opened
from dicomweb_server.interfaces.index import Origin, Outcome
from dicomweb_server.ps318.store_response import CANNOT_UNDERSTAND, OUT_OF_RESOURCES
from dicomweb_server.services.ingest import Batch, Ingested, IngestService
from dicomweb_server.settings import READ_ONLY

_READ = 1 << 20
_SHOWN = 12
_BATCH = 32
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_GO_ON = "run the same command to go on"
_LISTING = "a DICOMDIR lists files and is no instance"
_DIRECTORY_CLASS = b"\x02\x00\x02\x00UI\x14\x001.2.840.10008.1.3.10"


@dataclass(frozen=True, slots=True)
class Source:
    """One file to import: a path, or a member of a ZIP.

    `named`: somebody gave this very path. What is found in folders and ZIPs need not be DICOM.
    `problem`: why nothing can be read from it.
    """

    path: Path
    member: str = ""
    named: bool = False
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.path}!{self.member}" if self.member else str(self.path)

    @property
    def is_listing(self) -> bool:
        """Whether the name says that it is a list of the files beside it."""
        return (self.member or self.path.name).rpartition("/")[2].upper() == "DICOMDIR"


def find_sources(paths: Sequence[Path], *, named: bool = True) -> Iterator[Source]:
    """Every file below the paths, and every member of the ZIPs among them."""
    for path in paths:
        if path.is_dir():
            files = [found for found in sorted(path.rglob("*")) if found.is_file()]
            yield from find_sources(files, named=False)
        elif _starts_with(path, _ZIP):
            yield from _members(path)
        else:
            yield Source(path, named=named)


def _starts_with(path: Path, magic: tuple[bytes, ...]) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4).startswith(magic)
    except OSError:
        return False  # whoever reads it reports it


def _members(path: Path) -> Iterator[Source]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        yield Source(path, problem=f"the ZIP cannot be read: {error}")
        return
    yield from (Source(path, name) for name in names)


class _Opener:
    """Opens sources; a ZIP stays open while its members follow each other."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._archive: zipfile.ZipFile | None = None

    @contextmanager
    def open(self, source: Source) -> Iterator[IO[bytes]]:
        """The bytes of a source."""
        if not source.member:
            with source.path.open("rb") as file:
                yield file
            return
        if self._archive is None or self._path != source.path:
            self.close()
            self._archive, self._path = zipfile.ZipFile(source.path), source.path
        with self._archive.open(source.member) as member:
            yield member

    def close(self) -> None:
        """Close the ZIP that is open."""
        if self._archive is not None:
            self._archive.close()
        self._archive = self._path = None


class _Tally:
    """Counts what happened, and remembers the refusals for the end."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.refused: list[tuple[Source, str]] = []
        self.skipped: list[tuple[Source, str]] = []

    def add(self, source: Source, result: Ingested) -> None:
        """One file went the way of all instances."""
        if result.outcome is None:
            self.refuse(source, result.message)
        elif result.outcome is Outcome.KEPT:
            self.counts["there already"] += 1
        else:
            self.counts[result.outcome.value] += 1

    def refuse(self, source: Source, why: str) -> None:
        """One file should have been stored and was not."""
        self.counts["refused"] += 1
        self.refused.append((source, why))

    def skip(self, source: Source, why: str) -> None:
        """One file is none of ours."""
        self.counts["skipped"] += 1
        self.skipped.append((source, why))

    def show(self, verbose: bool) -> None:
        """Print everything."""
        _show_list("skipped", self.skipped, verbose)
        _show_list("refused", self.refused, verbose)
        order = ("stored", "replaced", "there already", "skipped", "refused")
        summary = ", ".join(f"{self.counts[word]} {word}" for word in order if self.counts[word])
        click.echo(summary or "nothing found")


def _show_list(word: str, items: Sequence[tuple[Source, str]], verbose: bool) -> None:
    shown = items if verbose else items[:_SHOWN]
    for source, message in shown:
        click.echo(f"{word}: {source}: {message}")
    if len(shown) < len(items):
        click.echo(f"{word}: {len(items) - len(shown)} more; --verbose shows all")


class _Stop(Exception):
    """Going on makes no sense: the archive takes nothing any more."""


@dataclass(slots=True)
class _Started:
    """A file that was given to the batch. `marked`: it has the mark of a DICOM file (PS3.10)."""

    source: Source
    marked: bool = False
    listing: bool = False


class _Importer:
    def __init__(self, ingest: IngestService, tally: _Tally, stop: Interruption) -> None:
        self._ingest = ingest
        self._tally = tally
        self._stop = stop
        self.done = 0
        """How many sources were dealt with."""
        self._opener = _Opener()
        self._origin = Origin("import")

    def take(self, sources: Sequence[Source]) -> None:
        """Store some files together; raises `_Stop` when none of them found room."""
        batch = self._ingest.batch(self._origin)
        started: list[_Started] = []
        try:
            for source in sources:
                # What was read is committed and counted before the end, also when it is asked for.
                if self._stop.requested:
                    break
                self.done += 1
                if source.problem:
                    self._tally.refuse(source, source.problem)
                elif source.is_listing:
                    self._tally.skip(source, _LISTING)
                else:
                    started.append(self._read(batch, source))
            results = batch.commit()
        except BaseException:
            batch.abort()
            for file, result in zip(started, batch.results, strict=False):
                if result.outcome is not None:
                    self._note(file, result)
            raise
        for file, result in zip(started, results, strict=True):
            self._note(file, result)
        stuck = [r for r in results if r.unavailable or r.failure == OUT_OF_RESOURCES]
        if stuck and len(stuck) == len(results):
            raise _Stop(stuck[0].message)

    def _note(self, file: _Started, result: Ingested) -> None:
        if result.outcome is None and file.listing:
            self._tally.skip(file.source, _LISTING)
        elif result.failure == CANNOT_UNDERSTAND and not (file.marked or file.source.named):
            self._tally.skip(file.source, "not DICOM")
        else:
            self._tally.add(file.source, result)

    def _read(self, batch: Batch, source: Source) -> _Started:
        started = _Started(source)
        part = batch.part()
        try:
            with self._opener.open(source) as file:
                data = file.read(_READ)
                started.marked = data[128:132] == b"DICM"
                started.listing = started.marked and _DIRECTORY_CLASS in data[:1024]
                # What was refused need not be read to its end.
                while data and not batch.results[-1].message:
                    part.write(data)
                    data = file.read(_READ)
        except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
            started.marked = True  # nobody knows what it is: it must not be passed over
            part.fail(f"cannot be read: {getattr(error, 'strerror', None) or error}")
        part.finish()
        return started

    def close(self) -> None:
        """Close what is open."""
        self._opener.close()


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--verbose", is_flag=True, help="Show every file that was skipped or refused.")
@click.pass_obj
def import_command(config: Path | None, paths: tuple[Path, ...], verbose: bool) -> None:
    """Store files, folders and ZIP archives.

    It can be repeated after an interruption: what is stored already is not stored again. In
    folders and ZIPs, what is not DICOM is skipped. Ends with status 1 if anything was refused.
    """
    tally = _Tally()
    with opened(config) as context:
        if context.config[READ_ONLY]:
            raise click.ClickException("the configuration says ReadOnly: nothing can be imported")
        context.prepare()
        with noting_signals() as stop:
            stopped = _import(context.services.ingest, paths, tally, stop)
    tally.show(verbose)
    if stopped:
        raise click.ClickException(stopped)
    if tally.refused:
        raise SystemExit(1)


def _import(ingest: IngestService, paths: Sequence[Path], tally: _Tally, stop: Interruption) -> str:
    """Import everything; a sentence when it ended early."""
    importer = _Importer(ingest, tally, stop)
    total = 0
    try:
        sources = list(takewhile(lambda _: not stop.requested, find_sources(paths)))
        total = len(sources)
        with click.progressbar(length=total, label="importing", show_pos=True) as bar:
            for first in range(0, total, _BATCH):
                some = sources[first : first + _BATCH]
                importer.take(some)
                bar.update(len(some))
                if stop.requested:
                    break
    except _Stop as full:
        left = total - importer.done
        return f"stopped, {left} files were not tried: {full}; run the same command again later"
    except KeyboardInterrupt:
        stop.requested = True
    finally:
        importer.close()
    if stop.requested:
        return f"interrupted after {importer.done} of {total} files; {_GO_ON}"
    return ""
