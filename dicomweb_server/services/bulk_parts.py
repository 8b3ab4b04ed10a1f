"""Bulk data parts of a store request, kept in one temporary file until the request is complete.

The metadata come first and name their bulk data, but a file (PS3.10) has its elements in order: so
nothing can be written before the last part is there.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from tempfile import SpooledTemporaryFile
from typing import Final

from dicomweb_server.dicom.build import Place
from dicomweb_server.ps318.locations import frame_locations, resolved
from dicomweb_server.ps318.media_types import OCTET_STREAM, modern_name, parse_or_none
from dicomweb_server.ps318.store_response import (
    CANNOT_UNDERSTAND,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
)

_IN_MEMORY: Final = 1 << 20
"""Bytes of all bulk data of a request that need no file."""


class NotStorable(Exception):
    """An instance cannot be made; `failure` is a Failure Reason (0008,1197)."""

    def __init__(self, message: str, failure: int = CANNOT_UNDERSTAND) -> None:
        super().__init__(message)
        self.message, self.failure = message, failure


@dataclass(slots=True)
class BulkPart:
    """All parts of one Content-Location, in order.

    Attributes:
        location: as the first part spells it.
        media_type, transfer_syntax: of its Content-Type; "" if it names no transfer syntax.
        place: where the bytes lie in the temporary file, one range for each part.
        problem: why the bytes cannot be used, None if they can.
        used: whether an instance refers to it.
    """

    location: str
    media_type: str
    transfer_syntax: str
    place: Place = field(default_factory=Place)
    problem: NotStorable | None = None
    used: bool = False


class BulkParts:
    """Takes bulk data parts and finds them by their BulkDataURI. Close it after use."""

    def __init__(self, base: str) -> None:
        """`base`: the URL to which locations are relative."""
        self._base = base
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 # closed by `close`
        self._end = 0
        self._parts: dict[str, BulkPart] = {}
        self.lost: list[str] = []

    def close(self) -> None:
        """The temporary file is no longer needed."""
        self._file.close()

    def part(self, headers: Mapping[str, str]) -> BulkSink:
        """The next part, of which its headers are known."""
        text = headers.get("content-type", OCTET_STREAM)
        found = parse_or_none(text)
        if found is None:
            return BulkSink(self, None, f"a bulk data part has the type {text[:100]!r}")
        location = headers.get("content-location", "").strip()
        if not location:
            return BulkSink(self, None, "a bulk data part has no Content-Location")
        kind = modern_name(found.essence)
        syntax = found.get("transfer-syntax") or ""
        key = resolved(self._base, location)
        part = self._parts.setdefault(key, BulkPart(location, kind, syntax))
        if (part.media_type, part.transfer_syntax) != (kind, syntax):
            part.problem = NotStorable(
                f"the parts with the Content-Location {location[:200]!r} have several media types: "
                f"{part.media_type} {part.transfer_syntax} and {kind} {syntax}".rstrip()
            )
        return BulkSink(self, part)

    def find(self, uri: str) -> BulkPart:
        """The parts that a BulkDataURI means; raises `NotStorable` if there are none or bad ones.

        If no part lies there itself, those of single frames below it are taken in their order.
        """
        key = resolved(self._base, uri)
        part = self._parts.get(key) or self._of_frames(key, uri)
        if part is None:
            raise NotStorable(
                f"no part has the Content-Location {uri[:200]!r}, which a BulkDataURI names"
            )
        part.used = True
        if part.problem is not None:
            raise part.problem
        return part

    def _of_frames(self, key: str, uri: str) -> BulkPart | None:
        wanted = list(takewhile(self._parts.__contains__, frame_locations(key)))
        frames = [self._parts[each] for each in wanted]
        if not frames or ("," in key and len(frames) < key.rpartition("/")[2].count(",") + 1):
            return None
        whole = BulkPart(uri, frames[0].media_type, frames[0].transfer_syntax)
        for frame in frames:
            frame.used = True
            same = (frame.media_type, frame.transfer_syntax)
            if same != (whole.media_type, whole.transfer_syntax):
                raise NotStorable(f"the frames at {uri[:200]!r} have several media types")
            whole.problem = whole.problem or frame.problem
            for offset, length in frame.place.ranges():
                whole.place.add(offset, length)
        return whole

    def unused(self) -> list[str]:
        """A sentence for each location that no instance refers to."""
        return [
            f"no BulkDataURI names the part with the Content-Location {part.location[:200]!r}"
            for part in self._parts.values()
            if not part.used
        ]

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the temporary file."""
        self._file.seek(offset)
        return self._file.read(length)

    def append(self, data: bytes | memoryview) -> None:
        """More bytes of the part that arrives; raises `NotStorable` if there is no room."""
        try:
            self._file.seek(self._end)
            self._file.write(data)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise NotStorable(
                f"bulk data could not be kept in a temporary file: {error.strerror or error}",
                OUT_OF_RESOURCES if full else PROCESSING_FAILURE,
            ) from error
        self._end += len(data)

    @property
    def end(self) -> int:
        """Bytes that were kept so far."""
        return self._end


class BulkSink:
    """One part while its bytes arrive. `part` is None if it belongs nowhere: `why` says why."""

    def __init__(self, parts: BulkParts, part: BulkPart | None, why: str = "") -> None:
        self._parts, self._part = parts, part
        self._start = parts.end
        if part is None:
            parts.lost.append(why)

    def write(self, data: bytes | memoryview) -> None:
        """The next bytes. Never raises for where they go."""
        if self._part is not None and self._part.problem is None:
            try:
                self._parts.append(data)
            except NotStorable as problem:
                self._part.problem = problem

    def finish(self) -> None:
        """All bytes were written."""
        if self._part is not None:
            self._part.place.add(self._start, self._parts.end - self._start)

    def fail(self, message: str) -> None:
        """The bytes cannot be trusted."""
        if self._part is not None:
            self._part.problem = NotStorable(message)
