"""Lets in whoever brings a link: as `?link=...`, `X-DICOMweb-Link: ...`, or a bearer token."""

from __future__ import annotations

from flask import Request

from dicomweb_server.config import Option, whole
from dicomweb_server.context import ServerContext
from dicomweb_server.http import claim_parameter
from dicomweb_server.interfaces.auth import (
    AuthenticationFailed,
    AuthenticationUnavailable,
    Authenticator,
    Identity,
)
from dicomweb_server.interfaces.provider import Settings
from dicomweb_server.interfaces.state import StateError
from dicomweb_signed_links.links import LinkStore, WrongLink

CHALLENGE = 'Bearer realm="DICOMweb"'

MAXIMUM = Option(
    "MaximumSeconds", 30 * 86400, "Longest time that a link may be valid, in seconds.", whole(1)
)


class LinkAuthenticator(Authenticator):
    """Who comes with a link is its maker, but may only read what the link is for."""

    name = "link"
    options = (MAXIMUM,)

    def __init__(self, settings: Settings) -> None:
        self.maximum = settings[MAXIMUM]

    def bind(self, context: ServerContext) -> None:
        self.links = LinkStore(context.state)

    @property
    def ready(self) -> bool:
        return False  # somebody must log in to make the first one

    def challenge(self) -> str:
        return CHALLENGE

    def authenticate(self, request: Request) -> Identity | None:
        token = _token_of(request)
        if token is None:
            return None
        try:
            return self.links.find(token).identity
        except WrongLink as error:
            challenge = f'{CHALLENGE}, error="invalid_token"'
            raise AuthenticationFailed(str(error), challenge=challenge) from error
        except StateError as error:
            raise AuthenticationUnavailable(f"links cannot be checked: {error}") from error


def _token_of(request: Request) -> str | None:
    environ = request.environ
    given: str | None = environ.get("HTTP_X_DICOMWEB_LINK")
    if given is None and "link=" in environ.get("QUERY_STRING", ""):
        given = request.args.get("link")
        claim_parameter(environ, "link")
    if given is None:
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip().startswith("link."):
            given = token
    return None if given is None else given.strip()
