"""What answers about resources share: their tags, where they belong, and whose they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from flask import Response, g, request

from dicomweb_server.http.access import current_context
from dicomweb_server.http.errors import HttpError
from dicomweb_server.http.touched import is_noting, note_touched
from dicomweb_server.http.urls import base_url
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.interfaces.requests import Touched
from dicomweb_server.ps318.paths import Resource

_BASE = "dicomweb.base_url"
COUNTED = 5000
"""Instances whose sizes are added up for a Content-Length, and whose keys make a tag; answers with
more go out without."""


def base() -> str:
    """The base URL of the current request, which many parts of an answer ask for."""
    environ = request.environ
    found: str | None = environ.get(_BASE)
    if found is None:
        found = environ[_BASE] = base_url(current_context().config, environ)
    return found


def resource_of(record: InstanceRecord) -> Resource:
    """The instance of a record."""
    return Resource(record.study_uid, record.series_uid, record.sop_uid)


def tag_of_records(records: Iterable[InstanceRecord], *how: str) -> str:
    """A tag that changes with the instances and their bytes; `how` they are sent is in it too."""
    return _digest(base(), *how, *(f"{each.row:x}-{each.blob.key}" for each in records))


def tag_of_version(resource: Resource, *how: str) -> str | None:
    """A tag that changes with everything of a resource; None: nothing is there.

    It is to be asked for before the resource is read: what is newer than its tag does no harm.
    """
    version = current_context().index.version(resource, g.scope)
    return None if version is None else _digest(base(), *how, version)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def located(answer: Response, path: str) -> Response:
    """The answer with the URL of what it represents (PS3.18 8.4.2)."""
    answer.headers["Content-Location"] = f"{base()}{path}"
    return answer


def missing(resource: Resource) -> HttpError:
    """What to raise when nothing is there."""
    return HttpError(404, f"there is no {resource.path}")


def patients(records: Iterable[InstanceRecord]) -> str:
    """Whose instances these are."""
    return f"the patients {', '.join(repr(record.patient_id) for record in records)}"


def note(resource: Resource, records: Iterable[InstanceRecord]) -> None:
    """Tell who listens whose instances these are."""
    if is_noting():
        for patient_id in sorted({record.patient_id for record in records}):
            uids = (resource.study, resource.series or "", resource.instance or "")
            note_touched(Touched(*uids, patient_id))


def the_one(resource: Resource) -> InstanceRecord:
    """The one instance that a resource names; raises `HttpError` when there is none, or several."""
    found = list(current_context().services.retrieve.records(resource, g.scope))
    if not found:
        raise missing(resource)
    note(resource, found)
    if len(found) > 1:
        raise several(resource.instance or "", found)
    return found[0]


def several(instance: str, found: Iterable[InstanceRecord]) -> HttpError:
    """What to raise when one SOP Instance UID names the instances of several patients."""
    return HttpError(409, f"{patients(found)} have an instance {instance} each; which is meant?")
