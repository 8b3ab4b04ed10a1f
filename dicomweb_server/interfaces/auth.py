"""Who asks, and what they may see and change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from dicomweb_server.interfaces.provider import Provider

if TYPE_CHECKING:
    from flask import Request


class AuthenticationFailed(Exception):
    """The credentials are meant for this authenticator and are wrong (HTTP 401)."""

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. `user` is "" for somebody who did not say."""

    user: str = ""
    groups: tuple[str, ...] = ()
    authenticated: bool = False


ANONYMOUS = Identity()


class Action(Enum):
    """What a route does with resources; every route declares one."""

    PUBLIC = "public"
    """Needs no identity: health probes."""
    SEARCH = "search"
    READ = "read"
    STORE = "store"
    DELETE = "delete"
    ADMIN = "admin"
    """Looks at or changes the server itself."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of the archive that an identity may use for an action.

    The same scope is ANDed into every index query and checked on every object, so that search
    and retrieval cannot disagree.
    """

    everything: bool

    @property
    def nothing(self) -> bool:
        return not self.everything


EVERYTHING = Scope(everything=True)
NOTHING = Scope(everything=False)


class Authenticator(Provider, ABC):
    """Finds out who asks. Several are asked in the configured order."""

    @abstractmethod
    def authenticate(self, request: Request) -> Identity | None:
        """The identity; None when the request has no credentials for this authenticator.

        MUST raise `AuthenticationFailed` when it has and they are wrong. Any other exception is
        answered with 401 too: login fails closed.
        """

    @abstractmethod
    def challenge(self) -> str:
        """The value of the `WWW-Authenticate` header that tells clients how to log in."""

    @property
    def ready(self) -> bool:
        """Whether anybody could log in: MAY be False when no user is configured."""
        return True


class Authorizer(Provider, ABC):
    """Says what an identity may do. Exactly one is configured."""

    @abstractmethod
    def scope(self, identity: Identity, action: Action) -> Scope:
        """What the identity may use for the action. An exception is answered with 403."""
