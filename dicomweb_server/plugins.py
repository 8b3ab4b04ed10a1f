"""Finds, loads and checks extensions: one plugin manager per application.

Entry points are loaded one by one so that a failure names its extension. What cannot be loaded
stops the start, unless `DisabledExtensions` names it: a broken lock must not open the door.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from dicomweb_server import hookspecs
from dicomweb_server.config import NO_TEXTS, ConfigError, Option, texts

GROUP = hookspecs.PROJECT
DISABLED = Option(
    "DisabledExtensions", NO_TEXTS, "Names of installed extensions that are not loaded.", texts
)
PLUGINS = Option(
    "Plugins",
    NO_TEXTS,
    "Paths of extensions without a package: a .py file, or a folder of them.",
    texts,
)
OPTIONS = (DISABLED, PLUGINS)
_NATIVE = {".so", ".dll", ".dylib"}


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


@dataclass(frozen=True)
class Extensions:
    """The loaded extensions of one application."""

    manager: pluggy.PluginManager
    infos: tuple[ExtensionInfo, ...]
    warnings: tuple[str, ...] = ()

    @property
    def hook(self) -> Any:
        """Calls every implementation of a hook."""
        return self.manager.hook

    def collect(self, hook: str) -> list[tuple[str, Any]]:
        """(extension name, item) of every list that implementations of `hook` return."""
        items: list[tuple[str, Any]] = []
        for name, plugin in self.manager.list_name_plugin():
            for implementation in self._implementations(hook, plugin):
                try:
                    result = implementation()
                except Exception as error:
                    raise ExtensionError(f"extension {name}: {hook} failed: {error!r}") from error
                if not isinstance(result, list):
                    raise ExtensionError(
                        f"extension {name}: {hook} must return a list, found {result!r}"
                    )
                items.extend((name, item) for item in result)
        return items

    def _implementations(self, hook: str, plugin: object) -> Iterable[Any]:
        caller = getattr(self.manager.hook, hook)
        return [impl.function for impl in caller.get_hookimpls() if impl.plugin is plugin]


def _file_modules(path: Path) -> list[Path]:
    """The Python sources that a path of `Plugins` stands for."""
    if path.is_file():
        return [path]
    if (path / "__init__.py").is_file():
        return [path / "__init__.py"]
    return sorted(p for p in path.glob("*.py") if not p.name.startswith("_"))


def _import_file(path: Path) -> ModuleType:
    stem = path.parent.name if path.name == "__init__.py" else path.stem
    name = f"dicomweb_plugin_{stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ExtensionError(f"Plugins: {path} is not a Python source file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


class _Loader:
    def __init__(self, disabled: Sequence[str]) -> None:
        self.manager = pluggy.PluginManager(GROUP)
        self.manager.add_hookspecs(hookspecs)
        self.disabled = set(disabled)
        self.infos: list[ExtensionInfo] = []
        self.origins: dict[str, str] = {}
        self.warnings: list[str] = []

    def claim(self, name: str, origin: str) -> bool:
        """Whether the extension is to be loaded; two of one name stop the start."""
        if name in self.origins:
            raise ExtensionError(
                f"two extensions are named {name}: one from {self.origins[name]} and one from "
                f"{origin}; uninstall one of them"
            )
        self.origins[name] = origin
        return name not in self.disabled

    def register(self, name: str, plugin: object, version: str, origin: str) -> None:
        try:
            self.manager.register(plugin, name=name)
        except (pluggy.PluginValidationError, ValueError) as error:
            raise ExtensionError(f"extension {name} ({origin}): {error}") from error
        hooks = tuple(sorted(c.name for c in self.manager.get_hookcallers(plugin) or ()))
        self.infos.append(ExtensionInfo(name, version, origin, "loaded", hooks))

    def entry_point(self, point: EntryPoint) -> None:
        distribution = point.dist
        origin = distribution.name if distribution else point.value
        version = distribution.version if distribution else ""
        if not self.claim(point.name, origin):
            self.infos.append(ExtensionInfo(point.name, version, origin, "disabled"))
            return
        try:
            plugin = point.load()
        except (Exception, SystemExit) as error:
            raise ExtensionError(
                f"extension {point.name} of {origin} failed to import: {error!r}; mend or "
                f"uninstall it, or add it to DisabledExtensions"
            ) from error
        self.register(point.name, plugin, version, origin)

    def path(self, path: Path) -> None:
        if path.suffix in _NATIVE:
            self.warnings.append(f"Plugins: {path} is a native library, which is not loaded here")
            return
        if not path.exists():
            raise ExtensionError(
                f"Plugins: {path} does not exist; name a .py file or a folder that holds some"
            )
        for file in _file_modules(path):
            name = file.parent.name if file.name == "__init__.py" else file.stem
            if not self.claim(name, str(file)):
                self.infos.append(ExtensionInfo(name, "", str(file), "disabled"))
                continue
            try:
                plugin = _import_file(file)
            except (Exception, SystemExit) as error:
                raise ExtensionError(f"extension {file} failed to import: {error!r}") from error
            self.register(name, plugin, getattr(plugin, "__version__", ""), str(file))


def load_extensions(
    *,
    disabled: Sequence[str] = (),
    paths: Iterable[Path] = (),
    extra: Sequence[tuple[str, object]] = (),
) -> Extensions:
    """Every installed extension, those at `paths` and the given objects, checked.

    `extra` are (name, plugin) pairs that a test or an embedding program brings itself. Raises
    `ExtensionError` for what is missing, broken, named twice or misspelt.
    """
    loader = _Loader(disabled)
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        loader.entry_point(point)
    for path in paths:
        loader.path(path)
    for name, plugin in extra:
        if loader.claim(name, "the program"):
            loader.register(name, plugin, "", "the program")
    _check_names(loader)
    return Extensions(loader.manager, tuple(loader.infos), tuple(loader.warnings))


def _check_names(loader: _Loader) -> None:
    unknown = loader.disabled - set(loader.origins)
    if unknown:
        raise ExtensionError(
            f"DisabledExtensions names {', '.join(sorted(unknown))}, which nobody offers; "
            f"installed are {', '.join(sorted(loader.origins))}"
        )
    try:
        loader.manager.check_pending()
    except pluggy.PluginValidationError as error:
        name = loader.manager.get_name(error.plugin)
        known = ", ".join(sorted(n for n in vars(hookspecs) if n.startswith(("register_", "prep"))))
        raise ExtensionError(f"extension {name}: {error}; hooks are {known}") from error
