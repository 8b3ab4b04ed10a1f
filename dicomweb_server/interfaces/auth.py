"""Who asks, and what they may see and change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from dicomweb_server.interfaces.provider import Provider
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.matching import OneOf
from dicomweb_server.ps318.query_model import Condition, all_match

if TYPE_CHECKING:
    from flask import Request


class AuthenticationFailed(Exception):
    """The credentials are meant for this authenticator and are wrong (HTTP 401).

    `challenge` is sent in place of the authenticator's usual one, for example to say that a token
    has expired. `user` is the name that was tried, if one was: it goes into the audit log, so it
    MUST NOT be anything secret.
    """

    def __init__(
        self,
        message: str,
        retry_after: int | None = None,
        *,
        challenge: str | None = None,
        user: str = "",
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.challenge = challenge
        self.user = user


class AuthenticationUnavailable(Exception):
    """Whether the credentials are right cannot be found out for now (HTTP 503)."""

    def __init__(self, message: str, retry_after: int = 10) -> None:
        super().__init__(message)
        self.retry_after = retry_after


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


Conditions = tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of the archive that an identity may use for an action.

    The same scope is ANDed into every index query and checked on every object, so that search
    and retrieval cannot disagree. What lies outside looks exactly like what is not there.

    `everything`, or the studies that fulfil all conditions of at least one of the sets in
    `any_of`; without a set it is nothing. A condition means what it means in a search for studies,
    so one on an attribute of a series or instance is fulfilled by any child; it MUST be one that
    the index `answers` at the study level, and no two of a set may look into the same sequence,
    since an index cannot tell whether the same item fulfils both. A study is inside as a whole,
    unless `series` names those that are: then its other series are not there, nor in what is told
    of the study itself (counts, modalities).
    """

    everything: bool
    any_of: tuple[Conditions, ...] = ()
    series: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.everything and (self.any_of or self.series):
            raise ValueError("a scope is everything, or has conditions, not both")
        if any(not conditions for conditions in self.any_of):
            raise ValueError("a set without conditions would be everything: say so")

    @property
    def nothing(self) -> bool:
        return not self.everything and not self.any_of

    def conditions(self) -> Iterable[Condition]:
        """Every condition that the scope depends on."""
        return (condition for conditions in self.any_of for condition in conditions)

    def narrowed(self, conditions: Sequence[Condition], series: Sequence[str] = ()) -> Scope:
        """The part of this scope whose studies fulfil the conditions too, of `series` if given."""
        if self.nothing or not conditions:
            return NOTHING
        kept = tuple(uid for uid in series if not self.series or uid in self.series)
        if series and not kept:
            return NOTHING
        present = self.any_of or ((),)
        return Scope(
            everything=False,
            any_of=tuple((*each, *conditions) for each in present),
            series=kept or self.series,
        )

    def admits(self, attributes: Mapping[str, Any]) -> bool:
        """Whether an instance (DICOM JSON model) would be inside if its study were only itself."""
        if self.everything:
            return True
        if self.series and not _series_condition(self.series).matches(attributes):
            return False
        own = {**attributes, **_computed(attributes)}
        return any(all_match(conditions, own) for conditions in self.any_of)


def _series_condition(series: tuple[str, ...]) -> Condition:
    return Condition((sets.SERIES_INSTANCE_UID,), "UI", OneOf(series))


def _computed(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a study that are computed from its instances, here from one."""
    pairs = (
        (sets.MODALITIES_IN_STUDY, sets.MODALITY),
        (sets.SOP_CLASSES_IN_STUDY, sets.SOP_CLASS_UID),
    )
    return {of_study: attributes.get(own) for of_study, own in pairs}


EVERYTHING = Scope(everything=True)
NOTHING = Scope(everything=False)


@dataclass(frozen=True, slots=True)
class Limit:
    """What an identity may do at most, whatever the authorizer allows it.

    `name` is told in logs. `conditions` and `series` are as in `Scope`.
    """

    name: str
    actions: frozenset[Action]
    conditions: Conditions
    series: tuple[str, ...] = ()

    def of(self, scope: Scope, action: Action) -> Scope:
        """The part of a scope that is left for an action."""
        if action not in self.actions:
            return NOTHING
        return scope.narrowed(self.conditions, self.series)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. `user` is "" for somebody who did not say.

    With a `limit` it is somebody who acts for the user, for example by a link that the user made.
    """

    user: str = ""
    groups: tuple[str, ...] = ()
    authenticated: bool = False
    limit: Limit | None = None

    @property
    def label(self) -> str:
        """How logs and sentences call the identity."""
        return self.user if self.limit is None else f"{self.user}/{self.limit.name}"


ANONYMOUS = Identity()


class Authenticator(Provider, ABC):
    """Finds out who asks. Several are asked in the configured order."""

    lasting: ClassVar[bool] = False
    """Whether the same headers mean the same identity, or none, for as long as the server runs.

    MAY be True if it heeds nothing else but the configuration: then answers may be sent again
    without asking it. It MUST be False if logins expire or can be taken back.
    """

    @abstractmethod
    def authenticate(self, request: Request) -> Identity | None:
        """The identity; None when the request has no credentials for this authenticator.

        MUST raise `AuthenticationFailed` when it has and they are wrong, and
        `AuthenticationUnavailable` when that cannot be found out for now. Any other exception is
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
        """What the identity may use for the action. An exception is answered with 403.

        Equal questions MUST have equal answers. Conditions that the index does not answer SHOULD
        be refused with `ConfigError` in `bind`; a scope with one is answered with 403. For
        `Action.ADMIN` a scope with conditions is as good as none: the server has no studies.
        `Identity.limit` is heeded by the server.
        """
