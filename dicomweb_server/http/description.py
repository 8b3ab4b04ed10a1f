"""What routes say about themselves: capabilities, OpenAPI and the manual are made from it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from flask import Flask

from dicomweb_server.http.access import action_of
from dicomweb_server.interfaces.auth import Action

F = TypeVar("F", bound=Callable[..., Any])
_ATTRIBUTE = "__dicomweb_description__"
_HIDDEN = frozenset({"HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class _Said:
    summary: str = ""
    produces: tuple[str, ...] = ("application/json",)
    consumes: tuple[str, ...] = ()
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RouteDescription:
    """One route and method.

    `path`: with `{names}`. `produces`, `consumes`: media types. `query`: names of parameters and
    what they do.
    """

    path: str
    method: str
    name: str
    action: Action
    summary: str
    produces: tuple[str, ...]
    consumes: tuple[str, ...]
    query: tuple[tuple[str, str], ...]

    @property
    def is_text(self) -> bool:
        """Whether an answer is text, whose character set can be asked for (PS3.18 8.8)."""
        return any("+json" in each or "+xml" in each for each in self.produces)

    @property
    def parameters(self) -> list[str]:
        """The names in the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


def describes(
    summary: str,
    *,
    produces: Sequence[str] = ("application/json",),
    consumes: Sequence[str] = (),
    query: Sequence[tuple[str, str]] = (),
) -> Callable[[F], F]:
    """Say what a view does, in a sentence, and in which media types."""

    def mark(view: F) -> F:
        setattr(view, _ATTRIBUTE, _Said(summary, tuple(produces), tuple(consumes), tuple(query)))
        return view

    return mark


def described_routes(app: Flask, below: str = "/") -> Iterator[RouteDescription]:
    """Every route whose path begins with `below`, in the order of paths."""
    prefix = below.rstrip("/")
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        path = _with_braces(rule.rule)
        if path != prefix and not path.startswith(f"{prefix}/"):
            continue
        view = app.view_functions[rule.endpoint]
        said = cast(_Said, getattr(view, _ATTRIBUTE, None) or _from_docstring(view))
        for method in sorted((rule.methods or set()) - _HIDDEN):
            yield RouteDescription(
                path,
                method,
                rule.endpoint.rpartition(".")[2],
                action_of(view) or Action.ADMIN,
                said.summary,
                said.produces,
                said.consumes,
                said.query,
            )


def _from_docstring(view: Callable[..., Any]) -> _Said:
    return _Said((inspect.getdoc(view) or "").partition("\n")[0])


def _with_braces(rule: str) -> str:
    """`/studies/<study>` as `/studies/{study}`."""
    pieces = rule.split("/")
    named = [
        "{" + piece.strip("<>").rpartition(":")[2] + "}" if piece.startswith("<") else piece
        for piece in pieces
    ]
    return "/".join(named)
