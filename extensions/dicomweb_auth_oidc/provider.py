"""Asks an OpenID provider for its keys: not too often, and never for longer than allowed."""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

from dicomweb_auth_oidc.options import OidcSettings, check_url
from dicomweb_server.config import ConfigError
from dicomweb_server.interfaces.auth import AuthenticationUnavailable

log = logging.getLogger(__name__)

_LARGEST = 1 << 20
_PAUSE = 10.0
"""Seconds between two questions, whatever tokens come: anybody can invent a key identifier."""
_WELL_KNOWN = "/.well-known/openid-configuration"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect could lead away from TLS, or into the local network."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def fetch(url: str, timeout: float) -> dict[str, Any]:
    """A JSON object; raises `ValueError` or `OSError`."""
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310
    with _OPENER.open(request, timeout=timeout) as answer:
        data = answer.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"{url} answers with more than {_LARGEST} bytes")
    document = json.loads(data)
    if not isinstance(document, dict):
        raise ValueError(f"{url} answers with something else than a JSON object")
    return document


def discover(settings: OidcSettings) -> dict[str, Any]:
    """The provider's JSON Web Key Set, by way of its discovery document."""
    url = settings.issuer.rstrip("/") + _WELL_KNOWN
    document = fetch(url, settings.timeout)
    if document.get("issuer") != settings.issuer:
        raise ValueError(f"{url} is of the issuer {document.get('issuer')!r}")
    location = document.get("jwks_uri")
    if not isinstance(location, str):
        raise ValueError(f"{url} names no jwks_uri")
    try:
        check_url(location, "jwks_uri", allow_http=settings.allow_http)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return fetch(location, settings.timeout)


class KeyCache:
    """What `parse` makes of the provider's keys, for a bounded time."""

    def __init__(
        self, settings: OidcSettings, parse: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> None:
        self._settings = settings
        self._parse = parse
        self._lock = threading.Lock()
        self._keys: dict[str, Any] = {}
        self._expires = 0.0
        self._asked = float("-inf")
        self._problem = ""

    def find(self, kid: str) -> Any:
        """The key of an identifier, or None; raises `AuthenticationUnavailable`.

        One that is not known may be new: the provider is asked again, but not for every token.
        """
        if time.monotonic() < self._expires and kid in self._keys:
            return self._keys[kid]
        with self._lock:
            now = time.monotonic()
            fresh = now < self._expires
            if not (fresh and kid in self._keys) and now >= self._asked + _PAUSE:
                self._ask()
                fresh = time.monotonic() < self._expires
            if not fresh:
                raise AuthenticationUnavailable(
                    f"the provider of logins cannot be asked for its keys: {self._problem}"
                )
            return self._keys.get(kid)

    def _ask(self) -> None:
        self._asked = time.monotonic()
        try:
            self._keys = self._parse(discover(self._settings))
        except (OSError, ValueError, HTTPException) as error:
            # Keys that have not expired stay: a provider may be restarted.
            self._problem = "it does not answer as it should; the log of the server says why"
            log.warning("the provider %s: %s", self._settings.issuer, error)
            return
        self._expires = time.monotonic() + self._settings.lifetime
