"""What every request gets: an identifier, a line in the access log, safe headers."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from flask import Flask, Response

from dicomweb_server.http.current import ROUTE, current_request, current_values
from dicomweb_server.web.access import address_of
from dicomweb_server.web.body import finish_early

access_log = logging.getLogger("dicomweb_server.access")
SAFE_IN_LOGS = "/:,;=@!$&'()*+"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def install_request_log(app: Flask) -> None:
    """Identify and log every request. Query strings hold patient data and are never logged."""

    def begin() -> None:
        here = current_values()
        here.started = time.perf_counter()
        here.request_id = request_id_of(current_request().environ)

    def end(answer: Response) -> Response:
        current, here = current_request(), current_values()
        headers, environ = answer.headers, current.environ
        environ[ROUTE] = current.url_rule.rule if current.url_rule is not None else ""
        if current.method == "OPTIONS" and not answer.content_length:
            headers.pop("Content-Type", None)
        headers["X-Request-ID"] = here.request_id
        headers["X-Content-Type-Options"] = "nosniff"
        unread = has_body(environ) and not here.get("body_was_read")
        if here.get("close_connection") or (answer.status_code >= 400 and unread):
            finish_early(answer)
        user = getattr(here.get("identity"), "label", "")
        seconds = time.perf_counter() - here.started
        log_request(environ, user, answer.status_code, seconds, here.request_id)
        return answer

    app.before_request(begin)
    app.after_request(end)


def request_id_of(environ: Mapping[str, Any]) -> str:
    """What a request is called: as the client says, if it says so decently, or at random."""
    given = environ.get("HTTP_X_REQUEST_ID")
    return given if given and _REQUEST_ID.fullmatch(given) else os.urandom(16).hex()


def log_request(
    environ: Mapping[str, Any], user: str, status: int, seconds: float, request_id: str
) -> None:
    """Write the line of one request: `seconds` is how long it took until its answer began."""
    if not access_log.isEnabledFor(logging.INFO):
        return
    client, method = address_of(environ), environ["REQUEST_METHOD"]
    path = _shown(environ.get("PATH_INFO", ""))
    milliseconds = round(seconds * 1000, 1)
    fields = {
        "request_id": request_id,
        "user": user,
        "client": client,
        "method": method,
        "path": path,
        "status": status,
        "milliseconds": milliseconds,
    }
    line = f"{client or '-'} {user or '-'} {method} {path} {status} {milliseconds}ms {request_id}"
    access_log.handle(_AccessRecord(line, fields))


@lru_cache(maxsize=512)
def _shown(path: str) -> str:
    """The path of a request as it stands in the log."""
    return quote(path.encode("latin-1"), safe=SAFE_IN_LOGS)


class _AccessRecord(logging.LogRecord):
    """A line of the access log; `logging` would find out more of each than anybody shows."""

    def __init__(self, line: str, fields: Mapping[str, Any]) -> None:
        vars(self).update(_OF_ALL)
        self.msg = line
        self.fields = fields
        self.process = os.getpid()
        self.created = time.time()
        self.msecs = self.created % 1 * 1000


_OF_ALL = vars(logging.LogRecord(access_log.name, logging.INFO, __file__, 0, "", None, None))


def has_body(environ: Mapping[str, Any]) -> bool:
    """Whether the client sends a body."""
    return environ.get("CONTENT_LENGTH", "0") not in ("", "0") or bool(
        environ.get("HTTP_TRANSFER_ENCODING")
    )
