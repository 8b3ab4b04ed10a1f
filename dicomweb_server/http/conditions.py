"""Validators of answers and the conditions that clients make with them (RFC 9110, 8.8.3 and 13).

There is no Last-Modified: what is sent depends on the configuration and on the URL that was called
too, not on an instance's date alone, and a second is long (RFC 9110, 8.8.2.1).
"""

from __future__ import annotations

from flask import Response, request

from dicomweb_server.http.errors import HttpError

PRIVATE = "private, no-cache"
"""Patient data may be kept by the client alone, and must be asked for again before it is used."""
VARY = "Accept, Accept-Charset, Accept-Encoding"
"""The headers that choose among the representations of a resource."""


def not_modified(etag: str, *, weak: bool = False) -> Response | None:
    """304 when the client has the current answer (RFC 9110, 13.1.2).

    `etag` without quotes; `weak` if the same tag may come with other bytes. Raises 412 when
    `If-Match` demands another answer than the current one (13.1.1).
    """
    environ = request.environ
    _require_match(environ.get("HTTP_IF_MATCH"), etag, weak=weak)
    header = environ.get("HTTP_IF_NONE_MATCH")
    if header is None or not _holds(header, etag):
        return None
    return with_etag(Response(status=304), etag, weak=weak)


def with_etag(answer: Response, etag: str, *, weak: bool = False) -> Response:
    """The answer with its validator."""
    answer.headers["ETag"] = f'{"W/" if weak else ""}"{etag}"'
    answer.headers["Cache-Control"] = PRIVATE
    answer.headers["Vary"] = VARY
    return answer


def refuse_match() -> None:
    """Raise 412 for an `If-Match` with tags, where there is no tag to compare with.

    What was made conditional must not be done without its condition (RFC 9110, 13.1.1).
    """
    header = request.environ.get("HTTP_IF_MATCH")
    if header is not None and header.strip() != "*":
        raise HttpError(
            412,
            f"If-Match {header[:100]!r} cannot be checked for {request.method}; possible is *, "
            f"or no such header",
        )


def _require_match(header: str | None, etag: str, *, weak: bool) -> None:
    if header is None or header.strip() == "*":
        return
    # The strong comparison: a weak tag is equal to none (RFC 9110, 8.8.3.2).
    strong = [item.strip() for item in header.split(",")]
    if weak or f'"{etag}"' not in strong:
        raise HttpError(
            412,
            f"If-Match {header[:100]!r} does not name the current answer, which has other bytes",
        )


def _holds(header: str, etag: str) -> bool:
    """Whether a list of tags has this one: the weak comparison (RFC 9110, 8.8.3.2)."""
    wanted = [item.strip().removeprefix("W/").strip('"') for item in header.split(",")]
    return etag in wanted or "*" in wanted
