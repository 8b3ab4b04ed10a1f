"""Login `oidc`: tokens (JWT) of an OpenID Connect provider such as Keycloak.

The provider's keys are found by its discovery document, or stand in the configuration. Needs the
extra `oidc` of the distribution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Request

from dicomweb_auth_oidc.options import OPTIONS, checked
from dicomweb_server import hookimpl
from dicomweb_server.config import ConfigError
from dicomweb_server.interfaces.auth import Authenticator, Identity
from dicomweb_server.interfaces.provider import Settings

if TYPE_CHECKING:
    from dicomweb_auth_oidc.tokens import TokenReader

CHALLENGE = 'Bearer realm="DICOMweb"'
_PARTS_OF_A_JWT = 3


def _reader(settings: Settings) -> TokenReader:
    """Made late: who does not use this login need not have the library."""
    try:
        from dicomweb_auth_oidc.tokens import TokenReader
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the Python package {error.name} is not installed; "
            f"`pip install 'dicomweb-server[oidc]'` installs what the login oidc needs"
        ) from error
    return TokenReader(checked(settings))


class OidcAuthenticator(Authenticator):
    """Checks who signed a token, for whom, and until when; its claims say who asks."""

    name = "oidc"
    options = OPTIONS

    def __init__(self, settings: Settings) -> None:
        self._reader = _reader(settings)

    def challenge(self) -> str:
        return CHALLENGE

    def authenticate(self, request: Request) -> Identity | None:
        header = request.environ.get("HTTP_AUTHORIZATION", "")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or len(token.strip().split(".")) != _PARTS_OF_A_JWT:
            return None
        return self._reader.identity(token.strip())


@hookimpl
def register_authenticators() -> list[type[Authenticator]]:
    return [OidcAuthenticator]
