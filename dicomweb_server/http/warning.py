"""The header `Warning`, in the form that PS3.18 gives it (8.3.4.4.1, 10.5.3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Response, request

from dicomweb_server.http.access import current_context
from dicomweb_server.http.urls import base_url

_LONGEST = 300
_NAMED = 10
_SHOWN = 40
_CLAIMED = "dicomweb.parameters"


def warn(answer: Response, sentence: str) -> None:
    """Add `Warning: 299 <base URL>: <sentence>`; what a header cannot hold is replaced."""
    base = base_url(current_context().config, request.environ)
    answer.headers.add("Warning", f"299 {base}: {header_text(sentence)}")


def claim_parameter(environ: dict[str, Any], name: str) -> None:
    """Say that a query parameter was read by somebody else than its route, such as a login."""
    environ.setdefault(_CLAIMED, set()).add(name)


def warn_of_ignored(answer: Response, names: Iterable[str]) -> None:
    """Name the query parameters that nobody reads, if there are any (PS3.18 8.3)."""
    claimed = request.environ.get(_CLAIMED, ())
    ignored = [name[:_SHOWN] for name in names if name not in claimed]
    if ignored:
        listed = ", ".join(ignored[:_NAMED])
        warn(answer, f"These parameters mean nothing here and were ignored: {listed}")


def header_text(sentence: str) -> str:
    """A sentence as it may stand in a header, even in a quoted string."""
    printable = sentence.encode("ascii", "replace").decode().replace("\\", "/").replace('"', "'")
    return "".join(c if c.isprintable() else " " for c in printable)[:_LONGEST]
