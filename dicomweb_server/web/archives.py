"""Instances as a ZIP archive (PS3.18 8.6.1.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flask import Response, g, request

from dicomweb_server.context import ServerContext
from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import stream_answer
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.ps318.errors import BadRequest
from dicomweb_server.ps318.media_types import ZIP
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services.dicomdir import file_set
from dicomweb_server.services.retrieve import Wanted
from dicomweb_server.services.zips import Entry, Names, archive

_DIRECTORY = "DICOMDIR"


def answer(resource: Resource, wanted: Wanted) -> Response:
    """The archive of a study, series or instance.

    `dicomdir=true` gives the files the names that PS3.10 allows on media, and adds a DICOMDIR;
    otherwise the names are readable.
    """
    making = _Making(current_context(), g.scope, resource, wanted)
    entries = making.on_media() if _wants_directory() else making.readable()
    sent = stream_answer(archive(entries), ZIP)
    name = re.sub(r"[^0-9A-Za-z.-]", "_", resource.instance or resource.series or resource.study)
    sent.headers["Content-Disposition"] = f'attachment; filename="{name}.zip"'
    return sent


def _wants_directory() -> bool:
    value = request.args.get("dicomdir", "false")
    if value not in ("true", "false"):
        raise BadRequest(f"dicomdir={value[:40]!r} must be true or false.")
    return value == "true"


@dataclass(frozen=True, slots=True)
class _Making:
    """An archive being made: while it is sent there is no request to ask any more."""

    context: ServerContext
    scope: Scope
    resource: Resource
    wanted: Wanted

    def readable(self) -> Iterator[Entry]:
        names = Names()
        for record, header in self.context.index.headers(self.resource, self.scope):
            yield self._entry(record, names.of(record, header))

    def on_media(self) -> Iterator[Entry]:
        """The DICOMDIR comes first; what was stored meanwhile is left out, for it cannot tell."""
        index, service = self.context.index, self.context.services.retrieve
        headers = index.headers(self.resource, self.scope)
        directory, ids = file_set(
            (record, header, service.delivery(record, self.wanted).target)
            for record, header in headers
        )
        yield Entry(_DIRECTORY, len(directory), lambda: iter((directory,)))
        for record in index.instances(self.resource, self.scope):
            if record.row in ids:
                yield self._on_media(record, ids[record.row])

    def _on_media(self, record: InstanceRecord, name: str) -> Entry:
        service = self.context.services.retrieve
        delivery = service.delivery(record, self.wanted)
        return Entry(name, record.size, lambda: service.as_file(delivery))

    def _entry(self, record: InstanceRecord, name: str) -> Entry:
        service = self.context.services.retrieve
        delivery = service.delivery(record, self.wanted)
        return Entry(name, record.size, lambda: service.content_at_best(delivery))
