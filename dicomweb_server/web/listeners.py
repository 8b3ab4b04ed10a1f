"""Tells extensions of every request when its answer begins, each of them in isolation."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property

from flask import Flask, Response, g, request

from dicomweb_server.context import ServerContext
from dicomweb_server.http.touched import all_touched
from dicomweb_server.interfaces.auth import ANONYMOUS, Identity
from dicomweb_server.interfaces.requests import RequestSummary, Result
from dicomweb_server.web.access import address_of

log = logging.getLogger(__name__)
_LONGEST = 200


class Listeners:
    """The extensions that implement `request_finished`; false if there are none."""

    def __init__(self, context: ServerContext) -> None:
        self._extensions = context.extensions

    @cached_property
    def _listeners(self) -> list[tuple[str, Callable[..., object], Sequence[str]]]:
        # Not before all are asked for: an extension may add itself while the application is made.
        return self._extensions.listeners("request_finished")

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def tell(self, summary: RequestSummary) -> None:
        """Call each of them; one that fails fails alone."""
        for name, listener, wanted in self._listeners:
            try:
                listener(*(summary for _ in wanted))
            except Exception:
                log.exception("extension %s: request_finished failed", name)


def install_listeners(app: Flask, listeners: Listeners) -> None:
    """Tell them of every request; nothing is done when there are none."""
    if not listeners:
        return

    def begin() -> None:
        g.touched = []

    def end(answer: Response) -> Response:
        summary = g.summary = _summary(answer)
        listeners.tell(summary)
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
        address=address_of(request.environ),
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
