"""How messages look in the log: as text, or as JSON objects that a collector reads."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import orjson
from flask import g, has_request_context

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class OwnHandler(logging.StreamHandler[TextIO]):
    """What this program set up, and may replace."""


class JsonFormatter(logging.Formatter):
    """One JSON object for each message, in one line; of a request with its identifier and user."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if has_request_context():
            document["request_id"] = g.get("request_id", "")
            document["user"] = getattr(g.get("identity"), "label", "")
        document |= getattr(record, "fields", {})
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(document, default=str).decode()


@lru_cache(maxsize=2)
def _clock(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


class TextFormatter(logging.Formatter):
    """One line for each message; the time is spelt once a second."""

    def formatTime(  # noqa: N802
        self, record: logging.LogRecord, datefmt: str | None = None
    ) -> str:
        """The local time with milliseconds, as `logging` writes it."""
        if datefmt is not None:
            return super().formatTime(record, datefmt)
        return f"{_clock(int(record.created))},{int(record.msecs):03d}"


def formatter(kind: str) -> logging.Formatter:
    """The formatter of that name: `text` or `json`."""
    return JsonFormatter() if kind == "json" else TextFormatter(_TEXT)
