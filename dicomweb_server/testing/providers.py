"""Builds one provider as the server would: for the fixture of a contract test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from dicomweb_server.config import Option, check
from dicomweb_server.interfaces.provider import Provider, Settings
from dicomweb_server.options import CORE_OPTIONS

P = TypeVar("P", bound=Provider)


def build_provider(
    kind: type[P],
    folder: Path,
    section: Mapping[str, Any] | None = None,
    *,
    config: Mapping[str, Any] | None = None,
    options: Iterable[Option[Any]] = (),
) -> P:
    """An object of a provider class.

    `section` is its own section, `config` the rest of the configuration, in which
    `StorageDirectory` is `folder`. `options` are those that its extension registers.
    """
    raw = {"StorageDirectory": str(folder)} | dict(config or {})
    checked = check(raw, [*CORE_OPTIONS, *options], base=folder)
    declared = {option.name: option for option in kind.options}
    values = {name: declared[name].check(value) for name, value in (section or {}).items()}
    return kind(Settings(checked, values, "default"))
