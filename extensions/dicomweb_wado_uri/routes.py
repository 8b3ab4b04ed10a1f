"""The route of WADO-URI (PS3.18 chapter 9)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from flask import Blueprint, Response, request

from dicomweb_server.dicom import DicomError
from dicomweb_server.dicom.transfer_syntaxes import is_uid
from dicomweb_server.http import (
    HttpError,
    current_context,
    current_scope,
    describes,
    names,
    repeatable,
    requires,
)
from dicomweb_server.http.resources import located, note, resource_of, several
from dicomweb_server.http.warning import warn_of_ignored
from dicomweb_server.interfaces.auth import Action
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.interfaces.requests import Touched
from dicomweb_server.interfaces.state import StateStore
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.errors import NotAcceptable
from dicomweb_server.ps318.media_types import DICOM
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query import Equals, Match, Query, QueryLevel
from dicomweb_server.settings import ENABLE
from dicomweb_wado_uri.files import Keyring, file_answer
from dicomweb_wado_uri.media import Acceptable
from dicomweb_wado_uri.pictures import picture, picture_types, presented
from dicomweb_wado_uri.query import OF_FILES, OF_PICTURES, TARGET, Parameters, Target, one

NAME = "wado_uri"
_PRODUCES = (
    *("image/jpeg", "image/png", "image/gif", "image/webp", "image/jxl", "application/dicom"),
    *("video/mp4", "video/mpeg", "application/pdf", "text/html", "text/plain"),
)
_QUERY = (
    ("requestType", "WADO"),
    ("objectUID", "SOP Instance UID"),
    ("studyUID", "Study Instance UID, if wanted"),
    ("seriesUID", "Series Instance UID, if wanted"),
    ("contentType", "media types, the preferred one first; image/jpeg if neither it nor Accept"),
    ("charset", "character sets of texts; there is utf-8"),
    ("transferSyntax", "of application/dicom: a UID, or * for the stored bytes"),
    ("anonymize", "yes: without what identifies somebody (PS3.15 annex E)"),
    ("frameNumber", "of a multi-frame image, from 1"),
    ("annotation", "patient, technique: texts to burn in"),
    ("imageQuality", "1 to 100, of lossy media types"),
    ("rows", "most rows of the picture"),
    ("columns", "most columns of the picture"),
    ("region", "xmin,ymin,xmax,ymax in parts of the image, 0 to 1"),
    ("windowCenter", "with windowWidth: the grey values to show"),
    ("windowWidth", "with windowCenter"),
    ("presentationUID", "a presentation state of the same study, to show the image by"),
    ("presentationSeriesUID", "its series"),
)


def wado_blueprint(root: str, state: StateStore, key: str) -> Blueprint:
    """The route at `root`; `key`: of pseudonyms, "" for one of the state store."""
    routes = Blueprint(NAME, __name__)
    keys = Keyring(state, key)

    @routes.get(root)
    @repeatable
    @requires(Action.READ)
    @names(_asked)
    @describes("One instance, as a picture or as a file", produces=_PRODUCES, query=_QUERY)
    def wado() -> Response:
        parameters = request.args.to_dict(flat=False)
        target = Target.of(parameters)
        accepted = Acceptable.of(parameters, request.environ.get("HTTP_ACCEPT", ""))
        record = _found(target)
        try:
            return _answer(record, parameters, accepted, keys)
        except DicomError as error:
            stored = f"contentType={DICOM}&transferSyntax=*"
            raise HttpError(406, f"{error} The stored bytes can be had: {stored}") from error

    return routes


def _asked() -> Touched | None:
    """The instance that a request names, be it there or not; None if it names none."""
    uids = (request.args.get(name, "") for name in ("studyUID", "seriesUID", "objectUID"))
    study, series, instance = (uid if is_uid(uid) else "" for uid in uids)
    return Touched(study, series, instance) if instance else None


def _answer(
    record: InstanceRecord, parameters: Parameters, accepted: Acceptable, keys: Keyring
) -> Response:
    services = current_context().services
    path = resource_of(record).rendered()
    image = services.frames.image(record)
    understood: tuple[str, ...] = TARGET
    if image is not None and not image.is_video:
        chosen = accepted.choose(picture_types())
        if chosen != DICOM:
            understood += OF_PICTURES
            answer = picture(record, image, parameters, chosen)
            if "frameNumber" in parameters:
                path = resource_of(record).rendered(int(parameters["frameNumber"][0]))
    else:
        forms = services.presentable.of(record)
        if not forms and not accepted.names_files:
            raise NotAcceptable(
                f"The instance has nothing to look at; possible is contentType={DICOM}."
            )
        chosen = accepted.choose([form.media_type for form in forms])
        if chosen != DICOM:
            understood += ("anonymize",)
            answer = presented(record, forms, parameters, chosen)
    if chosen == DICOM:
        understood += OF_FILES
        answer = file_answer(record, parameters, keys)
        path = resource_of(record).path
    warn_of_ignored(answer, [name for name in parameters if name not in understood])
    # Where the studies service is off there is nothing at that address; and what was anonymized is
    # not what lies there.
    if current_context().config[ENABLE] and one(parameters, "anonymize") is None:
        return located(answer, path)
    return answer


def _found(target: Target) -> InstanceRecord:
    """The one instance that was asked for; raises 404, or 409 when it is several."""
    found = [record for resource in _places(target) for record in _records(resource)]
    if not found:
        raise HttpError(404, f"there is no {target}")
    for record in found:
        note(resource_of(record), [record])
    if len(found) > 1:
        raise several(target.instance, found)
    return found[0]


def _records(resource: Resource) -> Iterator[InstanceRecord]:
    return current_context().services.retrieve.records(resource, current_scope())


def _places(target: Target) -> list[Resource]:
    """Where instances of that UID may be."""
    uids = (target.study, target.series, target.instance)
    if not all(uid.isprintable() for uid in uids):
        return []
    if target.study and target.series:
        return [Resource(*uids)]
    tags = (sets.STUDY_INSTANCE_UID, sets.SERIES_INSTANCE_UID, sets.SOP_INSTANCE_UID)
    named = zip(tags, uids, strict=True)
    conditions = tuple(Match((tag,), "UI", Equals(uid)) for tag, uid in named if uid)
    query = Query(QueryLevel.INSTANCE, conditions)
    places = set[tuple[str, ...]]()
    for match in current_context().index.search(query, current_scope()):
        # A raw byte stands for the base URL, which nobody needs here.
        attributes = json.loads(match.answer.replace(b"\x1f", b""))
        places.add(tuple(attributes[tag]["Value"][0] for tag in tags))
    return [Resource(*each) for each in sorted(places)]
