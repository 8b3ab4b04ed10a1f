"""The option `Tokens`: names of tokens, their hashes, and who comes with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dicomweb_server.config import Option, mapping, texts

PREFIX = "sha256:"
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_KEYS = ("Hash", "User", "Groups")
_NOT_A_HASH = (
    "is no hash; a token does not stand in the configuration, only `sha256:` and 64 hex digits, "
    "and `dicomweb-server make-token` makes both"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the configuration has it."""

    digest: str
    user: str
    groups: tuple[str, ...] = ()


def read_tokens(value: Any) -> Mapping[str, Token]:
    """The tokens by name; raises ValueError with a sentence that names one and never shows it."""
    tokens = {str(name): _token(str(name), entry) for name, entry in mapping(value).items()}
    if len({token.digest for token in tokens.values()}) < len(tokens):
        raise ValueError("holds the same hash twice; each token has one name")
    return tokens


def _token(name: str, entry: Any) -> Token:
    if not name:
        raise ValueError("holds a token without name")
    if isinstance(entry, Mapping):
        return _described(name, entry)
    return Token(_digest(name, entry), name)


def _described(name: str, entry: Mapping[str, Any]) -> Token:
    unknown = entry.keys() - set(_KEYS)
    if unknown:
        raise ValueError(f"holds an unknown key in {name!r}; possible are {', '.join(_KEYS)}")
    user = entry.get("User", name)
    if not isinstance(user, str) or not user:
        raise ValueError(f"holds a wrong User in {name!r}; possible is a name")
    try:
        groups = texts(entry.get("Groups", ()))
    except ValueError as error:
        raise ValueError(f"holds wrong Groups in {name!r}, which {error}") from error
    return Token(_digest(name, entry.get("Hash")), user, groups)


def _digest(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise ValueError(f"holds for {name!r} what {_NOT_A_HASH}")
    return value.removeprefix(PREFIX)


NO_TOKENS: Mapping[str, Token] = {}

TOKENS = Option(
    "Tokens",
    NO_TOKENS,
    "Names of tokens and their hashes by `dicomweb-server make-token`; or objects with Hash, User "
    "and Groups.",
    read_tokens,
    secret=True,
)
