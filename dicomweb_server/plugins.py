"""Finds, loads and checks extensions: one plugin manager per application. `loaded` holds them.

Entry points are loaded one by one so that a failure names its extension. What cannot be loaded
stops the start, unless `DisabledExtensions` names it: a broken lock must not open the door.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path

import pluggy

from dicomweb_server import hookspecs
from dicomweb_server.config import NO_TEXTS, ConfigError, Option, nearest_name, texts
from dicomweb_server.loaded import ExtensionError as ExtensionError
from dicomweb_server.loaded import ExtensionInfo as ExtensionInfo
from dicomweb_server.loaded import Extensions as Extensions
from dicomweb_server.loaded import TracedExtensions as TracedExtensions
from dicomweb_server.plugin_files import FILES, name_of, sources
from dicomweb_server.tracing import StartTimes, Trace

GROUP = hookspecs.PROJECT
DISABLED = Option(
    "DisabledExtensions", NO_TEXTS, "Names of installed extensions that are not loaded.", texts
)
PLUGINS = Option(
    "Plugins",
    NO_TEXTS,
    "Paths of extensions that are not installed: a .py file, a package, or a folder of them.",
    texts,
)
OPTIONS = (DISABLED, PLUGINS)
_NATIVE = {".so", ".dll", ".dylib"}
_IMPORTED: dict[str, float] = {}
"""Entry point -> seconds that its import took, when it was imported in this process."""


class _Loader:
    def __init__(self, disabled: Sequence[str]) -> None:
        self.times = StartTimes()
        self.manager = pluggy.PluginManager(GROUP)
        self.manager.add_hookspecs(hookspecs)
        self.disabled = set(disabled)
        self.infos: list[ExtensionInfo] = []
        self.origins: dict[str, str] = {}
        self.warnings: list[str] = []
        self.left_out: dict[str, Callable[[], object]] = {}
        self.distributions: dict[Distribution, tuple[str, str]] = {}
        FILES.begin()

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
            with self.times.measured(name, "register"):
                self.manager.register(plugin, name=name)
        except (pluggy.PluginValidationError, ValueError) as error:
            sentence = " ".join(str(error).split())
            raise ExtensionError(f"extension {name} ({origin}): {sentence}") from error
        _refuse_wrappers(self.manager, name, plugin)
        hooks = tuple(sorted(c.name for c in self.manager.get_hookcallers(plugin) or ()))
        self.infos.append(ExtensionInfo(name, version, origin, "loaded", hooks))

    def entry_point(self, point: EntryPoint) -> None:
        origin, version = self.distribution(point)
        if not self.claim(point.name, origin):
            self.infos.append(ExtensionInfo(point.name, version, origin, "disabled"))
            self.left_out[point.name] = point.load
            return
        try:
            plugin = self.imported(point)
        except (Exception, SystemExit) as error:
            raise ExtensionError(
                f"extension {point.name} of {origin} failed to import: {error!r}; mend or "
                f"uninstall it, or add it to DisabledExtensions"
            ) from error
        self.register(point.name, plugin, version, origin)

    def distribution(self, point: EntryPoint) -> tuple[str, str]:
        """(name, version) of what brings an entry point; its metadata are parsed once."""
        found = point.dist
        if found is None:
            return point.value, ""
        if found not in self.distributions:
            self.distributions[found] = found.name, found.version
        return self.distributions[found]

    def imported(self, point: EntryPoint) -> object:
        """The module of an installed extension."""
        began = time.perf_counter()
        plugin: object = point.load()
        # Python imports it once: applications that are made later tell how long it took then.
        seconds = _IMPORTED.setdefault(point.value, time.perf_counter() - began)
        self.times.add(point.name, "load", seconds)
        return plugin

    def path(self, path: Path) -> None:
        if path.suffix in _NATIVE:
            self.warnings.append(f"Plugins: {path} is a native library, which is not loaded here")
            return
        for file in sources(path):
            name = name_of(file)
            if not self.claim(name, str(file)):
                self.infos.append(ExtensionInfo(name, "", str(file), "disabled"))
                self.left_out[name] = partial(FILES.load, file)
                continue
            try:
                with self.times.measured(name, "load"):
                    plugin = FILES.load(file)
            except ConfigError as error:
                raise ExtensionError(f"extension {file}: {error}") from error
            except (Exception, SystemExit) as error:
                raise ExtensionError(f"extension {file} failed to import: {error!r}") from error
            self.register(name, plugin, getattr(plugin, "__version__", ""), str(file))


def load_extensions(
    *,
    disabled: Sequence[str] = (),
    paths: Iterable[Path] = (),
    extra: Sequence[tuple[str, object]] = (),
    traced: bool = False,
) -> Extensions:
    """Every installed extension, those at `paths` and the given objects, checked.

    `extra` are (name, plugin) pairs that a test or an embedding program brings itself; one that
    is installed too, as the same object, counts once. `traced`: what hooks and providers do is
    logged. Raises `ExtensionError` for what is missing, broken, named twice or misspelt.
    """
    loader = _Loader(disabled)
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        loader.entry_point(point)
    for path in paths:
        loader.path(path)
    for name, plugin in extra:
        is_installed = loader.manager.get_plugin(name) is plugin
        if not is_installed and loader.claim(name, "the program"):
            loader.register(name, plugin, "", "the program")
    _check_names(loader)
    infos, warnings = tuple(loader.infos), tuple(loader.warnings)
    parts = (loader.manager, infos, warnings, loader.left_out, loader.times)
    return TracedExtensions(*parts, trace=Trace(loader.times)) if traced else Extensions(*parts)


def _refuse_wrappers(manager: pluggy.PluginManager, name: str, plugin: object) -> None:
    """Raise `ExtensionError` for a hook wrapper: nobody would call what it wraps."""
    for caller in manager.get_hookcallers(plugin) or ():
        for each in caller.get_hookimpls():
            if each.plugin is plugin and (each.wrapper or each.hookwrapper):
                raise ExtensionError(
                    f"extension {name}: {caller.name} is a hook wrapper; hooks are called one by "
                    f"one here, so possible is a plain function"
                )


def _check_names(loader: _Loader) -> None:
    unknown = loader.disabled - set(loader.origins)
    if unknown:
        raise ExtensionError(
            f"DisabledExtensions names {', '.join(sorted(unknown))}, which nobody offers; "
            f"installed are {', '.join(sorted(loader.origins))}"
        )
    for hook, caller in vars(loader.manager.hook).items():
        if not caller.has_spec():
            for implementation in caller.get_hookimpls():
                if not implementation.optionalhook:
                    raise _unknown_hook(implementation.plugin_name, hook)


def _unknown_hook(extension: str, hook: str) -> ExtensionError:
    marker = f"{hookspecs.PROJECT}_spec"
    known = sorted(name for name, hook in vars(hookspecs).items() if hasattr(hook, marker))
    nearest = nearest_name(hook, known)
    hint = f"did you mean {nearest}? " if nearest else ""
    return ExtensionError(
        f"extension {extension}: unknown hook {hook}; {hint}hooks are {', '.join(known)}"
    )
