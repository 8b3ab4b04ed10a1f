"""Answers to what is asked again while nothing has changed: sent as they were the last time.

A request that is the same to its last header has the same answer until somebody commits something
to the index, and to find out that nobody did costs a tenth of making the answer anew. Nothing else
is taken for granted: logins that may end are asked each time, a file is opened each time, and each
request is logged, counted and told of like all others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask, Response
from werkzeug.wsgi import wrap_file

from dicomweb_server.context import ServerContext
from dicomweb_server.http.current import ROUTE, current_request, current_values
from dicomweb_server.http.pieces import FileRange, LocalFile, Piece, WrongSize, coalesced, sender
from dicomweb_server.http.repeatable import RECORDING, Kept, Recording, is_repeatable
from dicomweb_server.http.silence import keep_in_touch
from dicomweb_server.interfaces.index import IndexFailure
from dicomweb_server.interfaces.requests import RequestSummary
from dicomweb_server.services.recent import Recent
from dicomweb_server.settings import REPEATED_ANSWERS, REQUEST_TIMEOUT
from dicomweb_server.web.listeners import Listeners
from dicomweb_server.web.requests import has_body, log_request, request_id_of

log = logging.getLogger(__name__)

Key = tuple[str, ...]
_TAKING = "dicomweb_server.taking"
_NOT_ASKED = frozenset({"REMOTE_PORT", "HTTP_X_REQUEST_ID"})
"""What differs between requests that ask the same."""
_STATUSES = frozenset({200, 206, 304})
_MIB = 1 << 20
_PART = 16
"""The part of all memory for answers that one of them may take."""
_EACH = 4096
"""Bytes that an answer takes beside its pieces, about."""
_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that may be sent again while the index is in the same `state`."""

    state: Hashable
    pieces: Kept
    status: str
    headers: tuple[tuple[str, str], ...]
    length: int | None
    route: str
    user: str
    summary: RequestSummary | None

    @property
    def size(self) -> int:
        """Bytes of memory that it takes."""
        return _EACH + sum(len(piece) for piece in self.pieces if isinstance(piece, bytes))

    def body(self, environ: dict[str, Any]) -> Iterable[bytes]:
        """The body, whose files are open. Raises OSError or `WrongSize` if one is not as it was."""
        pieces = self.pieces
        if not pieces or (len(pieces) == 1 and isinstance(pieces[0], bytes)):
            return pieces  # type: ignore[return-value]
        opened = _opened(pieces)
        if len(pieces) == 1:
            [only] = opened
            if isinstance(only, LocalFile) and only.size == only.source.whole == self.length:
                return wrap_file(environ, only.file, _BLOCK)
        return coalesced(opened, sender(environ, self.length))


def _opened(pieces: Kept) -> list[Piece]:
    opened: list[Piece] = []
    try:
        opened.extend(p.open() if isinstance(p, FileRange) else p for p in pieces)
    except BaseException:
        for each in opened:
            if isinstance(each, LocalFile):
                each.file.close()
        raise
    return opened


class _Taking:
    """Puts an answer together: its head is known before it is sent, its pieces after that."""

    def __init__(self, limit: int, state: Hashable, keep: Callable[[Answer], None]) -> None:
        self.recording = Recording(limit, self._end)
        self._state = state
        self._keep = keep
        self._pieces: Kept | None = None
        self._answer: Answer | None = None

    def begin(self, answer: Response, environ: dict[str, Any], here: Any) -> None:
        """The answer is complete but for its body, which may be complete too."""
        headers = answer.get_wsgi_headers(environ)
        length = headers.get("Content-Length")
        self._answer = Answer(
            self._state,
            (),
            answer.status,
            tuple((name, value) for name, value in headers if name != "X-Request-ID"),
            None if length is None else int(length),
            environ[ROUTE],
            here.identity.label,
            here.get("summary"),
        )
        if not self.recording.started and answer.is_sequence:
            body = answer.get_data()
            self.recording.whole(*([body] if body else []))
        elif self._pieces is not None:
            self._end(self._pieces)

    def _end(self, pieces: Kept) -> None:
        self._pieces = pieces
        if self._answer is not None:
            self._keep(replace(self._answer, pieces=pieces))


class RepeatedAnswers:
    """The application, behind the answers that it gave before.

    Each of several threads may find that an answer is to be made anew; none waits for another.
    """

    def __init__(self, app: Flask, context: ServerContext, listeners: Listeners) -> None:
        self._inner = app.wsgi_app
        self._index = context.index
        self._listeners = listeners
        self._silence = context.config[REQUEST_TIMEOUT]
        self._limit = context.config[REPEATED_ANSWERS] * _MIB
        self.answers: Recent[Key, Answer] = Recent(self._limit, lambda answer: answer.size)
        self._of: Hashable = None
        self._places: tuple[str, ...] = ()

    def start(self, app: Flask) -> None:
        """From now on answers are kept, of the routes that there are now."""
        if self._limit:
            rules = app.url_map.iter_rules()
            views = ((rule.rule, app.view_functions[rule.endpoint]) for rule in rules)
            # Probes, for example, must not wait for the index.
            self._places = tuple({rule.partition("<")[0] for rule, v in views if is_repeatable(v)})

    def stop(self, why: str) -> None:
        """Make every answer anew."""
        if self._places:
            log.info("no answer is kept to be sent again: %s", why)
        self._places = ()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        here = environ["REQUEST_METHOD"] == "GET" and environ.get("PATH_INFO", "").startswith(
            self._places
        )
        if not here or has_body(environ):
            return self._inner(environ, start_response)
        began = time.perf_counter()
        key = _key(environ)
        # Before the answer is made: what is committed meanwhile must make it one of the past.
        state = self._state()
        if state is None:
            return self._inner(environ, start_response)
        if state != self._of:
            # None of them will be sent again, and some may be of what was deleted.
            self._of = state
            self.answers.clear()
        known = self.answers.get(key)
        if known is not None and known.state == state:
            with suppress(OSError, WrongSize):
                body = known.body(environ)
                return self._again(known, body, environ, start_response, began)
        taking = _Taking(self._limit // _PART, state, lambda answer: self.answers.put(key, answer))
        environ[RECORDING], environ[_TAKING] = taking.recording, taking
        return self._inner(environ, start_response)

    def _state(self) -> Hashable | None:
        try:
            return self._index.state()
        except IndexFailure:
            return None  # whoever makes the answer finds out why

    def _again(
        self,
        answer: Answer,
        body: Iterable[bytes],
        environ: dict[str, Any],
        start_response: Any,
        began: float,
    ) -> Iterable[bytes]:
        request_id = request_id_of(environ)
        environ[ROUTE] = answer.route
        seconds = time.perf_counter() - began
        if answer.summary is not None:
            came = datetime.now(UTC) - timedelta(seconds=seconds)
            self._listeners.tell(
                replace(answer.summary, time=came, seconds=seconds, request_id=request_id)
            )
        if body is not answer.pieces:
            keep_in_touch(environ, self._silence)
        log_request(environ, answer.user, int(answer.status[:3]), seconds, request_id)
        start_response(answer.status, [*answer.headers, ("X-Request-ID", request_id)])
        return body


def _key(environ: Mapping[str, Any]) -> Key:
    """What is asked: the path, every header, and all else that the server or a proxy says of it."""
    return tuple(
        [
            part
            for item in environ.items()
            if type(item[1]) is str and item[0] not in _NOT_ASKED
            for part in item
        ]
    )


def install_repeated(app: Flask, context: ServerContext, listeners: Listeners) -> RepeatedAnswers:
    """Keep answers of views that are `repeatable`; to be called before anything else is installed.

    So it sees answers last, as they are sent, and whatever is put around the application after it
    sees every request.
    """
    repeated = RepeatedAnswers(app, context, listeners)
    views = app.view_functions

    def take(answer: Response) -> Response:
        environ = current_request().environ
        taking: _Taking | None = environ.get(_TAKING)
        if taking is None or answer.status_code not in _STATUSES:
            return answer
        here = current_values()
        if here.get("lasting") and is_repeatable(views.get(current_request().endpoint or "")):
            taking.begin(answer, environ, here)
        return answer

    app.after_request(take)
    app.wsgi_app = repeated  # type: ignore[method-assign]
    return repeated


def functions_of(app: Flask) -> dict[str, set[Callable[..., Any]]]:
    """The functions that Flask calls around views, and the view of each route: by their names.

    Those around the views of one blueprint have its name, those around all views none.
    """
    around = (
        app.before_request_funcs,
        app.after_request_funcs,
        app.teardown_request_funcs,
        app.url_value_preprocessors,
    )
    found = {name: set[Callable[..., Any]]() for name in app.blueprints}
    found[""] = set(app.teardown_appcontext_funcs)
    for table in around:
        for blueprint, functions in table.items():
            found.setdefault(blueprint or "", set()).update(functions)
    for endpoint, view in app.view_functions.items():
        found[endpoint] = {view}
    return found
