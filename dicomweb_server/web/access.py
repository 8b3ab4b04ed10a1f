"""The door: where requests may come from, who asks, and that every route says what it does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, g, request

from dicomweb_server.config import Config, ConfigError
from dicomweb_server.context import ServerContext
from dicomweb_server.http.access import action_of, current_context, scope_of
from dicomweb_server.http.current import current_request, current_values
from dicomweb_server.http.errors import HttpError, error_answer
from dicomweb_server.http.hosts import is_loopback_address, is_loopback_name
from dicomweb_server.http.urls import FORWARDED_FOR, configured_host, origin
from dicomweb_server.interfaces.auth import (
    ANONYMOUS,
    Action,
    AuthenticationFailed,
    AuthenticationUnavailable,
    Identity,
)
from dicomweb_server.settings import (
    AUTHENTICATION_ENABLED,
    HOST,
    REMOTE_ACCESS,
    REMOTE_ACCESS_OLD,
)
from dicomweb_server.web.cors import is_allowed

log = logging.getLogger(__name__)

_NOBODY_LOGS_IN = Identity(authenticated=True)
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def remote_access(config: Config) -> bool:
    """Whether clients on other machines are served."""
    return config[REMOTE_ACCESS] or config[REMOTE_ACCESS_OLD]


def authentication_enabled(config: Config) -> bool:
    """Whether clients must log in: as configured, else if others can reach the server."""
    configured = config[AUTHENTICATION_ENABLED]
    return remote_access(config) if configured is None else bool(configured)


def check_access(context: ServerContext) -> None:
    """Refuse a start that would leave the door open, or locked for everybody."""
    config = context.config
    if not authentication_enabled(config):
        return
    authenticators = context.providers.authenticators
    if not any(authenticator.ready for authenticator in authenticators):
        raise ConfigError(
            "clients must log in, but nobody can: add users to RegisteredUsers "
            "(`dicomweb-server hash-password` makes their passwords), set up another login of "
            "Authentication.Order, or say "
            '"AuthenticationEnabled": false if everybody who reaches the server may see '
            "and change everything"
        )


def check_routes(app: Flask) -> None:
    """Every route must declare an action."""
    for endpoint, view in app.view_functions.items():
        if action_of(view) is None and endpoint != "static":
            raise ConfigError(
                f"the route {endpoint} declares no permission; decorate its view with "
                f"@requires(Action.READ) or another action"
            )


def address_of(environ: Mapping[str, Any]) -> str:
    """The address of the client, as far as it is trusted."""
    return str(environ.get(FORWARDED_FOR) or environ.get("REMOTE_ADDR") or "")


def install_access(app: Flask, context: ServerContext) -> None:
    """Check every request before its view runs."""
    config = context.config
    local_only = not remote_access(config)
    must_log_in = authentication_enabled(config)
    views = app.view_functions

    def check() -> Response | None:
        current, here = current_request(), current_values()
        view: Callable[..., Any] | None = views.get(current.endpoint or "")
        action = here.action = action_of(view) if view else None
        if local_only:
            _check_local(config, current.environ)
        here.identity = ANONYMOUS if must_log_in else _NOBODY_LOGS_IN
        here.lasting = not must_log_in
        if action is Action.PUBLIC:
            return None
        if must_log_in:
            refused = _log_in(context)
            if refused is not None:
                return refused
        if current.method not in _READING:
            _check_origin(config)
        here.scope = scope_of(action) if action is not None else None
        return None

    app.before_request(check)


def _check_local(config: Config, environ: Mapping[str, Any]) -> None:
    if not is_loopback_address(environ.get("REMOTE_ADDR", "")) or not is_loopback_address(
        environ.get(FORWARDED_FOR, "")
    ):
        raise HttpError(403, "only clients on this machine are served; see RemoteAccessAllowed")
    host = environ.get("HTTP_HOST", "localhost")
    # A page of another site can make a browser call 127.0.0.1 under a name of its own.
    if not is_loopback_name(host) and host != configured_host(config):
        raise HttpError(
            403,
            f"the server was called by the name {host[:100]!r}, which is not this machine's; "
            f"set RemoteAccessAllowed, or {HOST.name} if a proxy passes its own name on",
        )


def _log_in(context: ServerContext) -> Response | None:
    """Ask each authenticator in order until one knows the credentials, or what is wrong with them.

    None: somebody has logged in.
    """
    lasting = True
    for authenticator in context.providers.authenticators:
        # One that was asked before may know more of the same request later.
        lasting = lasting and authenticator.lasting
        try:
            identity = authenticator.authenticate(request)
        except AuthenticationFailed as error:
            g.tried = error.user
            instead = {authenticator.challenge(): error.challenge} if error.challenge else {}
            return _unauthorized(context, str(error), instead, error.retry_after)
        except AuthenticationUnavailable as error:
            return error_answer(503, str(error), {"Retry-After": str(error.retry_after)})
        except Exception:
            log.exception("the authenticator %s failed", authenticator.name)
            return _unauthorized(context, "the login could not be checked")
        if identity is not None:
            g.identity = identity
            g.lasting = lasting
            return None
    if "HTTP_AUTHORIZATION" in request.environ:
        names = ", ".join(authenticator.name for authenticator in context.providers.authenticators)
        return _unauthorized(context, f"the credentials are none of those taken here: {names}")
    return _unauthorized(context, "credentials are needed")


def _unauthorized(
    context: ServerContext,
    sentence: str,
    instead: Mapping[str, str] = {},
    retry_after: int | None = None,
) -> Response:
    """401 with the challenges of all; `instead` has those that say more this time."""
    answer = error_answer(401, sentence)
    usual = [authenticator.challenge() for authenticator in context.providers.authenticators]
    for challenge in dict.fromkeys(usual):
        answer.headers.add("WWW-Authenticate", instead.get(challenge, challenge))
    if retry_after is not None:
        answer.headers["Retry-After"] = str(retry_after)
    return answer


def _check_origin(config: Config) -> None:
    """A page of another site must not change anything with the browser's credentials."""
    environ = request.environ
    named = environ.get("HTTP_ORIGIN")
    if named is None:
        foreign = environ.get("HTTP_SEC_FETCH_SITE") == "cross-site"
    else:
        own = {origin(config, environ), f"http://{environ.get('HTTP_HOST', '')}"}
        own.add(f"https://{environ.get('HTTP_HOST', '')}")
        foreign = named not in own and not is_allowed(config, named)
    if foreign:
        site = urlsplit(named).netloc if named else "another site"
        raise HttpError(403, f"a page of {site[:100]} may not change anything here")


__all__ = [
    "address_of",
    "authentication_enabled",
    "check_access",
    "check_routes",
    "current_context",
    "install_access",
    "remote_access",
]
