"""Ingest filter `transcode`: what arrives is stored in the transfer syntax of `IngestTranscoding`.

It is asked last, and needs no place in `IngestFilters`. What cannot be transcoded is kept as it is,
as are instances without pixel data.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from typing import BinaryIO

from dicomweb_server import hookimpl
from dicomweb_server.config import ConfigError
from dicomweb_server.context import ServerContext
from dicomweb_server.dicom import DicomError
from dicomweb_server.interfaces.ingest import Decision, Incoming, IngestFilter, Keep, Replace
from dicomweb_server.ps318.media_types import is_video
from dicomweb_server.ps318.store_response import COERCION_OF_DATA_ELEMENTS
from dicomweb_server.reference_options import (
    INGEST_COMPRESSED,
    INGEST_TRANSCODING,
    INGEST_UNCOMPRESSED,
)

log = logging.getLogger(__name__)


class TranscodeFilter(IngestFilter):
    """Transcodes to the one transfer syntax that the configuration names."""

    name = "transcode"

    def bind(self, context: ServerContext) -> None:
        config = context.config
        self._transcoder = context.services.transcoder
        self._target = config[INGEST_TRANSCODING]
        self._wanted = {False: config[INGEST_UNCOMPRESSED], True: config[INGEST_COMPRESSED]}
        possible = self._transcoder.targets
        if self._target not in possible:
            raise ConfigError(
                f"IngestTranscoding is {self._target!r}, to which nothing can be transcoded; "
                f"possible are {', '.join(sorted(possible))}"
            )

    def decide(self, incoming: Incoming) -> Decision:
        instance = incoming.instance
        pixels = instance.pixel_data
        if pixels is None or instance.transfer_syntax == self._target:
            return Keep()
        if not self._wanted[pixels.encapsulated] or is_video(instance.transfer_syntax):
            return Keep()
        pieces = self._transcoded(incoming)
        try:
            first = next(pieces)
        except DicomError as error:
            log.warning("%s is stored as it came: %s", instance.attributes.get("00080018"), error)
            return Keep()
        lossy = self._transcoder.is_lossy(self._target)
        return Replace(
            chain((first,), pieces),
            warning=COERCION_OF_DATA_ELEMENTS if lossy else 0,
            message=f"compressed lossily as {self._target}: a new instance" if lossy else "",
        )

    def _transcoded(self, incoming: Incoming) -> Iterator[bytes]:
        with closing(incoming.open()) as file:

            def read(offset: int, length: int) -> bytes:
                return _read(file, offset, length)

            yield from self._transcoder.transcode_file(
                incoming.instance, read, incoming.size, self._target
            )


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


@hookimpl
def register_ingest_filters() -> list[type[IngestFilter]]:
    return [TranscodeFilter]
