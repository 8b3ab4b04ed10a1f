"""What the current request is about, for who wants to be told when it is over."""

from __future__ import annotations

from flask import g, request

from dicomweb_server.interfaces.requests import Touched


def note_touched(touched: Touched) -> None:
    """Tell what the request is about, where its path does not: costs nothing if nobody asks."""
    noted: list[Touched] | None = g.get("touched")
    if noted is not None:
        noted.append(touched)


def is_noting() -> bool:
    """Whether anybody will be told: finding out what to tell may be work."""
    return "touched" in g


def all_touched() -> tuple[Touched, ...]:
    """What was noted, else what the path names."""
    noted: list[Touched] = g.get("touched") or []
    named = request.view_args or {}
    if noted or "study" not in named:
        return tuple(noted)
    return (Touched(named["study"], named.get("series") or "", named.get("instance") or ""),)
