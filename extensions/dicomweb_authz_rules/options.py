"""The section `Authorization` of type `rules`, and what may stand in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dicomweb_authz_rules.rules import Rule, Studies
from dicomweb_server.config import Option, nearest_name, texts
from dicomweb_server.interfaces.auth import Action

_KEYS = ("Users", "Groups", "Actions", "Methods", "Studies")
_ACTIONS = {action.value: action for action in Action if action is not Action.PUBLIC}
_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


def read_rules(value: Any) -> tuple[Rule, ...]:
    """The rules; raises ValueError with a sentence that says which one is wrong."""
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list of rules")
    found = []
    for number, item in enumerate(value, 1):
        try:
            found.append(_rule(item))
        except ValueError as error:
            raise ValueError(f"holds a wrong rule, number {number}: it {error}") from error
    return tuple(found)


def _rule(item: Any) -> Rule:
    if not isinstance(item, Mapping):
        raise ValueError(f"must be an object with some of {', '.join(_KEYS)}")
    for key in item:
        if key not in _KEYS:
            nearest = nearest_name(key, _KEYS)
            hint = f"did you mean {nearest}? " if nearest else ""
            raise ValueError(f"has the key {key!r}; {hint}possible are {', '.join(_KEYS)}")
    rule = Rule(
        users=frozenset(_texts(item, "Users")),
        groups=frozenset(_texts(item, "Groups")),
        actions=_actions(item),
        methods=_methods(item),
        studies=_studies(item.get("Studies", {})),
    )
    if not rule.users and not rule.groups:
        raise ValueError('is about nobody; name Users (["*"] is everybody who logs in) or Groups')
    if rule.studies and Action.ADMIN in rule.actions:
        raise ValueError("restricts admin to some studies, but that is about the server itself")
    return rule


def _texts(item: Mapping[str, Any], key: str) -> tuple[str, ...]:
    try:
        return texts(item.get(key, ()))
    except ValueError as error:
        raise ValueError(f"has wrong {key}, which {error}") from error


def _actions(item: Mapping[str, Any]) -> frozenset[Action]:
    named = _texts(item, "Actions")
    if not named:
        raise ValueError(f"allows nothing; name Actions: {', '.join(_ACTIONS)}, or * for all")
    if "*" in named:
        return frozenset(_ACTIONS.values())
    for name in named:
        if name not in _ACTIONS:
            raise ValueError(f"allows {name!r}; possible are {', '.join(_ACTIONS)}, or * for all")
    return frozenset(_ACTIONS[name] for name in named)


def _methods(item: Mapping[str, Any]) -> frozenset[str]:
    named = _texts(item, "Methods")
    for name in named:
        if name not in _METHODS:
            raise ValueError(f"is about the method {name!r}; possible are {', '.join(_METHODS)}")
    if "Methods" in item and not named:
        raise ValueError("is about no method; leave Methods out for all of them")
    return frozenset(named)


def _studies(value: Any) -> Studies:
    if not isinstance(value, Mapping):
        raise ValueError('has wrong Studies; possible is {"InstitutionName": "North*"}')
    return tuple((str(key), _alternatives(str(key), given)) for key, given in value.items())


def _alternatives(key: str, value: Any) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not given or not all(isinstance(v, str) for v in given):
        raise ValueError(f"has a wrong {key} in Studies; possible is a text or a list of texts")
    return tuple(given)


def read_groups(value: Any) -> Mapping[str, frozenset[str]]:
    """group -> its users."""
    if not isinstance(value, Mapping):
        raise ValueError('must be an object such as {"radiologists": ["alice", "bob"]}')
    try:
        return {str(name): frozenset(texts(users)) for name, users in value.items()}
    except ValueError as error:
        raise ValueError("must hold lists of user names") from error


NO_RULES: tuple[Rule, ...] = ()
NO_GROUPS: Mapping[str, frozenset[str]] = {}

RULES = Option(
    "Rules",
    NO_RULES,
    'Who may do what: [{"Groups": ["readers"], "Actions": ["search", "read"], '
    '"Studies": {"InstitutionName": "North*"}}].',
    read_rules,
)
GROUPS = Option(
    "Groups",
    NO_GROUPS,
    "Groups and their users, beside the groups that a login tells.",
    read_groups,
)
