"""Metadata mode `Extrapolate`: main attributes, and others as a few instances have them.

Of each series and study up to three instances are looked at: those with the smallest Orthanc
identifiers, so that the answer is the same every time. What they agree on is reported for all.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from typing import Any

import orjson

from dicomweb_server import hookimpl
from dicomweb_server.config import Option, one_of, texts
from dicomweb_server.context import ServerContext
from dicomweb_server.dicom import load_header, orthanc_ids
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.interfaces.metadata import MetadataMode
from dicomweb_server.ps318.attributes import SPECIFIC_CHARACTER_SET, UTF8, creator_of, creators_of
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query_model import QueryLevel

_SAMPLES = 3
_NOT_COUNTED = frozenset({"SQ", "OB", "OD", "OF", "OL", "OV", "OW", "UN"})

STUDIES_TAGS: Option[tuple[str, ...]] = Option(
    "DicomWeb.StudiesMetadataExtrapolatedTags",
    (),
    "Mode Extrapolate: attributes that all instances of a study get from a few of them.",
    texts,
)
SERIES_TAGS: Option[tuple[str, ...]] = Option(
    "DicomWeb.SeriesMetadataExtrapolatedTags",
    (),
    "Mode Extrapolate: attributes that all instances of a series get from a few of them.",
    texts,
)
RULE = Option(
    "DicomWeb.MetadataExtrapolation",
    "Majority",
    "Mode Extrapolate: a value is reported if the Majority of the sampled instances has it, or "
    "always the MostFrequent one, as Orthanc does.",
    one_of("Majority", "MostFrequent"),
)

Attributes = dict[str, Any]


class ExtrapolateMetadata(MetadataMode):
    """Precedence: main attributes of the instance, then of the series, then of the study."""

    name = "Extrapolate"

    def bind(self, context: ServerContext) -> None:
        self._index = context.index
        config = context.config
        self._main = context.main_tags.by_level
        self._study_tags = _resolved(STUDIES_TAGS, context)
        self._series_tags = _resolved(SERIES_TAGS, context)
        self._needs_majority = config[RULE] == "Majority"
        what = repr((self._main, self._study_tags, self._series_tags, config[RULE]))
        self._digest = hashlib.sha256(what.encode()).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        return f"{self.name} {self._digest}"

    def fragments(self, resource: Resource, scope: Scope) -> Iterator[tuple[InstanceRecord, bytes]]:
        studies: dict[str, Attributes] = {}
        series: dict[tuple[str, str], Attributes] = {}
        for record, header in self._index.headers(resource, scope):
            patient, study_uid, series_uid = record.patient_id, record.study_uid, record.series_uid
            if patient not in studies:
                whole = Resource(study_uid)
                studies[patient] = self._sampled(whole, patient, scope, self._study_tags)
            if (patient, series_uid) not in series:
                part = Resource(study_uid, series_uid)
                series[patient, series_uid] = self._sampled(part, patient, scope, self._series_tags)
            yield record, self._object(header, studies[patient], series[patient, series_uid])

    def _object(self, header: bytes, of_study: Attributes, of_series: Attributes) -> bytes:
        everything = load_header(header)
        answer = self._of(everything, QueryLevel.STUDY) | _fitting(of_study, everything)
        answer |= self._of(everything, QueryLevel.SERIES) | _fitting(of_series, everything)
        answer |= self._of(everything, QueryLevel.INSTANCE)
        return orjson.dumps(answer | {SPECIFIC_CHARACTER_SET: UTF8}, option=orjson.OPT_SORT_KEYS)

    def _of(self, attributes: Mapping[str, Any], level: QueryLevel) -> Attributes:
        found = {
            tag: attributes[tag]
            for tag in self._main[level]
            if tag in attributes and "BulkDataURI" not in attributes[tag]
        }
        return found | {tag: attributes[tag] for tag in creators_of(found) if tag in attributes}

    # --- sampling --------------------------------------------------------------------------

    def _sampled(
        self, resource: Resource, patient: str, scope: Scope, tags: Sequence[str]
    ) -> Attributes:
        """What the sampled instances of a study or series say about the tags."""
        if not tags:
            return {}
        records = (r for r in self._index.instances(resource, scope) if r.patient_id == patient)
        headers = [self._index.details(r.row) for r in nsmallest(_SAMPLES, records, key=_orthanc)]
        samples = [load_header(details.header) for details in headers if details is not None]
        creators = self._found(creators_of(tags), samples, {})
        found = self._found(tags, samples, creators)
        needed = creators_of(found)
        return {tag: each for tag, each in creators.items() if tag in needed} | found

    def _found(
        self, tags: Iterable[str], samples: Sequence[Any], creators: Attributes
    ) -> Attributes:
        """What is reported of each tag; a private one by the samples whose creator is reported."""
        found: Attributes = {}
        for tag in tags:
            creator = creator_of(tag)
            fit = (s for s in samples if not creator or s.get(creator) == creators.get(creator))
            element = self._agreed([s[tag] for s in fit if tag in s], samples)
            if element is not None:
                found[tag] = element
        return found

    def _agreed(self, elements: Sequence[Attributes], samples: Sequence[Any]) -> Attributes | None:
        """The value that is reported, if any; of equally frequent ones the smallest text."""
        counted = [e for e in elements if e["vr"] not in _NOT_COUNTED and "BulkDataURI" not in e]
        by_text = {orjson.dumps(element.get("Value", [])): element for element in counted}
        counts = Counter(orjson.dumps(element.get("Value", [])) for element in counted)
        if not counts:
            return None
        text, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
        if self._needs_majority and 2 * count <= len(samples):
            return None
        return by_text[text]


def _fitting(sampled: Attributes, own: Mapping[str, Any]) -> Attributes:
    """Of what was sampled, all but private elements of blocks that are another's here."""
    taken = {tag for tag in creators_of(sampled) if tag in own and own[tag] != sampled.get(tag)}
    return {
        tag: each
        for tag, each in sampled.items()
        if tag not in taken and creator_of(tag) not in taken
    }


def _orthanc(record: InstanceRecord) -> str:
    ids = orthanc_ids(record.patient_id, record.study_uid, record.series_uid, record.sop_uid)
    return ids.instance


def _resolved(option: Option[Any], context: ServerContext) -> tuple[str, ...]:
    names = context.config[option]
    return tuple(dict.fromkeys(context.resolve_tag(name, option.name) for name in names))


@hookimpl
def register_metadata_modes() -> list[type[MetadataMode]]:
    return [ExtrapolateMetadata]


@hookimpl
def register_options() -> list[Option[object]]:
    return [STUDIES_TAGS, SERIES_TAGS, RULE]
