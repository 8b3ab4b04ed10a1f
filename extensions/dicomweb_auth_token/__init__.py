"""Login `token`: long random bearer tokens, whose hashes stand in the configuration (RFC 6750).

A token has 256 random bits, so that a plain SHA-256 of it can be shown to everybody: there is
nothing to guess that a slower hash would protect.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

import click
from flask import Request

from dicomweb_auth_token.options import PREFIX, TOKENS, Token
from dicomweb_server import hookimpl
from dicomweb_server.interfaces.auth import AuthenticationFailed, Authenticator, Identity
from dicomweb_server.interfaces.provider import Settings

CHALLENGE = 'Bearer realm="DICOMweb"'
REFUSAL = f'{CHALLENGE}, error="invalid_token"'


def digest_of(token: str) -> str:
    """The SHA-256 of a token in lower-case hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class TokenAuthenticator(Authenticator):
    """Compares the digest of what comes with those of the configuration."""

    name = "token"
    lasting = True
    options = (TOKENS,)

    def __init__(self, settings: Settings) -> None:
        self._tokens = tuple(settings[TOKENS].values())

    @property
    def ready(self) -> bool:
        return bool(self._tokens)

    def challenge(self) -> str:
        return CHALLENGE

    def authenticate(self, request: Request) -> Identity | None:
        header = request.environ.get("HTTP_AUTHORIZATION", "")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = token.strip()
        found = self._known(digest_of(token))
        if found is not None:
            return Identity(found.user, found.groups, authenticated=True)
        if "." in token:
            return None  # not one of ours, which have no dot: a JWT, or a link
        raise AuthenticationFailed("the token is not known", challenge=REFUSAL)

    def _known(self, digest: str) -> Token | None:
        found = None
        for token in self._tokens:  # all of them, so that the time tells nothing
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found


@hookimpl
def register_authenticators() -> list[type[Authenticator]]:
    return [TokenAuthenticator]


@click.command("make-token")
def make_token() -> None:
    """Print a new token, and its hash for Authentication.token.Tokens."""
    token = secrets.token_urlsafe(32)
    click.echo(f"Token, for the client:         {token}")
    click.echo(f"Hash, for the configuration:   {PREFIX}{digest_of(token)}")


@hookimpl
def register_commands(cli: click.Group) -> None:
    cli.add_command(make_token)
