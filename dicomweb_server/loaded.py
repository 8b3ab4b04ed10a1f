"""What was loaded: extensions, who answers which hook, and whose a provider is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pluggy

from dicomweb_server.config import ConfigError
from dicomweb_server.tracing import StartTimes, Trace


class ExtensionError(ConfigError):
    """An extension cannot be used; the message names it."""


@dataclass(frozen=True, slots=True)
class ExtensionInfo:
    """What is known of one extension, for `/extensions` and `dicomweb-server extensions`."""

    name: str
    version: str
    origin: str
    status: str  # "loaded" or "disabled"
    hooks: tuple[str, ...] = ()


class _Implementation(Protocol):
    """One extension's function for a hook, as `pluggy` describes it."""

    @property
    def plugin_name(self) -> str: ...

    @property
    def function(self) -> Callable[..., Any]: ...

    @property
    def argnames(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Extensions:
    """The loaded extensions of one application."""

    manager: pluggy.PluginManager
    infos: tuple[ExtensionInfo, ...]
    warnings: tuple[str, ...] = ()
    disabled: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    """name -> imports the extension after all."""
    times: StartTimes = field(default_factory=StartTimes)
    _owners: dict[type[Any], str] = field(default_factory=dict)

    def report_start(self) -> None:
        """Log how long each extension took, once the application is finished."""
        self.times.report()

    def plugins(self) -> list[tuple[str, object]]:
        """(extension name, module or object) of all that are loaded."""
        return [(name, plugin) for name, plugin in self.manager.list_name_plugin() if plugin]

    def owner_of(self, provider: object) -> str:
        """The name of the extension that offers a provider's class; "" for one that nobody does."""
        owners = (self._owners.get(each) for each in type(provider).__mro__)
        return next((owner for owner in owners if owner), "")

    def offer(self, owner: str, kind: type[Any], chosen: type[Any]) -> type[Any]:
        """The class to build a provider of the interface `kind` from, noted as its owner's."""
        self._owners[chosen] = owner
        return chosen

    def collect(self, hook: str, **arguments: object) -> list[tuple[str, Any]]:
        """(extension name, item) of every list that implementations of `hook` return.

        Each is given those of the arguments that it wants.
        """
        items: list[tuple[str, Any]] = []
        for name, _ in self.manager.list_name_plugin():
            items.extend((name, item) for item in self.items_of(name, hook, **arguments))
        return items

    def items_of(self, name: str, hook: str, **arguments: object) -> list[Any]:
        """The items that one extension gives to a hook."""
        items: list[Any] = []
        for implementation in self._implementations(hook):
            if implementation.plugin_name != name:
                continue
            result = _answer(implementation, hook, arguments)
            if not isinstance(result, list):
                raise ExtensionError(
                    f"extension {name}: {hook} must return a list, found {result!r}"
                )
            items += result
        return items

    def call(self, hook: str, **arguments: object) -> None:
        """Call every implementation of a hook that returns nothing; who came last is first."""
        for implementation in reversed(self._implementations(hook)):
            _answer(implementation, hook, arguments)

    def listeners(self, hook: str) -> list[tuple[str, Callable[..., object], Sequence[str]]]:
        """(extension name, implementation, names of what it wants) of a hook that is called in
        isolation."""
        found = self._implementations(hook)
        return [(each.plugin_name, each.function, each.argnames) for each in found]

    def why_unknown(self, option: str) -> str:
        """Why nobody declared an option, if it is because its extension is disabled."""
        for name, load in self.disabled.items():
            # The start has failed already: now it is worth an import to say why.
            with contextlib.suppress(Exception, SystemExit):
                if option in _declared_by(load()):
                    return (
                        f"unknown option {option}: it belongs to the extension {name}, which "
                        f"DisabledExtensions names; remove it from one of the two"
                    )
        return ""

    def _implementations(self, hook: str) -> Sequence[_Implementation]:
        """All of a hook, in the order in which they were registered."""
        implementations: list[_Implementation] = getattr(self.manager.hook, hook).get_hookimpls()
        return implementations


@dataclass(frozen=True)
class TracedExtensions(Extensions):
    """Extensions whose hooks and providers tell the trace what they do."""

    trace: Trace = field(kw_only=True)

    def offer(self, owner: str, kind: type[Any], chosen: type[Any]) -> type[Any]:
        return super().offer(owner, kind, self.trace.provider(owner, kind, chosen))

    def report_start(self) -> None:
        self.trace.started()

    def _implementations(self, hook: str) -> Sequence[_Implementation]:
        return [
            _TracedImplementation(
                each.plugin_name,
                self.trace.hook(each.plugin_name, hook, each.function),
                each.argnames,
            )
            for each in super()._implementations(hook)
        ]


@dataclass(frozen=True, slots=True)
class _TracedImplementation:
    plugin_name: str
    function: Callable[..., Any]
    argnames: Sequence[str]


def _answer(implementation: _Implementation, hook: str, arguments: Mapping[str, object]) -> Any:
    """What an extension returns; it is given those of the arguments that it wants."""
    wanted = {key: arguments[key] for key in implementation.argnames}
    try:
        return implementation.function(**wanted)
    except ConfigError:
        raise
    except Exception as error:
        name = implementation.plugin_name
        raise ExtensionError(f"extension {name}: {hook} failed: {error!r}") from error


def _declared_by(plugin: Any) -> Iterator[str]:
    """Names of the options, and of their sections, that an extension would register."""
    for option in plugin.register_options():
        yield from (option.name, option.section)
