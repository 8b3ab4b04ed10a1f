"""What the current request is about, for who wants to be told when it is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app, g, request

from dicomweb_server.interfaces.requests import Touched

F = TypeVar("F", bound=Callable[..., Any])
_ATTRIBUTE = "__dicomweb_named__"


def names(find: Callable[[], Touched | None]) -> Callable[[F], F]:
    """Declare how requests to a view name what they are about, if their path does not.

    `find` is called within a request that noted nothing, also one that was refused before the
    view was called; None: it names nothing. What a client sends is to be told only if it is a UID.
    """

    def mark(view: F) -> F:
        setattr(view, _ATTRIBUTE, find)
        return view

    return mark


def note_touched(touched: Touched) -> None:
    """Tell what the request is about, where its path does not: costs nothing if nobody asks."""
    noted: list[Touched] | None = g.get("touched")
    if noted is not None:
        noted.append(touched)


def is_noting() -> bool:
    """Whether anybody will be told: finding out what to tell may be work."""
    return "touched" in g


def all_touched() -> tuple[Touched, ...]:
    """What was noted, else what the path names, else what the view says that is named."""
    noted: list[Touched] = g.get("touched") or []
    if noted:
        return tuple(noted)
    named = request.view_args or {}
    if "study" not in named:
        found = _declared()
        return () if found is None else (found,)
    return (Touched(named["study"], named.get("series") or "", named.get("instance") or ""),)


def _declared() -> Touched | None:
    view = current_app.view_functions.get(request.endpoint or "")
    find: Callable[[], Touched | None] | None = getattr(view, _ATTRIBUTE, None)
    return None if find is None else find()
