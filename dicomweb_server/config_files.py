"""The files of the configuration: where they are, and what they say before anybody checks it.

JSON with `//` and `/* */` comments and with `${VAR}` or `${VAR:-default}`. Nothing may be given
twice, neither in one file nor in two files of a folder: whoever reads one of the places would be
wrong about what counts.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


class ConfigError(Exception):
    """The configuration cannot be used; the message says where, what and what is possible."""


def strip_comments(source: str) -> str:
    """JSON without its comments; strings (`"http://..."`) stay, and so do line numbers."""

    def replace(match: re.Match[str]) -> str:
        token = match.group()
        return token if token.startswith('"') else "\n" * token.count("\n")

    return _TOKEN.sub(replace, source)


def substitute(source: str, environ: Mapping[str, str]) -> str:
    """`source` with `${VAR}` and `${VAR:-default}` replaced."""

    def replace(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name in environ:
            return environ[name]
        if default is None:
            raise ConfigError(
                f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}"
            )
        return default

    return _VARIABLE.sub(replace, source)


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its keys it was given twice."""

    def __init__(self, pairs: Iterable[tuple[str, Any]]) -> None:
        super().__init__()
        self.twice: list[str] = []
        for key, value in pairs:
            if key in self:
                self.twice.append(key)
            self[key] = value


def _plain(value: Any, where: str = "") -> Any:
    """The value without `_Object`; raises `ConfigError` for a key that stood there twice."""
    if isinstance(value, list):
        return [_plain(inner, where) for inner in value]
    if not isinstance(value, _Object):
        return value
    prefix = f"{where}." if where else ""
    if value.twice:
        raise ConfigError(f"{prefix}{value.twice[0]} is given twice; keep one of them")
    return {key: _plain(inner, prefix + key) for key, inner in value.items()}


def read_file(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """One configuration file as a dictionary."""
    try:
        source = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text") from error
    try:
        text = substitute(strip_comments(source), environ)
        document = _plain(json.loads(text, object_pairs_hook=_Object))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}, line {error.lineno}: not valid JSON: {error.msg}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} must hold one JSON object")
    return document


class _Merged:
    """The options of several files, and which file gave each."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}
        self._origins: dict[str, Path] = {}

    def add(self, file: Path, document: Mapping[str, Any]) -> None:
        """What one more file says; a section may be spread over several files."""
        for key, value in document.items():
            known = self.document.get(key)
            if key not in self.document:
                self.document[key] = value
                self._origins[key] = file
                self._remember(file, key, value)
            elif isinstance(known, dict) and isinstance(value, dict):
                for inner in known.keys() & value.keys():
                    raise self._twice(f"{key}.{inner}", file)
                self.document[key] = known | value
                self._remember(file, key, value)
            else:
                raise self._twice(key, file)

    def _remember(self, file: Path, key: str, value: Any) -> None:
        if isinstance(value, dict):
            self._origins |= dict.fromkeys((f"{key}.{inner}" for inner in value), file)

    def _twice(self, name: str, file: Path) -> ConfigError:
        return ConfigError(
            f"{file}: {name} is given by another file too, {self._origins[name]}; keep one of them"
        )


def read(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """A file, or the `*.json` files of a folder merged; an option given twice is an error."""
    if not path.is_dir():
        return read_file(path, environ)
    files = sorted(path.glob("*.json"))
    if not files:
        raise ConfigError(f"the configuration folder {path} holds no *.json file")
    merged = _Merged()
    for file in files:
        merged.add(file, read_file(file, environ))
    return merged.document


def locate(environ: Mapping[str, str] = os.environ, beside: Path | None = None) -> Path | None:
    """The configuration to read: DICOMWEB_SERVER_CONFIG, else `config.json` beside wsgi.py."""
    named = environ.get("DICOMWEB_SERVER_CONFIG")
    if named:
        path = Path(named)
        if not path.exists():
            raise ConfigError(f"DICOMWEB_SERVER_CONFIG names {path}, which does not exist")
        return path
    candidate = (beside or Path.cwd()) / "config.json"
    return candidate if candidate.exists() else None


def load_raw(path: Path | None, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The unchecked document of `path`, or an empty one."""
    return {} if path is None else read(path, environ)
