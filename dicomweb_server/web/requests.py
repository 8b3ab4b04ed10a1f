"""What every request gets: an identifier, a line in the access log, safe headers."""

from __future__ import annotations

import logging
import re
import time
import uuid
from urllib.parse import quote

from flask import Flask, Response, g, request

from dicomweb_server.web.access import remote_address
from dicomweb_server.web.body import finish_early

access_log = logging.getLogger("dicomweb_server.access")
SAFE_IN_LOGS = "/:,;=@!$&'()*+"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def install_request_log(app: Flask) -> None:
    """Identify and log every request. Query strings hold patient data and are never logged."""

    def begin() -> None:
        g.started = time.perf_counter()
        given = request.environ.get("HTTP_X_REQUEST_ID")
        known = given and _REQUEST_ID.fullmatch(given)
        g.request_id = given if known else uuid.uuid4().hex

    def end(answer: Response) -> Response:
        if request.method == "OPTIONS" and not answer.content_length:
            answer.headers.pop("Content-Type", None)
        answer.headers["X-Request-ID"] = g.request_id
        answer.headers["X-Content-Type-Options"] = "nosniff"
        unread = _has_body() and not g.get("body_was_read")
        if g.get("close_connection") or (answer.status_code >= 400 and unread):
            finish_early(answer)
        if access_log.isEnabledFor(logging.INFO):
            user = getattr(g.get("identity"), "label", "") or "-"
            path = quote(request.path, safe=SAFE_IN_LOGS)
            milliseconds = (time.perf_counter() - g.started) * 1000
            access_log.info(
                "%s %s %s %s %d %.1fms %s",
                remote_address() or "-",
                user,
                request.method,
                path,
                answer.status_code,
                milliseconds,
                g.request_id,
                extra={
                    "fields": {
                        "client": remote_address(),
                        "method": request.method,
                        "path": path,
                        "status": answer.status_code,
                        "milliseconds": round(milliseconds, 1),
                    }
                },
            )
        return answer

    app.before_request(begin)
    app.after_request(end)


def _has_body() -> bool:
    environ = request.environ
    return environ.get("CONTENT_LENGTH", "0") not in ("", "0") or bool(
        environ.get("HTTP_TRANSFER_ENCODING")
    )
