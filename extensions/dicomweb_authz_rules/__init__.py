"""Authorization `rules`: who may do what with which studies, as a list in the configuration.

A rule allows; what no rule allows is forbidden. Several that apply add up.
"""

from __future__ import annotations

from functools import lru_cache

from flask import has_request_context, request

from dicomweb_authz_rules.options import GROUPS, RULES
from dicomweb_authz_rules.rules import Rule
from dicomweb_authz_rules.studies import conditions_of
from dicomweb_server import hookimpl
from dicomweb_server.config import ConfigError
from dicomweb_server.context import ServerContext
from dicomweb_server.interfaces.auth import (
    EVERYTHING,
    NOTHING,
    Action,
    Authorizer,
    Conditions,
    Identity,
    Scope,
)
from dicomweb_server.interfaces.provider import Settings


class RulesAuthorizer(Authorizer):
    """Adds up the rules that are about an identity and an action."""

    name = "rules"
    options = (RULES, GROUPS)

    def __init__(self, settings: Settings) -> None:
        self._rules = settings[RULES]
        if not self._rules:
            raise ConfigError("Rules is empty, so that nobody may do anything; add a rule")
        self._groups = settings[GROUPS]
        # Nothing until `bind` has read what they mean.
        self._conditions: dict[Rule, Conditions] = {}
        self._cached = lru_cache(maxsize=1024)(self._scope)

    def bind(self, context: ServerContext) -> None:
        for number, rule in enumerate(self._rules, 1):
            try:
                self._conditions[rule] = conditions_of(rule.studies, context)
            except ConfigError as error:
                raise ConfigError(f"Authorization: Rules, number {number}: {error}") from error

    def scope(self, identity: Identity, action: Action) -> Scope:
        if action is Action.PUBLIC:
            return EVERYTHING
        if not identity.authenticated:
            return NOTHING
        method = request.method if has_request_context() else ""
        return self._cached(identity.user, identity.groups, action, method)

    def _scope(self, user: str, groups: tuple[str, ...], action: Action, method: str) -> Scope:
        belongs = {*groups, *(name for name, users in self._groups.items() if user in users)}
        sets: list[Conditions] = []
        for rule in self._rules:
            if rule.is_about(user, belongs, action, method):
                conditions = self._conditions[rule]
                if not conditions:
                    return EVERYTHING
                sets.append(conditions)
        return Scope(everything=False, any_of=tuple(dict.fromkeys(sets))) if sets else NOTHING


@hookimpl
def register_authorizers() -> list[type[Authorizer]]:
    return [RulesAuthorizer]
