"""Tells extensions of every request when its answer begins, each of them in isolation."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta

from flask import Flask, Response, g, request

from dicomweb_server.context import ServerContext
from dicomweb_server.http.touched import all_touched
from dicomweb_server.interfaces.auth import ANONYMOUS, Identity
from dicomweb_server.interfaces.requests import RequestSummary, Result
from dicomweb_server.web.access import remote_address

log = logging.getLogger(__name__)
_LONGEST = 200


def install_listeners(app: Flask, context: ServerContext) -> None:
    """Call `request_finished` of who implements it; nothing is done when nobody does."""
    listeners = context.extensions.listeners("request_finished")
    if not listeners:
        return

    def begin() -> None:
        g.touched = []

    def end(answer: Response) -> Response:
        summary = _summary(answer)
        for name, listener, wanted in listeners:
            try:
                listener(*(summary for _ in wanted))
            except Exception:
                log.exception("extension %s: request_finished failed", name)
        return answer

    # First of all: who is refused at the door is told of too.
    app.before_request_funcs.setdefault(None, []).insert(0, begin)
    app.after_request(end)


def _summary(answer: Response) -> RequestSummary:
    identity: Identity = g.get("identity", ANONYMOUS)
    seconds = time.perf_counter() - g.started
    return RequestSummary(
        time=datetime.now(UTC) - timedelta(seconds=seconds),
        seconds=seconds,
        request_id=g.request_id,
        address=remote_address(),
        user=identity.label,
        groups=identity.groups,
        method=request.method,
        path=request.path,
        route=request.url_rule.rule if request.url_rule is not None else "",
        action=g.get("action"),
        status=answer.status_code,
        result=_result(answer.status_code),
        touched=all_touched(),
        tried=_printable(g.get("tried", ""))[:_LONGEST],
    )


def _printable(text: str) -> str:
    """Nothing that a client sends may look like the end of a line, or move a cursor."""
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:_LONGEST])
    return "".join(shown)


def _result(status: int) -> Result:
    if status in (401, 403):
        return Result.REFUSED
    return Result.DONE if status < 400 else Result.FAILED
