"""The ready-made JSON answers of each level (PS3.18 10.6.3.3), written when an instance is stored.

A raw byte 0x1F in an answer stands for the base URL: JSON text never holds a raw control byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.query_model import QueryLevel

Attributes = dict[str, Any]
ONLINE = {"vr": "CS", "Value": ["ONLINE"]}
BASE_URL = b"\x1f"
"""Stands for it in an answer."""


def dumps(attributes: Mapping[str, Any]) -> bytes:
    """JSON with ascending keys (PS3.18 F.2.2)."""
    return orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS)


def main_attributes(
    attributes: Mapping[str, Any], level: QueryLevel, extras: Sequence[str] = ()
) -> Attributes:
    """The main attributes of a level that the data has, even if empty, and `extras` too."""
    return {tag: attributes[tag] for tag in (*sets.MAIN[level], *extras) if tag in attributes}


def default_set(attributes: Mapping[str, Any], level: QueryLevel) -> Attributes:
    """The stored attributes of a default answer; those that are required are always there."""
    answer: Attributes = {}
    for tag, vr in sets.DEFAULT[level].items():
        if tag in attributes:
            answer[tag] = attributes[tag]
        elif tag in sets.REQUIRED[level]:
            answer[tag] = {"vr": vr}
    return answer


def retrieve_url(*uids: str) -> dict[str, Any]:
    """RetrieveURL below the placeholder of the base URL."""
    names = ("studies", "series", "instances")
    path = "/".join(f"{n}/{quote(u, safe='')}" for n, u in zip(names, uids, strict=False))
    text = orjson.dumps(path)
    return {"vr": "UR", "Value": [orjson.Fragment(b'"\x1f' + text[1:])]}


def count(value: int) -> dict[str, Any]:
    """A number of related series or instances."""
    return {"vr": "IS", "Value": [value]}


def codes(values: Iterable[str], vr: str) -> dict[str, Any]:
    """A multi-valued attribute, empty when there is no value."""
    listed = sorted(values)
    return {"vr": vr, "Value": listed} if listed else {"vr": vr}


def patient_answer(attributes: bytes, counts: Sequence[int]) -> bytes:
    """The answer for a patient; `counts` are those of studies, series and instances."""
    return dumps(
        default_set(orjson.loads(attributes), QueryLevel.PATIENT)
        | {sets.SPECIFIC_CHARACTER_SET: sets.UTF8}
        # int: the sum of large numbers is a Decimal in PostgreSQL
        | {tag: count(int(number)) for tag, number in zip(sets.PATIENT_COUNTS, counts, strict=True)}
    )


def study_answer(
    attributes: Mapping[str, Any],
    study_uid: str,
    modalities: Iterable[str],
    series_count: int,
    instance_count: int,
) -> bytes:
    """The default answer for a study."""
    return dumps(
        default_set(attributes, QueryLevel.STUDY)
        | {
            sets.SPECIFIC_CHARACTER_SET: sets.UTF8,
            sets.INSTANCE_AVAILABILITY: ONLINE,
            sets.MODALITIES_IN_STUDY: codes(modalities, "CS"),
            sets.RETRIEVE_URL: retrieve_url(study_uid),
            sets.NUMBER_OF_STUDY_RELATED_SERIES: count(series_count),
            sets.NUMBER_OF_STUDY_RELATED_INSTANCES: count(instance_count),
        }
    )


def series_answer(
    study: Mapping[str, Any],
    series: Mapping[str, Any],
    uids: tuple[str, str],
    instance_count: int,
) -> bytes:
    """The default answer for a series: with the attributes of its study."""
    return dumps(
        default_set(study, QueryLevel.STUDY)
        | default_set(series, QueryLevel.SERIES)
        | {
            sets.SPECIFIC_CHARACTER_SET: sets.UTF8,
            sets.RETRIEVE_URL: retrieve_url(*uids),
            sets.NUMBER_OF_SERIES_RELATED_INSTANCES: count(instance_count),
        }
    )


def instance_answer(
    parents: Attributes,
    instance: Mapping[str, Any],
    uids: tuple[str, str, str],
    transfer_syntaxes: Iterable[str],
) -> bytes:
    """The default answer for an instance; `parents` is what `parent_set` made."""
    return dumps(
        parents
        | default_set(instance, QueryLevel.INSTANCE)
        | {
            sets.SPECIFIC_CHARACTER_SET: sets.UTF8,
            sets.INSTANCE_AVAILABILITY: ONLINE,
            sets.RETRIEVE_URL: retrieve_url(*uids),
            sets.AVAILABLE_TRANSFER_SYNTAX_UID: codes(transfer_syntaxes, "UI"),
        }
    )


def parent_set(study: Mapping[str, Any], series: Mapping[str, Any]) -> Attributes:
    """What every instance of a series repeats of its study and series."""
    return default_set(study, QueryLevel.STUDY) | default_set(series, QueryLevel.SERIES)
