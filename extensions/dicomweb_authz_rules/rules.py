"""One rule: whom it is about, what it allows, and with which studies."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from dicomweb_server.interfaces.auth import Action

ANYBODY = "*"

Studies = tuple[tuple[str, tuple[str, ...]], ...]
"""(attribute, texts of the search language of which one must match)"""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it was read. `methods`: HTTP methods; none means all of them."""

    users: frozenset[str]
    groups: frozenset[str]
    actions: frozenset[Action]
    methods: frozenset[str]
    studies: Studies

    def is_about(self, user: str, groups: Collection[str], action: Action, method: str) -> bool:
        """Whether the rule allows somebody who has logged in an action."""
        if action not in self.actions or (self.methods and method not in self.methods):
            return False
        return ANYBODY in self.users or user in self.users or not self.groups.isdisjoint(groups)
