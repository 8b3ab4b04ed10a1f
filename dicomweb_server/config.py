"""The configuration: one JSON file in Orthanc's spelling, with declared options.

Every option is an `Option` object that stands beside the code that reads it; `config[OPTION]`
is its checked value. What nobody declared is an error that names the nearest declared option.
`config_files` reads the files.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from dicomweb_server.config_files import ConfigError as ConfigError
from dicomweb_server.config_files import load_raw as load_raw
from dicomweb_server.config_files import locate as locate
from dicomweb_server.config_files import read_file as read_file
from dicomweb_server.config_files import substitute as substitute
from dicomweb_server.masking import hide, kind_of, mask, without_secrets

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, eq=False)
class Option(Generic[T_co]):
    """One option: where it stands, what it may be, what it is when nobody says.

    `name` is a key of the top level (`HttpPort`) or of a section (`DicomWeb.Root`). `unused`
    says why the option is accepted but has no effect; setting it then logs that sentence. What a
    `secret` option holds is never shown: `check` MUST NOT repeat it in its sentence.
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
            target[option.key] = mask(value) if option.secret and value else hide(value, secrets)
        return document


def checked_value(option: Option[T], value: Any, where: str) -> T:
    """The value as the option wants it; `where` begins the sentence if it does not."""
    try:
        return option.check(value)
    except ValueError as error:
        if option.secret:
            problem = without_secrets(str(error), value) + kind_of(value)
        else:
            problem = f"{error}, found {json.dumps(hide(value), default=str)}"
        # Without the cause: a trace would show what the sentence does not.
        raise ConfigError(f"{where} {problem}") from (None if option.secret else error)


def _flatten(raw: Mapping[str, Any], sections: set[str], where: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in raw.items():
        if key in sections:
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}: {key} must be an object with options")
            flat.update({f"{key}.{inner}": item for inner, item in value.items()})
        else:
            flat[key] = value
    return flat


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, whatever the case it was written in."""
    spelled = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), spelled, n=1, cutoff=0.6)
    return spelled[found[0]] if found else None


def unknown_option(name: str, known: Iterable[str]) -> str:
    """The sentence about an option that nobody declared."""
    nearest = nearest_name(name, known)
    hint = f"did you mean {nearest}?" if nearest else "`dicomweb-server config show` lists all"
    return f"unknown option {name}: {hint}"


IGNORE_UNKNOWN = Option(
    "IgnoreUnknownOptions", False, "Unknown options are a warning instead of an error.", boolean
)


def _nothing_known(_name: str) -> str:
    return ""


def check(
    raw: Mapping[str, Any],
    options: Iterable[Option[Any]],
    *,
    base: Path,
    source: Path | None = None,
    explain: Callable[[str], str] = _nothing_known,
) -> Config:
    """The checked configuration; raises `ConfigError` naming the option and what is possible.

    `explain` may tell why an option is unknown; "" if it cannot.
    """
    where = str(source or "configuration")
    declared = {option.name: option for option in options}
    sections = {option.section for option in declared.values() if option.section}
    flat = _flatten(raw, sections, where)
    tolerant = bool(flat.get(IGNORE_UNKNOWN.name))
    values: dict[str, Any] = {}
    warnings: list[str] = []
    for name, value in flat.items():
        option = declared.get(name)
        if option is None:
            sentence = unknown_option(name, declared.keys() | sections)
            if not tolerant:
                raise ConfigError(f"{where}: {explain(name) or sentence}")
            warnings.append(sentence)
            continue
        values[name] = checked_value(option, value, f"{where}: {name}")
        if option.unused:
            warnings.append(f"{name} has no effect: {option.unused}")
    return Config(values, declared, base, source, tuple(warnings), frozenset(values))
