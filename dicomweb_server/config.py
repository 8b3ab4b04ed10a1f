"""The configuration: one JSON file in Orthanc's spelling, with declared options.

Every option is an `Option` object that stands beside the code that reads it; `config[OPTION]`
is its checked value. A file may hold `//` and `/* */` comments and `${VAR}` or
`${VAR:-default}`; a folder of `*.json` files is merged. What nobody declared is an error that
names the nearest declared option.
"""

from __future__ import annotations

import difflib
import json
import logging
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
log = logging.getLogger(__name__)

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_URL_PASSWORD = re.compile(r"(://[^:/@?#]*:)\S*@")
_URL_PARAMETER = re.compile(r"([?&](?:password|passwd|pwd|token|secret|key)=)[^&#]*", re.IGNORECASE)
MASK = "***"


class ConfigError(Exception):
    """The configuration cannot be used; the message says where, what and what is possible."""


@dataclass(frozen=True, eq=False)
class Option(Generic[T_co]):
    """One option: where it stands, what it may be, what it is when nobody says.

    `name` is a key of the top level (`HttpPort`) or of a section (`DicomWeb.Root`). `unused`
    says why the option is accepted but has no effect; setting it then logs that sentence.
    """

    name: str
    default: T_co
    help: str
    check: Callable[[Any], T_co]
    secret: bool = False
    unused: str = ""

    @property
    def section(self) -> str:
        """The section of the file, or "" for the top level."""
        return self.name.rpartition(".")[0]

    @property
    def key(self) -> str:
        """The key inside of its section."""
        return self.name.rpartition(".")[2]


# --- checks: each takes what JSON held and returns the value or raises ValueError ----------


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("must be true or false")


def optional_boolean(value: Any) -> bool | None:
    return None if value is None else boolean(value)


def text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError("must be a string")


def whole(minimum: int = 0, maximum: int | None = None) -> Callable[[Any], int]:
    """A whole number within limits."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError("must be a whole number")
        if value < minimum or (maximum is not None and value > maximum):
            upper = "" if maximum is None else f" and at most {maximum}"
            raise ValueError(f"must be at least {minimum}{upper}")
        return value

    return check


def number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError("must be a number that is not negative")
    return float(value)


def one_of(*names: str) -> Callable[[Any], str]:
    """Exactly one of the given spellings."""

    def check(value: Any) -> str:
        if value in names:
            return str(value)
        raise ValueError(f"must be one of {', '.join(names)}")

    return check


def texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError("must be a list of strings")


def mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise ValueError("must be an object")


NO_TEXTS: tuple[str, ...] = ()
EMPTY: Mapping[str, Any] = {}


def anything(value: Any) -> Any:
    return value


# --- reading files -------------------------------------------------------------------------


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


def read_file(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """One configuration file as a dictionary."""
    try:
        source = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text") from error
    try:
        document = json.loads(substitute(strip_comments(source), environ))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}, line {error.lineno}: not valid JSON: {error.msg}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} must hold one JSON object")
    return document


def read(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """A file, or the `*.json` files of a folder merged; a key given twice is an error."""
    if not path.is_dir():
        return read_file(path, environ)
    merged: dict[str, Any] = {}
    files = sorted(path.glob("*.json"))
    if not files:
        raise ConfigError(f"the configuration folder {path} holds no *.json file")
    for file in files:
        for key, value in read_file(file, environ).items():
            known = merged.get(key)
            if key not in merged:
                merged[key] = value
            elif (
                isinstance(known, dict)
                and isinstance(value, dict)
                and not known.keys() & value.keys()
            ):
                merged[key] = known | value
            else:
                raise ConfigError(f"{file}: {key} is given by another file of {path} too")
    return merged


# --- the checked configuration -------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """Checked options. `config[OPTION]` is typed by the option's declaration."""

    values: Mapping[str, Any]
    options: Mapping[str, Option[Any]]
    base: Path
    source: Path | None = None
    warnings: tuple[str, ...] = ()
    given: frozenset[str] = field(default_factory=frozenset)

    def __getitem__(self, option: Option[T]) -> T:
        value: T = self.values.get(option.name, option.default)
        return value

    def is_given(self, option: Option[Any]) -> bool:
        """Whether somebody set the option; a default may depend on that."""
        return option.name in self.given

    def path(self, text: str) -> Path:
        """A path of the configuration: relative to the file that named it."""
        return (self.base / Path(text).expanduser()).resolve()

    def masked(self, secrets: Collection[str] = ()) -> dict[str, Any]:
        """Every declared option with its value, secrets hidden.

        `secrets`: keys inside of sections whose values are secret; passwords in URLs always are.
        """
        document: dict[str, Any] = {}
        for option in sorted(self.options.values(), key=lambda o: (o.section != "", o.name)):
            target = document.setdefault(option.section, {}) if option.section else document
            value = self[option]
            target[option.key] = _mask(value) if option.secret and value else _hide(value, secrets)
        return document


def _mask(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict.fromkeys(value, MASK)
    if isinstance(value, str) and "://" in value:
        return _hide(value, ())
    return MASK


def _hide(value: Any, secrets: Collection[str]) -> Any:
    """The value with secrets masked at any depth."""
    if isinstance(value, Mapping):
        return {
            key: _mask(inner) if inner and key in secrets else _hide(inner, secrets)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_hide(inner, secrets) for inner in value]
    if isinstance(value, str) and "://" in value:
        hidden = _URL_PASSWORD.sub(rf"\g<1>{MASK}@", value)
        return _URL_PARAMETER.sub(rf"\g<1>{MASK}", hidden)
    return value


def _flatten(raw: Mapping[str, Any], sections: set[str]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in raw.items():
        if key in sections:
            if not isinstance(value, Mapping):
                raise ConfigError(f"{key} must be an object with options")
            flat.update({f"{key}.{inner}": item for inner, item in value.items()})
        else:
            flat[key] = value
    return flat


def unknown_option(name: str, known: Iterable[str]) -> str:
    """The sentence about an option that nobody declared."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    hint = f"did you mean {nearest[0]}?" if nearest else "`dicomweb-server config show` lists all"
    return f"unknown option {name}: {hint}"


IGNORE_UNKNOWN = Option(
    "IgnoreUnknownOptions", False, "Unknown options are a warning instead of an error.", boolean
)


def check(
    raw: Mapping[str, Any],
    options: Iterable[Option[Any]],
    *,
    base: Path,
    source: Path | None = None,
) -> Config:
    """The checked configuration; raises `ConfigError` naming the option and what is possible."""
    declared = {option.name: option for option in options}
    sections = {option.section for option in declared.values() if option.section}
    flat = _flatten(raw, sections)
    tolerant = bool(flat.get(IGNORE_UNKNOWN.name))
    values: dict[str, Any] = {}
    warnings: list[str] = []
    for name, value in flat.items():
        option = declared.get(name)
        if option is None:
            sentence = unknown_option(name, declared)
            if not tolerant:
                raise ConfigError(f"{source or 'configuration'}: {sentence}")
            warnings.append(sentence)
            continue
        try:
            values[name] = option.check(value)
        except ValueError as error:
            raise ConfigError(
                f"{source or 'configuration'}: {name} {error}, found {json.dumps(value)}"
            ) from error
        if option.unused:
            warnings.append(f"{name} has no effect: {option.unused}")
    return Config(values, declared, base, source, tuple(warnings), frozenset(values))


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
