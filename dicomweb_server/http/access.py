"""Who asks for what: each route declares an action, and finds out its scope here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import current_app, g

from dicomweb_server.context import ServerContext
from dicomweb_server.http.errors import HttpError
from dicomweb_server.interfaces.auth import NOTHING, Action, Identity, Scope
from dicomweb_server.ps318.query_model import QueryLevel, sharing_items

F = TypeVar("F", bound=Callable[..., Any])
CONTEXT_KEY = "dicomweb_server"
_ATTRIBUTE = "__dicomweb_action__"


def requires(action: Action) -> Callable[[F], F]:
    """Declare what a view does; a route whose view declares nothing refuses the start."""

    def mark(view: F) -> F:
        setattr(view, _ATTRIBUTE, action)
        return view

    return mark


def action_of(view: Callable[..., Any]) -> Action | None:
    """The action that a view declares."""
    return cast(Action | None, getattr(view, _ATTRIBUTE, None))


def current_context() -> ServerContext:
    """The context of the application that handles the request."""
    return cast(ServerContext, current_app.extensions[CONTEXT_KEY])


def current_identity() -> Identity:
    """Who asks."""
    return cast(Identity, g.identity)


def current_scope() -> Scope:
    """What the one who asks may use for the action that the view declares."""
    return cast(Scope, g.scope)


def scope_of(action: Action) -> Scope:
    """What the one who asks may use for an action; raises 403 when it is nothing."""
    identity = current_identity()
    try:
        scope = current_context().providers.authorizer.scope(identity, action)
        if not scope.everything or identity.limit is not None:
            scope = _certain(scope if identity.limit is None else identity.limit.of(scope, action))
    except Exception as error:
        current_app.logger.exception("the authorizer failed")
        raise HttpError(403, "permission could not be determined") from error
    if scope.nothing or (action is Action.ADMIN and not scope.everything):
        raise HttpError(403, f"{identity.label or 'nobody'} may not {action.value}")
    return scope


def _certain(scope: Scope) -> Scope:
    """The scope; raises ValueError if the index could not tell what lies inside."""
    index = current_context().index
    for conditions in scope.any_of:
        if shared := sharing_items(conditions):
            raise ValueError(
                f"the index cannot tell whether the same item of {shared[0].tag} fulfils two "
                f"conditions, which a scope names"
            )
    for condition in scope.conditions():
        if not index.answers(condition, QueryLevel.STUDY):
            filled = ", before `dicomweb-server reindex --tags` ran"
            raise ValueError(
                f"the index cannot tell {condition.tag}, which a scope names"
                f"{filled if index.keeps(condition, QueryLevel.STUDY) else ''}"
            )
    return NOTHING if scope.nothing else scope
