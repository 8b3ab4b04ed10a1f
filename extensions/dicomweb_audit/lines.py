"""One line of JSON for each request."""

from __future__ import annotations

import logging
import os
from dataclasses import asdict
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

import orjson

from dicomweb_server import hookimpl
from dicomweb_server.interfaces.auth import Action
from dicomweb_server.interfaces.requests import RequestSummary, Touched


class _Lines(WatchedFileHandler):
    """A file that is opened again when it was renamed or removed."""

    def emit(self, record: logging.LogRecord) -> None:
        self.reopenIfNeeded()
        if self.stream is None:
            self.stream = self._open()
            self._statstream()
        # One call for one line, whatever its length: other processes write to the file too.
        line: Any = record.msg
        os.write(self.stream.fileno(), line)


class AuditLog:
    """Writes down every request but health probes."""

    def __init__(self, path: Path) -> None:
        # Opened with the first line, after the server has forked.
        self._lines = _Lines(path, "a", "utf-8", delay=True)

    @hookimpl
    def request_finished(self, summary: RequestSummary) -> None:
        if summary.action is Action.PUBLIC:
            return
        line = orjson.dumps(as_document(summary), option=orjson.OPT_APPEND_NEWLINE)
        self._lines.handle(logging.LogRecord("audit", logging.INFO, "", 0, line, None, None))


def as_document(summary: RequestSummary) -> dict[str, Any]:
    """What a line says; what is not known is left out."""
    document = {
        "time": summary.time.isoformat(timespec="milliseconds"),
        "user": summary.user,
        "tried": summary.tried,
        "groups": list(summary.groups),
        "address": summary.address,
        "action": summary.action.value if summary.action else "",
        "method": summary.method,
        "route": summary.route,
        "path": summary.path if not summary.route else "",
        "status": summary.status,
        "outcome": summary.result.value,
        "touched": [_without_empty(each) for each in summary.touched],
        "request_id": summary.request_id,
    }
    return {key: value for key, value in document.items() if value not in ("", [])}


def _without_empty(touched: Touched) -> dict[str, Any]:
    named = {key: value for key, value in asdict(touched).items() if value}
    if touched.failure:
        named["failure"] = f"{touched.failure:04X}H"
    return named
