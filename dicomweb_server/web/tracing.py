"""Follows each request for the trace: from its head until its answer was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, g, request
from werkzeug.wsgi import ClosingIterator

from dicomweb_server.tracing import Trace
from dicomweb_server.web.requests import SAFE_IN_LOGS

_KEY = "dicomweb_server.traced"


def install_trace(app: Flask, trace: Trace, plugins: Iterable[tuple[str, object]]) -> None:
    """Count what extensions do for each request; `plugins` are (extension, module) pairs."""
    _count_views(app, trace, _packages(plugins))

    def note(answer: Response) -> Response:
        request.environ[_KEY] = (g.request_id, answer.status_code)
        return answer

    app.after_request(note)
    inner = app.wsgi_app

    def traced(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        trace.begin()
        try:
            body = inner(environ, start_response)
        except BaseException:
            _end(trace, environ)
            raise
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper):
            # The server sends it by way of the kernel: no extension does anything any more.
            _end(trace, environ)
            return body
        return ClosingIterator(body, [lambda: _end(trace, environ)])

    app.wsgi_app = traced  # type: ignore[method-assign]


def _end(trace: Trace, environ: Mapping[str, Any]) -> None:
    request_id, status = environ.get(_KEY, ("", 500))
    # Without its query, which holds patient data.
    path = quote(environ.get("PATH_INFO", "").encode("latin-1"), safe=SAFE_IN_LOGS)
    trace.end(request_id, environ["REQUEST_METHOD"], path, status)


def _packages(plugins: Iterable[tuple[str, object]]) -> dict[str, str]:
    """Top-level package -> the extension that it belongs to."""
    named = ((getattr(plugin, "__name__", ""), extension) for extension, plugin in plugins)
    return {name.partition(".")[0]: extension for name, extension in named if name}


def _count_views(app: Flask, trace: Trace, packages: Mapping[str, str]) -> None:
    """Count the views of extensions; whose they are is told by the package they stand in."""
    views: dict[str, Callable[..., Any]] = app.view_functions
    for endpoint, view in views.items():
        extension = packages.get(getattr(view, "__module__", "").partition(".")[0])
        if extension is not None:
            views[endpoint] = trace.view(extension, view)
