"""What of the configuration may be shown: secrets never, and of a URL not its password."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

MASK = "***"
_PASSWORD = re.compile(r"(^|(?<=//)|(?<=\s))([^:/@?#\s]*:)(?!//).+@", re.DOTALL)
_PARAMETER = re.compile(r"([?&](?:password|passwd|pwd|token|secret|key)=)[^&#]*", re.IGNORECASE)
_SHORT = 4
"""Secrets with fewer characters are parts of ordinary words."""


def mask(value: Any) -> Any:
    """A secret; of an object the names stay, which are for example those of users."""
    return dict.fromkeys(value, MASK) if isinstance(value, Mapping) else MASK


def hide(value: Any, secrets: Collection[str] = ()) -> Any:
    """A value that is no secret, without what is one inside of it, at any depth.

    `secrets` are the keys whose values are secret; passwords in URLs always are.
    """
    if isinstance(value, Mapping):
        return {
            key: mask(inner) if inner and key in secrets else hide(inner, secrets)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [hide(inner, secrets) for inner in value]
    if isinstance(value, str):
        return _PARAMETER.sub(rf"\g<1>{MASK}", _PASSWORD.sub(rf"\g<2>{MASK}@", value))
    return value


def kind_of(value: Any) -> str:
    """What may be said of a secret that is wrong: the end of a sentence about it."""
    kinds = (
        (str, "a string"),
        (bool, "true or false"),
        (int | float, "a number"),
        (list, "a list"),
    )
    return next((f", found {name}" for kind, name in kinds if isinstance(value, kind)), "")


def without_secrets(sentence: str, value: Any) -> str:
    """A sentence about a secret option in which nobody can read what the option holds."""
    for leaf in sorted(set(_leaves(value)), key=len, reverse=True):
        for spelled in (repr(leaf), json.dumps(leaf)):
            sentence = sentence.replace(spelled, MASK)
        if len(leaf) >= _SHORT:
            sentence = sentence.replace(leaf, MASK)
    return sentence


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None and not isinstance(value, bool) and value != "":
        yield str(value)
