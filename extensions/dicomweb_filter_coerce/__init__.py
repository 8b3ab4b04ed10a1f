"""Ingest filter `coerce`: sets and removes attributes of what arrives, and records what they were.

`{"IngestFilters": ["coerce"],
"Coerce": {"Set": {"InstitutionName": "X"}, "Remove": ["0010,2110"]}}`
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, BinaryIO

from dicomweb_server import hookimpl
from dicomweb_server.config import EMPTY, ConfigError, Option, mapping, nearest_name
from dicomweb_server.context import ServerContext
from dicomweb_server.dicom import Modification, TagDictionary, edit_file
from dicomweb_server.dicom.to_bytes import NUMBERS, ValueWriter
from dicomweb_server.interfaces.ingest import Decision, Incoming, IngestFilter, Keep, Replace
from dicomweb_server.interfaces.provider import Settings
from dicomweb_server.settings import NAME

COERCE = Option(
    "Coerce",
    EMPTY,
    'What the ingest filter coerce changes: {"Set": {"InstitutionName": "X"}, "Remove": '
    '["PatientBirthDate"], "Reason": "COERCE", "Source": ""}.',
    mapping,
)
_KEYS = ("Set", "Remove", "Reason", "Source")
_REASONS = ("COERCE", "CORRECT")
_NEVER = ("00080005", "04000561", "7FE00008", "7FE00009", "7FE00010")
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
Element = dict[str, Any]


class CoerceFilter(IngestFilter):
    """Changes what the option `Coerce` says; an instance that has it all already is kept."""

    name = "coerce"

    def __init__(self, settings: Settings) -> None:
        self._section = settings.config[COERCE]
        self._system = settings.config[NAME]
        unknown = sorted(self._section.keys() - set(_KEYS))
        if unknown:
            raise ConfigError(f"Coerce has the key {unknown[0]}; possible are {', '.join(_KEYS)}")
        self._reason = self._section.get("Reason", "COERCE")
        if self._reason not in _REASONS:
            raise ConfigError(
                f"Coerce.Reason is {self._reason!r}; possible are {' and '.join(_REASONS)}"
            )
        self._source = self._section.get("Source", "")
        if not isinstance(self._source, str):
            raise ConfigError(f"Coerce.Source is {self._source!r}; possible is text")
        self._changes: dict[str, Element | None] = {}

    def bind(self, context: ServerContext) -> None:
        wanted = self._section.get("Set", {})
        removed = self._section.get("Remove", [])
        if not isinstance(wanted, Mapping) or not isinstance(removed, list):
            raise ConfigError("Coerce.Set must be an object, Coerce.Remove a list of attributes")
        for name in removed:
            self._changes[_tag(name, "Coerce.Remove", context.dictionary)] = None
        for name, value in wanted.items():
            tag = _tag(name, "Coerce.Set", context.dictionary)
            if tag in self._changes:
                raise ConfigError(f"Coerce sets and removes {name}")
            self._changes[tag] = _element(name, tag, value, context.dictionary)

    def decide(self, incoming: Incoming) -> Decision:
        attributes = incoming.instance.attributes
        # What is compared was read from a file: it spells a value as the file would.
        changes = {
            tag: element
            for tag, element in self._changes.items()
            if not _same(attributes.get(tag), element)
        }
        if not changes:
            return Keep()
        tags = ", ".join(f"({tag[:4]},{tag[4:]})" for tag in sorted(changes))
        return Replace(self._edited(incoming, changes), message=f"changed on the way in: {tags}")

    def _edited(self, incoming: Incoming, changes: Mapping[str, Element | None]) -> Iterator[bytes]:
        why = Modification(self._system, self._reason, datetime.now(UTC), self._source)
        with closing(incoming.open()) as file:
            yield from edit_file(
                lambda offset, length: _read(file, offset, length),
                *(incoming.size, incoming.instance, changes, why),
            )


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _same(found: Element | None, wanted: Element | None) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return bool(found.get("vr") == wanted["vr"] and found.get("Value", []) == wanted["Value"])


def _tag(name: object, where: str, dictionary: TagDictionary) -> str:
    tag = dictionary.resolve(name) if isinstance(name, str) else None
    if tag is None:
        nearest = nearest_name(str(name), dictionary.keywords)
        hint = f"; did you mean {nearest}?" if nearest else ""
        raise ConfigError(f"{where} names {name!r}, which is no attribute{hint}")
    if tag in _NEVER or tag[:4] in ("0000", "0002") or tag.endswith("0000"):
        raise ConfigError(f"{where} names {name}, which cannot be changed")
    return tag


def _element(name: str, tag: str, value: Any, dictionary: TagDictionary) -> Element:
    """The element of the DICOM JSON model for what the configuration says."""
    vr = dictionary.vr(tag).partition(" or ")[0]
    values = value if isinstance(value, list) else [value]
    if vr in ("SQ", "UN") or vr.startswith("O"):
        raise ConfigError(f"Coerce.Set.{name} has the VR {vr}; text and numbers can be set")
    try:
        made = [_value(vr, each) for each in values if each not in ("", None)]
        element = {"vr": vr, "Value": made}
        ValueWriter("<", str.encode).write("", tag, vr, element)
    except Exception as error:
        raise ConfigError(f"Coerce.Set.{name}: {error}") from error
    return element


def _value(vr: str, value: Any) -> Any:
    if vr == "PN" and isinstance(value, str):
        return {k: g for k, g in zip(_GROUPS, value.split("="), strict=False) if g}
    if vr == "DS" and not isinstance(value, str):
        return str(value)
    if vr in NUMBERS or vr == "IS":
        return value if isinstance(value, int | float) else int(value)
    return value


@hookimpl
def register_ingest_filters() -> list[type[IngestFilter]]:
    return [CoerceFilter]


@hookimpl
def register_options() -> list[Option[object]]:
    return [COERCE]
