"""The main attributes of each level: the usual ones and those of `ExtraMainDicomTags`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dicomweb_server.config import ConfigError, Option
from dicomweb_server.dicom import TagDictionary
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.query_model import QueryLevel

_LEVELS = {
    "Patient": QueryLevel.PATIENT,
    "Study": QueryLevel.STUDY,
    "Series": QueryLevel.SERIES,
    "Instance": QueryLevel.INSTANCE,
}


def _by_level(value: Any) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(value, Mapping) or not all(
        isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
        for names in value.values()
    ):
        raise ValueError('must look like {"Study": ["StudyDescription", "0009,1001"]}')
    unknown = sorted(value.keys() - _LEVELS.keys())
    if unknown:
        raise ValueError(f"has no level {unknown[0]!r}; possible are {', '.join(_LEVELS)}")
    return {level: tuple(names) for level, names in value.items()}


EXTRA_MAIN_DICOM_TAGS: Option[Mapping[str, tuple[str, ...]]] = Option(
    "ExtraMainDicomTags",
    {},
    'More main attributes by level, kept in the index and in the metadata modes: {"Series": '
    '["KVP"]}. Sequences and private tags too. `dicomweb-server reindex --tags` fills them in for '
    "what is stored already.",
    _by_level,
)


@dataclass(frozen=True, slots=True)
class MainTags:
    """Tags by level. STUDY includes those of its patient; `extra` are the configured ones alone."""

    by_level: Mapping[QueryLevel, tuple[str, ...]]
    extra: Mapping[QueryLevel, tuple[str, ...]]

    @property
    def has_extra(self) -> bool:
        """Whether any are configured."""
        return any(self.extra.values())

    @property
    def all(self) -> frozenset[str]:
        """Those of all levels."""
        return frozenset(tag for tags in self.by_level.values() for tag in tags)


def main_tags(value: Mapping[str, Sequence[str]], dictionary: TagDictionary) -> MainTags:
    """What the option stands for; raises `ConfigError` for an unknown attribute."""
    extra: dict[QueryLevel, tuple[str, ...]] = {}
    for level, names in value.items():
        tags = tuple(resolve(name, f"ExtraMainDicomTags.{level}", dictionary) for name in names)
        extra[_LEVELS[level]] = tuple(dict.fromkeys(tags))
    patient = extra.pop(QueryLevel.PATIENT, ())
    extra[QueryLevel.STUDY] = (*patient, *extra.get(QueryLevel.STUDY, ()))
    by_level = {
        level: tuple(dict.fromkeys((*tags, *extra.get(level, ()))))
        for level, tags in sets.MAIN.items()
    }
    return MainTags(by_level, extra)


def resolve(name: str, where: str, dictionary: TagDictionary) -> str:
    """The tag of a keyword or of digits; raises `ConfigError` that names what is unknown."""
    tag = dictionary.resolve(name)
    if tag is None:
        raise ConfigError(
            f"{where}: {name!r} is no attribute; possible are keywords such as StudyDescription, "
            f"tags such as 0008,1030, and private ones that Dictionary declares"
        )
    return tag
