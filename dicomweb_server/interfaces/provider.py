"""What every configured class has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from dicomweb_server.config import Config, Option

if TYPE_CHECKING:
    from dicomweb_server.context import ServerContext

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a provider is built from: its own section, and the whole configuration."""

    config: Config
    section: Mapping[str, Any]
    alias: str = ""

    def __getitem__(self, option: Option[T]) -> T:
        """The value of one of the provider's own options."""
        value: T = self.section.get(option.name, option.default)
        return value


class Provider:
    """A class that the configuration chooses by `name`.

    One object lives as long as the application. The server forks after building it when
    gunicorn preloads the application, so threads and connections MUST be opened on first use.
    """

    name: ClassVar[str]
    """The name used in the configuration."""

    options: ClassVar[tuple[Option[Any], ...]] = ()
    """Options of the provider's own section, checked before it is built."""

    def __init__(self, settings: Settings) -> None:
        """MAY raise `ConfigError`. MUST NOT open what cannot cross a fork."""

    def bind(self, context: ServerContext) -> None:
        """MAY keep the context: called once, when all providers exist."""

    def check(self) -> None:
        """MAY raise an exception whose message says why the provider cannot work right now."""

    def close(self) -> None:
        """MAY release what it holds. Whatever is used afterwards MUST be opened again."""
