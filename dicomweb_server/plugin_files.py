"""Imports the files that `Plugins` names, which may import what stands beside them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from dicomweb_server.config import ConfigError

_PREFIX = "dicomweb_plugin_"
_POSSIBLE = "name a .py file, a package, or a folder that holds some"
_INIT = "__init__.py"


def sources(path: Path) -> list[Path]:
    """The Python source of each extension that a path of `Plugins` stands for."""
    if not path.exists():
        raise ConfigError(f"Plugins: {path} does not exist; {_POSSIBLE}")
    if path.is_file():
        if path.suffix != ".py":
            raise ConfigError(f"Plugins: {path} is not a Python source file; {_POSSIBLE}")
        return [path]
    if (path / _INIT).is_file():
        return [path / _INIT]
    files = [p for p in path.glob("*.py") if p.is_file()]
    files += [p / _INIT for p in path.iterdir() if (p / _INIT).is_file()]
    found = [p for p in files if not name_of(p).startswith(("_", "."))]
    if not found:
        raise ConfigError(
            f"Plugins: {path} holds no extension; expected .py files, or packages (folders with "
            f"{_INIT}), whose names do not begin with _"
        )
    return sorted(found, key=name_of)


def name_of(file: Path) -> str:
    """What the extension in a source file is called."""
    return file.parent.name if file.name == _INIT else file.stem


def folder_of(file: Path) -> Path:
    """The folder that a module stands in; that of a package is the one around it."""
    return file.parent.parent if file.name == _INIT else file.parent


class PluginFiles(MetaPathFinder, Loader):
    """Imports files, once for each application, and finds for them what stands beside them.

    Python asks it last, so nothing that is installed is hidden by a file of the same name.
    """

    def __init__(self) -> None:
        self._folders: list[Path] = []
        self._modules: dict[Path, ModuleType] = {}
        self._short: set[str] = set()

    def begin(self) -> None:
        """Forget what was imported for an application before."""
        self._forget_short_names()
        self._folders.clear()
        self._modules.clear()
        if self not in sys.meta_path:
            sys.meta_path.append(self)

    def load(self, file: Path) -> ModuleType:
        """The module of a file that `Plugins` names."""
        folder = folder_of(file)
        if self._folders[:1] != [folder]:
            # Two folders may hold helpers of the same name: each shall find its own.
            self._forget_short_names()
            self._folders = [folder, *(f for f in self._folders if f != folder)]
        return self._import(file)

    def _forget_short_names(self) -> None:
        for name in self._short:
            sys.modules.pop(name, None)
        self._short.clear()

    def _import(self, file: Path) -> ModuleType:
        if file in self._modules:
            return self._modules[file]
        name = _PREFIX + name_of(file)
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:  # sources() lets none through
            raise ConfigError(f"Plugins: {file} is not a Python source file; {_POSSIBLE}")
        for known in [n for n in sys.modules if n == name or n.startswith(f"{name}.")]:
            del sys.modules[known]
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = self._modules[file] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name], self._modules[file]
            raise
        return module

    # --- what the import system asks ---------------------------------------------------------

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What stands beside a plugin under this name."""
        if path is not None:  # a module inside of a package: Python finds it
            return None
        for folder in self._folders:
            for file in (folder / fullname / _INIT, folder / f"{fullname}.py"):
                if file.is_file():
                    return ModuleSpec(fullname, self, origin=str(file))
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Python's own kind of module: `exec_module` puts the real one in its place."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Let the short name stand for the one module there is of the file."""
        spec = module.__spec__
        if spec is None or spec.origin is None:
            raise ImportError(f"{module.__name__} has no file")
        self._short.add(spec.name)
        sys.modules[spec.name] = self._import(Path(spec.origin))


FILES = PluginFiles()
