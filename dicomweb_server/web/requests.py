"""What every request gets: an identifier, a line in the access log, safe headers."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping
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
    path = quote(environ.get("PATH_INFO", "").encode("latin-1"), safe=SAFE_IN_LOGS)
    milliseconds = seconds * 1000
    access_log.info(
        "%s %s %s %s %d %.1fms %s",
        client or "-",
        user or "-",
        method,
        path,
        status,
        milliseconds,
        request_id,
        extra={
            "fields": {
                "request_id": request_id,
                "user": user,
                "client": client,
                "method": method,
                "path": path,
                "status": status,
                "milliseconds": round(milliseconds, 1),
            }
        },
    )


def has_body(environ: Mapping[str, Any]) -> bool:
    """Whether the client sends a body."""
    return environ.get("CONTENT_LENGTH", "0") not in ("", "0") or bool(
        environ.get("HTTP_TRANSFER_ENCODING")
    )
