"""What every request gets: an identifier, a line in the access log, safe headers."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flask import Flask, Request, Response, request

from dicomweb_server.http.current import current_request, current_values
from dicomweb_server.web.access import remote_address
from dicomweb_server.web.body import finish_early

access_log = logging.getLogger("dicomweb_server.access")
SAFE_IN_LOGS = "/:,;=@!$&'()*+"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def install_request_log(app: Flask) -> None:
    """Identify and log every request. Query strings hold patient data and are never logged."""

    def begin() -> None:
        here = current_values()
        here.started = time.perf_counter()
        given = request.environ.get("HTTP_X_REQUEST_ID")
        known = given and _REQUEST_ID.fullmatch(given)
        here.request_id = given if known else os.urandom(16).hex()

    def end(answer: Response) -> Response:
        current, here = current_request(), current_values()
        headers = answer.headers
        if current.method == "OPTIONS" and not answer.content_length:
            headers.pop("Content-Type", None)
        headers["X-Request-ID"] = here.request_id
        headers["X-Content-Type-Options"] = "nosniff"
        unread = _has_body(current.environ) and not here.get("body_was_read")
        if here.get("close_connection") or (answer.status_code >= 400 and unread):
            finish_early(answer)
        if access_log.isEnabledFor(logging.INFO):
            _log(current, here, answer.status_code)
        return answer

    app.before_request(begin)
    app.after_request(end)


def _log(current: Request, here: Any, status: int) -> None:
    client = remote_address()
    user = getattr(here.get("identity"), "label", "") or "-"
    path = quote(current.path, safe=SAFE_IN_LOGS)
    milliseconds = (time.perf_counter() - here.started) * 1000
    access_log.info(
        "%s %s %s %s %d %.1fms %s",
        client or "-",
        user,
        current.method,
        path,
        status,
        milliseconds,
        here.request_id,
        extra={
            "fields": {
                "client": client,
                "method": current.method,
                "path": path,
                "status": status,
                "milliseconds": round(milliseconds, 1),
            }
        },
    )


def _has_body(environ: Mapping[str, Any]) -> bool:
    return environ.get("CONTENT_LENGTH", "0") not in ("", "0") or bool(
        environ.get("HTTP_TRANSFER_ENCODING")
    )
