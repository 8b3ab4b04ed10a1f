"""Authorization `allow-authenticated`: who has logged in may do everything, others nothing."""

from __future__ import annotations

from dicomweb_server import hookimpl
from dicomweb_server.interfaces.auth import (
    EVERYTHING,
    NOTHING,
    Action,
    Authorizer,
    Identity,
    Scope,
)


class AllowAuthenticated(Authorizer):
    """The explicit default. Without authentication everybody counts as having logged in."""

    name = "allow-authenticated"

    def scope(self, identity: Identity, action: Action) -> Scope:
        return EVERYTHING if identity.authenticated else NOTHING


@hookimpl
def register_authorizers() -> list[type[Authorizer]]:
    return [AllowAuthenticated]
