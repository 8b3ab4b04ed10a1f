"""Links: what is kept of them, and how their tokens are signed.

A token is `link.ID.EXPIRES.SIGNATURE`. What it opens is kept under its ID in the state store, so
that it can be revoked; the signature keeps forged ones from asking there.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any

from dicomweb_server.interfaces.auth import Action, Identity, Limit
from dicomweb_server.interfaces.state import Document, StateStore, kept_secret
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.query import Equals, Match

NAMESPACE = "signed-links"
_LINKS = "link/"
_KEY = "key"
_TOKEN = re.compile(r"link\.([0-9a-f]{16})\.([0-9]{1,12})\.([0-9a-f]{64})")


class WrongLink(Exception):
    """The link is none, or none any more."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link to a study, or to one series of it; `expires` in seconds of the epoch."""

    id: str
    study: str
    series: str | None
    expires: int
    user: str
    groups: tuple[str, ...]

    @property
    def identity(self) -> Identity:
        """Its maker, limited to reading what the link is for."""
        limit = Limit(
            name=f"link:{self.id}",
            actions=frozenset({Action.SEARCH, Action.READ}),
            conditions=(Match((sets.STUDY_INSTANCE_UID,), "UI", Equals(self.study)),),
            series=(self.series,) if self.series else (),
        )
        return Identity(self.user, self.groups, authenticated=True, limit=limit)


def _link_of(document: Document) -> Link:
    value: dict[str, Any] = document.value
    return Link(**{**value, "groups": tuple(value["groups"])})


class LinkStore:
    """The links of an archive, in its state store."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self._known_key: bytes | None = None

    def create(
        self, study: str, series: str | None, seconds: int, maker: Identity
    ) -> tuple[Link, str]:
        """A new link and its token, which is kept nowhere. Expired ones are forgotten."""
        now = int(time.time())
        for old in self._all():
            if old.expires <= now:
                self.revoke(old.id)
        link = Link(secrets.token_hex(8), study, series, now + seconds, maker.user, maker.groups)
        self._state.put(NAMESPACE, _LINKS + link.id, asdict(link), expected=0)
        return link, f"link.{link.id}.{link.expires}.{self._signature(link.id, link.expires)}"

    def find(self, token: str) -> Link:
        """The link of a token; raises `WrongLink` with a sentence."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise WrongLink("this is no link")
        key, expires, signature = match[1], int(match[2]), match[3]
        if not hmac.compare_digest(self._signature(key, expires), signature):
            raise WrongLink("this link was not made here")
        if expires <= time.time():
            raise WrongLink("this link has expired")
        link = self.get(key)
        if link is None:
            raise WrongLink("this link was revoked")
        return link

    def get(self, key: str) -> Link | None:
        """A link by its ID."""
        document = self._state.get(NAMESPACE, _LINKS + key)
        return None if document is None else _link_of(document)

    def active(self) -> list[Link]:
        """The links that have not expired."""
        now = time.time()
        return [link for link in self._all() if link.expires > now]

    def _all(self) -> list[Link]:
        return [_link_of(document) for document in self._state.documents(NAMESPACE, _LINKS)]

    def revoke(self, key: str) -> bool:
        """Whether there was such a link."""
        return self._state.delete(NAMESPACE, _LINKS + key)

    def _signature(self, key: str, expires: int) -> str:
        return hmac.new(self._key(), f"{key}.{expires}".encode(), hashlib.sha256).hexdigest()

    def _key(self) -> bytes:
        """The key of all processes, made by whichever is first."""
        if self._known_key is None:
            self._known_key = kept_secret(self._state, NAMESPACE, _KEY)
        return self._known_key
