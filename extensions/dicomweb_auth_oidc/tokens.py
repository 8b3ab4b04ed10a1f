"""What a token says, once it is certain who signed it, for whom, and that it has not expired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from dicomweb_auth_oidc.options import SHARED, OidcSettings
from dicomweb_auth_oidc.provider import KeyCache
from dicomweb_server.config import ConfigError
from dicomweb_server.interfaces.auth import AuthenticationFailed, Identity

_REQUIRED = ["exp", "iss", "aud"]
_LONGEST_NAME = 256


def refused(sentence: str) -> AuthenticationFailed:
    """The refusal of a token (RFC 6750, 3.1)."""
    challenge = f'Bearer realm="DICOMweb", error="invalid_token", error_description="{sentence}"'
    return AuthenticationFailed(sentence, challenge=challenge)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key, and the one algorithm that it is for; None if it does not say."""

    key: Any
    algorithm: str | None


def public_keys(document: Mapping[str, Any]) -> dict[str, PublicKey]:
    """The public keys of a JSON Web Key Set by their identifiers; what is of no use is left out.

    A shared secret in it is of no use: it could be used to sign as well.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise ValueError("the JSON Web Key Set has no list of keys")
    found: dict[str, PublicKey] = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC", "OKP"):
            continue
        if entry.get("use", "sig") != "sig":
            continue
        try:
            key = PublicKey(jwt.PyJWK(entry).key, entry.get("alg"))
        except (jwt.PyJWTError, ValueError, TypeError, NotImplementedError):
            continue  # a kind that came after this library
        found[str(entry.get("kid", ""))] = key
    return found


class TokenReader:
    """Reads tokens as the settings want them."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._cache: KeyCache | None = None
        self._given: dict[str, PublicKey] = {}
        if settings.keys is not None:
            try:
                self._given = public_keys(settings.keys)
            except ValueError as error:
                raise ConfigError(f"Keys: {error}") from error
            if not self._given:
                raise ConfigError("Keys holds no public key that could check a signature")
        elif not settings.secret:
            self._cache = KeyCache(settings, public_keys)

    def identity(self, token: str) -> Identity:
        """Who comes with a token; raises `AuthenticationFailed` or `AuthenticationUnavailable`."""
        claims = self._claims(token)
        user = claims.get(self._settings.user_claim)
        if not isinstance(user, str) or not _is_name(user):
            raise refused(f"the token has no name in the claim {self._settings.user_claim}")
        return Identity(user, self._groups(claims), authenticated=True)

    def _claims(self, token: str) -> dict[str, Any]:
        settings = self._settings
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            # Before any key is looked for: what the token wants must not choose how it is checked.
            if algorithm not in settings.algorithms:
                raise refused("the token is signed in a way that is not taken here")
            if "crit" in header:
                raise refused("the token has critical extensions, none of which is known here")
            key = self._key(str(header.get("kid", "")), str(algorithm))
            decoded: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[str(algorithm)],
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=settings.skew,
                options={"require": _REQUIRED},
            )
        except jwt.PyJWTError as error:
            raise refused(_reason(error)) from error
        except (ValueError, TypeError) as error:
            raise refused("the token cannot be read") from error
        return decoded

    def _key(self, kid: str, algorithm: str) -> Any:
        if algorithm in SHARED:
            return self._settings.secret
        found = self._cache.find(kid) if self._cache is not None else self._given.get(kid)
        if found is None:
            raise refused("the token is signed with a key that is not known")
        if found.algorithm not in (None, algorithm):
            raise refused("the token is signed in another way than its key is for")
        return found.key

    def _groups(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        value: Any = claims
        path = self._settings.groups_claim
        if path in claims:
            value = claims[path]  # names with dots, such as URLs, are claims too
        else:
            for step in path.split(".") if path else ():
                value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            return ()
        return tuple(sorted({item for item in value if isinstance(item, str) and item}))


def _is_name(user: str) -> bool:
    """Names are written into logs, one line for each request."""
    return 0 < len(user) <= _LONGEST_NAME and user.isprintable()


def _reason(error: jwt.PyJWTError) -> str:
    """Why a token is refused, without anything of it."""
    reasons: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
        (jwt.ExpiredSignatureError, "the token has expired"),
        (jwt.ImmatureSignatureError, "the token is not valid yet"),
        (jwt.InvalidAudienceError, "the token is for somebody else"),
        (jwt.InvalidIssuerError, "the token is of another issuer"),
        (jwt.MissingRequiredClaimError, f"the token lacks one of {', '.join(_REQUIRED)}"),
        (jwt.InvalidSignatureError, "the signature of the token is wrong"),
    )
    return next((text for kind, text in reasons if isinstance(error, kind)), "the token is wrong")
