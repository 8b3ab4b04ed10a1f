"""The section `Authentication.oidc`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from dicomweb_server.config import (
    EMPTY,
    NO_TEXTS,
    ConfigError,
    Option,
    boolean,
    number,
    text,
    texts,
    whole,
)
from dicomweb_server.http.hosts import is_loopback_name
from dicomweb_server.interfaces.provider import Settings

SIGNED = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""Algorithms with a private and a public key."""
SHARED = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Algorithms with a shared secret, and the bytes that it must have (RFC 7518, 3.2)."""


def _audience(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) and value else texts(value)


def _algorithms(value: Any) -> tuple[str, ...]:
    named = texts(value)
    possible = [*SIGNED, *SHARED]
    if not named or not set(named) <= set(possible):
        raise ValueError(f"must be a list of some of {', '.join(possible)}")
    return named


def _keys(value: Any) -> Any:
    if isinstance(value, str) or (isinstance(value, Mapping) and (not value or "keys" in value)):
        return value
    raise ValueError('must be a JSON Web Key Set, {"keys": [...]}, or the path of a file with one')


ISSUER = Option("Issuer", "", "URL of the provider: the claim `iss` of its tokens.", text)
AUDIENCE = Option(
    "Audience",
    NO_TEXTS,
    "For whom tokens must be (`aud`): the name under which the provider knows this server, or a "
    "list of such names.",
    _audience,
)
USUAL: tuple[str, ...] = ("RS256", "ES256")
ALGORITHMS = Option("Algorithms", USUAL, "Algorithms of signatures that are taken.", _algorithms)
USER_CLAIM = Option("UserClaim", "sub", "Claim with the name of the user.", text)
GROUPS_CLAIM = Option(
    "GroupsClaim",
    "",
    "Claim with the user's groups; a dot leads into an object, as in realm_access.roles.",
    text,
)
CLOCK_SKEW = Option("ClockSkew", 60, "Seconds by which clocks may differ.", whole(0, 600))
KEYS = Option(
    "Keys",
    EMPTY,
    "The provider's keys (JSON Web Key Set, or path of a file with one), where it cannot be "
    "reached; empty: they are asked for.",
    _keys,
)
SECRET = Option("Secret", "", "Shared secret for the algorithms HS...", text, secret=True)
KEYS_LIFETIME = Option(
    "KeysLifetime", 600, "Seconds after which the provider is asked for its keys again.", whole(1)
)
TIMEOUT = Option("Timeout", 5.0, "Seconds to wait for the provider.", number)
ALLOW_HTTP = Option(
    "AllowHttp",
    False,
    "Ask a provider on another machine without TLS: whoever is in between can log in as anybody.",
    boolean,
)
OPTIONS: tuple[Option[Any], ...] = (
    *(ISSUER, AUDIENCE, ALGORITHMS, USER_CLAIM, GROUPS_CLAIM, CLOCK_SKEW),
    *(KEYS, SECRET, KEYS_LIFETIME, TIMEOUT, ALLOW_HTTP),
)


@dataclass(frozen=True)
class OidcSettings:
    """The section, checked as a whole. `keys` is None when the provider is asked for them."""

    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...]
    user_claim: str
    groups_claim: str
    skew: int
    keys: Mapping[str, Any] | None
    secret: str
    lifetime: int
    timeout: float
    allow_http: bool


def checked(settings: Settings) -> OidcSettings:
    """The section; raises `ConfigError` for what could let in somebody who should not."""
    issuer = settings[ISSUER]
    if not issuer:
        raise ConfigError("Issuer is missing; it is the URL of the provider, the claim iss")
    if not settings[AUDIENCE] or "" in settings[AUDIENCE]:
        raise ConfigError(
            "Audience is missing, so that a token for any other service of the provider would do; "
            "it is the name under which the provider knows this server, the claim aud"
        )
    if not settings[USER_CLAIM]:
        raise ConfigError('UserClaim is empty; possible are claims such as "sub"')
    _check_algorithms(settings)
    found = OidcSettings(
        issuer,
        settings[AUDIENCE],
        settings[ALGORITHMS],
        settings[USER_CLAIM],
        settings[GROUPS_CLAIM],
        settings[CLOCK_SKEW],
        _given_keys(settings),
        settings[SECRET],
        settings[KEYS_LIFETIME],
        settings[TIMEOUT] or 5.0,
        settings[ALLOW_HTTP],
    )
    if found.keys is None and not found.secret:
        check_url(issuer, "Issuer", allow_http=found.allow_http)
    return found


def _check_algorithms(settings: Settings) -> None:
    """A secret and public keys never go together: a public key must not do as a secret."""
    shared = [name for name in settings[ALGORITHMS] if name in SHARED]
    secret = settings[SECRET]
    if not secret:
        if shared:
            raise ConfigError(f"Algorithms has {', '.join(shared)}, which needs a Secret")
        return
    if settings[KEYS]:
        raise ConfigError("there are a Secret and Keys; possible is one of the two")
    if len(shared) < len(settings[ALGORITHMS]):
        raise ConfigError(
            f"Algorithms has others than {', '.join(SHARED)}, and there is a Secret; possible are "
            f"those with a Secret, or the others without"
        )
    needed = max(SHARED[name] for name in shared)
    if len(secret.encode()) < needed:
        raise ConfigError(f"Secret is shorter than the {needed} bytes that {shared[-1]} needs")


def _given_keys(settings: Settings) -> Mapping[str, Any] | None:
    given = settings[KEYS]
    if not given:
        return None
    if isinstance(given, Mapping):
        return given
    path = settings.config.path(given)
    try:
        loaded = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it holds no JSON"
        raise ConfigError(f"Keys: {path} cannot be read: {reason}") from error
    if not isinstance(loaded, Mapping) or "keys" not in loaded:
        raise ConfigError(f'Keys: {path} holds no JSON Web Key Set, {{"keys": [...]}}')
    return loaded


def check_url(url: str, what: str, *, allow_http: bool) -> None:
    """Raise `ConfigError` unless keys from a URL can be trusted."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.netloc:
        return
    if parts.scheme == "http" and parts.netloc and (allow_http or is_loopback_name(parts.netloc)):
        return
    raise ConfigError(
        f"{what} is {url!r}; possible are https:// URLs, and http:// ones of this machine or with "
        f"AllowHttp"
    )
