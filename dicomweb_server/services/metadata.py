"""Retrieve Metadata (PS3.18 10.4): assembled once, kept as files, sent as they are.

The answer for a study or series is written to a file of the cache, plain and compressed, under a
name that holds the index's version of the resource. The index is asked for that version with
every request, so a change by any process is seen at once and an old file is never sent. Old files
go with the next request, with a deletion, and in a sweep.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import logging
import threading
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from dicomweb_server.dicom import JsonOptions, render
from dicomweb_server.interfaces.auth import EVERYTHING, Scope
from dicomweb_server.interfaces.index import Index, InstanceRecord
from dicomweb_server.interfaces.metadata import MetadataMode
from dicomweb_server.ps318.attributes import creators_of
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services.folders import (
    is_bare,
    open_for,
    owned,
    remove,
    subfolders,
    trim,
)

log = logging.getLogger(__name__)

_COMPRESSION = 4
_VARIANTS = 12
"""Base URLs for which the answer of one resource is kept: a cache per `Host` header would let
anybody fill the disk."""
_TRIM_EVERY = 64

_IDENTITY = ("0020000D", "0020000E", "00080016", "00080018")

Load = Callable[[InstanceRecord], Callable[[str], bytes]]


@dataclass(frozen=True, slots=True)
class Version:
    """What an answer depends on.

    `fields`: the tags that it is restricted to; () for all. `fragments`: what was read in the same
    moment, if anything.
    """

    resource: Resource
    index_version: str
    base_url: str
    mode: str
    scope: Scope
    fields: tuple[str, ...] = ()
    fragments: tuple[tuple[InstanceRecord, bytes], ...] = ()

    def digest(self, *more: str) -> str:
        """A short text that differs whenever an answer may differ.

        What is visible the index's version says already: it was asked within the scope, and who
        may see nothing has none. All who may see the same share one answer.
        """
        parts: tuple[str, ...] = (self.index_version, self.base_url, self.mode)
        parts += (*self.fields, *more)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


class MetadataService:
    """Answers Retrieve Metadata in the configured modes."""

    def __init__(
        self,
        index: Index,
        modes: Mapping[str, MetadataMode],
        *,
        studies: str,
        series: str,
        options: JsonOptions,
        load: Load,
        cache: AnswerCache,
    ) -> None:
        self._index = index
        self._by_depth = (modes[studies], modes[series], modes["Full"])
        self._options = options
        self._load = load
        self._cache = cache

    def mode(self, resource: Resource) -> MetadataMode:
        """The mode for a resource; a single instance is always answered in full."""
        if resource.instance is not None:
            return self._by_depth[2]
        return self._by_depth[0 if resource.series is None else 1]

    def version(
        self, resource: Resource, scope: Scope, base_url: str, fields: Sequence[str] = ()
    ) -> Version | None:
        """What the answer depends on right now; None when there is nothing.

        `fields`: tags to restrict the answer to, beside the UIDs that identify an instance.
        """
        # A private element says nothing without who reserved its block (PS3.5 7.8.1).
        named = {*fields, *creators_of(fields), *_IDENTITY}
        wanted = tuple(sorted(named)) if fields else ()
        mode = self.mode(resource)
        how = f"{mode.fingerprint} {self._options}"
        if resource.instance is not None:
            # So little that asking for its version first would cost more than reading it.
            fragments = tuple(mode.fragments(resource, scope))
            found = "-".join(f"{r.row:x}.{r.revision:x}" for r, _ in fragments)
            return (
                Version(resource, found, base_url, how, scope, wanted, fragments) if found else None
            )
        version = self._index.version(resource, scope)
        return Version(resource, version, base_url, how, scope, wanted) if version else None

    def objects(self, version: Version) -> Iterator[tuple[InstanceRecord, bytes]]:
        """The JSON object of each instance, ready to be sent."""
        mode = self.mode(version.resource)
        plain = self._options == JsonOptions()
        fragments = version.fragments or mode.fragments(version.resource, version.scope)
        for record, fragment in fragments:
            path = Resource(record.study_uid, record.series_uid, record.sop_uid).path
            base = f"{version.base_url}{path}/bulk/"
            load = None if plain else self._load(record)
            text = render(fragment, base, self._options, load)
            yield record, _restricted(text, version.fields) if version.fields else text

    def array(self, version: Version) -> Iterator[bytes]:
        """The JSON array, one piece for each instance."""
        separator = b"["
        for _, text in self.objects(version):
            yield separator + text
            separator = b","
        yield b"[]" if separator == b"[" else b"]"

    def forget(self, study: str | None) -> None:
        """Delete the files of a study that was deleted, or of which something was."""
        self._cache.forget(study)

    def sweep(self) -> None:
        """Delete the files of what is gone or has changed."""
        self._cache.sweep()

    def file(self, version: Version, *, compressed: bool) -> Path | None:
        """A file that holds the JSON array; None when it cannot or should not be kept."""
        if version.resource.instance is not None or version.fields:
            return None
        return self._cache.file(version, lambda: self.array(version), compressed=compressed)


def _restricted(text: bytes, fields: Sequence[str]) -> bytes:
    everything = orjson.loads(text)
    return orjson.dumps({tag: everything[tag] for tag in fields if tag in everything})


class AnswerCache:
    """Files with assembled answers below one folder, up to a number of bytes; 0: none at all."""

    def __init__(self, folder: Path, maximum: int, index: Index) -> None:
        self._folder = folder
        self._maximum = maximum
        self._index = index
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()
        self._written = 0

    def file(
        self, version: Version, pieces: Callable[[], Iterator[bytes]], *, compressed: bool
    ) -> Path | None:
        """The file of an answer, written first if need be; None when it cannot be."""
        if not self._maximum:
            return None
        stem = self._stem(version)
        name = f"{stem[1]}-{version.digest()}.json{'.gz' if compressed else ''}"
        path = stem[0] / name
        if path.exists():
            return path
        with self._single_flight(name.removesuffix(".gz")):
            if path.exists():
                return path
            if not self._make_room(stem, version):
                return None
            resource = version.resource
            try:
                open_for(stem[0], f"{resource.study}\0{resource.series or ''}")
                self._write(path.with_name(name.removesuffix(".gz")), pieces())
            except FileNotFoundError:
                return None  # something of the study was deleted meanwhile
            except OSError as error:
                log.warning("the metadata cache %s cannot be written: %s", self._folder, error)
                return None
            # A deletion meanwhile has looked for files before this one was there.
            if self._index.version(resource, version.scope) is None:
                self.forget(resource.study)
        return path if path.exists() else None

    def forget(self, study: str | None) -> None:
        """Delete what was made of a study."""
        remove(self._of_study(study))

    def sweep(self) -> None:
        """Delete what was made of versions that are not the newest, and of what is gone.

        Everything, if nothing is to be kept; and folders that are left without files.
        """
        if not self._maximum:
            remove(self._folder)
        for above in subfolders(self._folder):
            for folder, owner in owned(above):
                study, _, series = owner.partition("\0")
                if study:
                    self._drop_stale(folder, Resource(study, series or None))
                if not study or is_bare(folder):
                    remove(folder)
            for folder in subfolders(above):
                with contextlib.suppress(OSError):  # most are not empty
                    folder.rmdir()

    def _drop_stale(self, folder: Path, resource: Resource) -> None:
        version = self._index.version(resource, EVERYTHING)
        if version is None:
            remove(folder)
            return
        # Those for who sees a part of the resource go too: they are made again.
        for path in folder.glob("*.json*"):
            if not path.name.startswith(_short(version)):
                path.unlink(missing_ok=True)

    def _of_study(self, study: str | None) -> Path:
        named = hashlib.sha256(str(study).encode()).hexdigest()[:24]
        return self._folder / named[:2] / named

    def _stem(self, version: Version) -> tuple[Path, str]:
        """The folder of a resource's files, and how their names begin for its version."""
        # Who sees some series only has versions of their own.
        seen = version.resource.path + "\0".join(("", *version.scope.series))
        resource = hashlib.sha256(seen.encode()).hexdigest()[:24]
        return self._of_study(version.resource.study) / resource, _short(version.index_version)

    @contextlib.contextmanager
    def _single_flight(self, name: str) -> Iterator[None]:
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._guard:
                if not lock.locked():
                    self._locks.pop(name, None)

    def _make_room(self, stem: tuple[Path, str], version: Version) -> bool:
        """Drop files of older versions; False when enough base URLs have files already."""
        folder, current = stem
        kept = 0
        for path in folder.glob("*.json*") if folder.exists() else ():
            if path.name.startswith(current):
                kept += path.suffix == ".gz"
            else:
                with contextlib.suppress(OSError):
                    path.unlink()
        return kept < _VARIANTS

    def _write(self, path: Path, pieces: Iterator[bytes]) -> None:
        unique = uuid.uuid4().hex
        plain, packed = (path.with_name(f"{path.name}{end}.{unique}") for end in ("", ".gz"))
        try:
            with plain.open("wb") as out, packed.open("wb") as raw:
                with gzip.GzipFile("", "wb", _COMPRESSION, raw, mtime=0) as gz:
                    for piece in pieces:
                        out.write(piece)
                        gz.write(piece)
                size = out.tell() + raw.tell()
            packed.rename(path.with_name(path.name + ".gz"))
            plain.rename(path)
        except BaseException:
            for leftover in (plain, packed):
                leftover.unlink(missing_ok=True)
            raise
        self._account(size)

    def _account(self, size: int) -> None:
        """Look at the size of the whole cache now and then."""
        self._written += 1
        if self._written % _TRIM_EVERY == 1 or size > self._maximum // 4:
            trim(self._folder, self._maximum)


def _short(version: str) -> str:
    return hashlib.sha256(version.encode()).hexdigest()[:12]


def compressed_pieces(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces as one gzip stream."""
    packer = zlib.compressobj(_COMPRESSION, zlib.DEFLATED, 31)
    for piece in pieces:
        packed = packer.compress(piece)
        if packed:
            yield packed
    yield packer.flush()
