"""Errors as answers: one JSON document with Orthanc's keys and a sentence that helps."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from dicomweb_server.dicom import DicomError, NoSuchFrame
from dicomweb_server.interfaces.index import (
    IndexFailure,
    IndexFull,
    IndexUnavailable,
    InstanceGone,
)
from dicomweb_server.interfaces.state import StateError
from dicomweb_server.interfaces.storage import StorageError, StorageFull
from dicomweb_server.isolation import IsolationError
from dicomweb_server.ps318.errors import Ps318Error

log = logging.getLogger(__name__)

# HTTP status -> OrthancStatus and the fixed text that goes with it.
_CODES: Mapping[int, tuple[int, str]] = {
    400: (8, "Bad request"),
    401: (29, "Bad credentials were provided to an HTTP request"),
    403: (45, "You are not allowed to do this"),
    404: (17, "Unknown resource"),
    405: (8, "Bad request"),
    406: (8, "Bad request"),
    409: (46, "Duplicate resource"),
    412: (8, "Bad request"),
    413: (8, "Bad request"),
    415: (3000, "Unsupported media type"),
    416: (3, "Parameter out of range"),
    503: (-1, "Internal error"),
    507: (19, "The file storage is full"),
}


class HttpError(Exception):
    """An answer with an HTTP status of 400 or more; `details` is a sentence for the client."""

    def __init__(self, status: int, details: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(details)
        self.status = status
        self.details = details
        self.headers = dict(headers or {})


def error_document(status: int, details: str) -> dict[str, Any]:
    """The document of an error of the current request."""
    return describe(status, details, request.method, request.path)


def describe(status: int, details: str, method: str, path: str) -> dict[str, Any]:
    """The document of an error, with Orthanc's keys."""
    code, message = _CODES.get(status, (-1, "Internal error"))
    return {
        "Details": details,
        "HttpError": HTTPStatus(status).phrase,
        "HttpStatus": status,
        "Message": message,
        "Method": method,
        "OrthancError": message,
        "OrthancStatus": code,
        "Uri": path,
    }


def error_answer(status: int, details: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer for an error; without a body when `HttpDescribeErrors` is false."""
    describe = current_app.config["DICOMWEB_DESCRIBE_ERRORS"]
    body = orjson.dumps(error_document(status, details), option=orjson.OPT_INDENT_2)
    answer = Response(body if describe else b"", status, mimetype="application/json")
    answer.headers.update(headers or {})
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _http_exception(error: HTTPException) -> Response:
    status = error.code or 500
    headers: dict[str, str] = {}
    if isinstance(error, MethodNotAllowed):
        methods = sorted(error.valid_methods or ())
        headers["Allow"] = ",".join(methods)
        sentence = f"{request.method} is not possible here; possible are {', '.join(methods)}"
        return error_answer(status, sentence, headers)
    if status == 404:
        return error_answer(404, f"there is nothing at {request.path}")
    if status < 400:
        return Response(status=status)
    return error_answer(status, error.description or HTTPStatus(status).phrase)


def _unexpected(error: Exception) -> Response:
    log.exception("%s %s failed", request.method, request.path)
    return error_answer(500, "the server failed; its log says why")


FORESEEN = (DicomError, IndexFailure, InstanceGone, IsolationError, StorageError)
"""What can befall an answer while it is sent; the message says what it is."""


class BrokenBody(OSError):
    """The body of a request cannot be read to its end: it broke off, or is framed wrongly."""


def register_error_handlers(app: Flask) -> None:
    """Answer everything that a view may raise."""
    handlers: tuple[tuple[type[Exception], Any], ...] = (
        (HttpError, lambda e: error_answer(e.status, e.details, e.headers)),
        (Ps318Error, lambda e: error_answer(e.status, e.details)),
        (NoSuchFrame, lambda e: error_answer(404, str(e))),
        (
            DicomError,
            lambda e: error_answer(406, f"{e} The stored bytes can be had: transfer-syntax=*"),
        ),
        (BrokenBody, lambda e: error_answer(400, str(e), {"Connection": "close"})),
        (IsolationError, lambda e: error_answer(503, str(e), {"Retry-After": "10"})),
        (StorageFull, lambda e: error_answer(507, str(e))),
        (IndexFull, lambda e: error_answer(507, str(e))),
        (StorageError, lambda e: error_answer(503, str(e), {"Retry-After": "10"})),
        (IndexUnavailable, lambda e: error_answer(503, str(e), {"Retry-After": "10"})),
        (StateError, lambda e: error_answer(503, str(e), {"Retry-After": "10"})),
        (HTTPException, _http_exception),
        (Exception, _unexpected),
    )
    for kind, handler in handlers:
        app.register_error_handler(kind, handler)
