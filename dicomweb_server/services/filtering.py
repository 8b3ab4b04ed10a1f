"""Runs the ingest filters over an instance that has arrived: see `interfaces.ingest`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from dicomweb_server.dicom import DicomError, ParsedInstance
from dicomweb_server.interfaces.index import Origin
from dicomweb_server.interfaces.ingest import (
    Decision,
    Discard,
    Incoming,
    IngestFilter,
    Keep,
    Reject,
    Replace,
)
from dicomweb_server.interfaces.storage import BlobWriter, StorageError
from dicomweb_server.ps318.store_response import PROCESSING_FAILURE
from dicomweb_server.services.reading import Reading, ReadingOptions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrived:
    """An instance whose bytes lie in a writer that is not finished; its reading knows digests.

    `warning` and `message`: what to tell of a changed one.
    """

    parsed: ParsedInstance
    writer: BlobWriter
    reading: Reading
    warning: int = 0
    message: str = ""


class FilteredOut(Exception):
    """The instance is not stored. `failure` is a Failure Reason, 0 if it was discarded."""

    def __init__(self, message: str, failure: int = 0) -> None:
        super().__init__(message)
        self.message, self.failure = message, failure


class Filters:
    """The configured filters, in order; the names are for sentences."""

    def __init__(
        self,
        filters: Mapping[str, IngestFilter],
        create: Callable[[], BlobWriter],
        reading: ReadingOptions,
    ) -> None:
        """`create`: gives writers for files that filters make."""
        self._filters = filters
        self._create = create
        self._reading = reading

    def __bool__(self) -> bool:
        return bool(self._filters)

    def apply(self, arrived: Arrived, origin: Origin) -> Arrived:
        """What goes on after all filters.

        Raises:
            FilteredOut: a filter does not want it, or failed. The last writer is aborted.
            StorageError: a file that a filter made could not be written. The same.
        """
        for name, each in self._filters.items():
            try:
                arrived = self._one(name, each, arrived, origin)
            except BaseException:
                arrived.writer.abort()
                raise
        return arrived

    def _one(self, name: str, each: IngestFilter, arrived: Arrived, origin: Origin) -> Arrived:
        incoming = Incoming(arrived.parsed, arrived.writer.size, arrived.writer.reader, origin)
        try:
            decision: Decision = each.decide(incoming)
        except Exception as error:
            raise _failed(name, error) from error
        match decision:
            case Keep():
                return arrived
            case Replace():
                return self._replaced(name, arrived, decision)
            case Discard(message):
                raise FilteredOut(f"the ingest filter {name} discarded the instance: {message}")
            case Reject(message, failure):
                raise FilteredOut(
                    f"the ingest filter {name}: {message}", failure or PROCESSING_FAILURE
                )
        raise _failed(name, TypeError(f"{type(decision).__name__} is no decision"))

    def _replaced(self, name: str, arrived: Arrived, decision: Replace) -> Arrived:
        """The file that a filter made instead, read as if it had arrived."""
        writer, reading = self._create(), Reading(self._reading)
        try:
            for chunk in _chunks(name, decision):
                writer.write(chunk)
                reading.feed(chunk)
            parsed = reading.finish(writer.reader)
        except DicomError as error:
            writer.abort()
            raise _failed(name, error) from error
        except BaseException:
            writer.abort()
            raise
        arrived.writer.abort()
        message = decision.message or f"the ingest filter {name} changed the instance"
        return replace(
            arrived,
            parsed=parsed,
            writer=writer,
            reading=reading,
            warning=decision.warning,
            message=message,
        )


def _chunks(name: str, decision: Replace) -> Iterator[bytes]:
    """The bytes of a filter; what it raises is told as its failure, what storing raises is not."""
    chunks = iter(decision.chunks)
    while True:
        try:
            chunk = next(chunks, None)
        except (StorageError, FilteredOut):
            raise
        except Exception as error:
            raise _failed(name, error) from error
        if chunk is None:
            return
        yield chunk


def _failed(name: str, error: Exception) -> FilteredOut:
    log.warning("the ingest filter %s failed", name, exc_info=error)
    return FilteredOut(f"the ingest filter {name} failed: {error!r}", PROCESSING_FAILURE)
