"""What a store request is answered with (PS3.18 10.5.3)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import orjson
from flask import Response

from dicomweb_server.dicom import STANDARD
from dicomweb_server.dicom.xml_model import to_native_xml
from dicomweb_server.http.answers import TextForm
from dicomweb_server.http.errors import error_answer
from dicomweb_server.http.resources import base
from dicomweb_server.http.warning import warn
from dicomweb_server.ps318.media_types import DICOM_XML
from dicomweb_server.ps318.multipart import PART_END, MultipartEncoder
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.store_response import (
    CANNOT_UNDERSTAND,
    FailedInstance,
    OtherFailure,
    StoredInstance,
    StoreResponse,
)
from dicomweb_server.services.ingest import Ingested

log = logging.getLogger("dicomweb_server.web.store")


def store_answer(results: Sequence[Ingested], lost: Sequence[str], form: TextForm) -> Response:
    """The answer to a store request; `lost` are sentences about what was no part of its body."""
    response = store_response(results, lost, base())
    status = response.status()
    if not response.stored and any(result.unavailable for result in results):
        sentence = next(result.message for result in results if result.unavailable)
        return error_answer(503, sentence, {"Retry-After": "10"})
    reasons = [_reason(r.failure or r.warning, r.message) for r in results if r.message]
    reasons += [_reason(CANNOT_UNDERSTAND, message) for message in lost]
    for reason in reasons[:20]:
        log.info("STOW-RS: %s", reason)
    answer = _document(response, status, form)
    if reasons:
        warn(answer, reasons[0])
    place = _place([result for result in results if result.outcome is not None])
    if place is not None:
        answer.headers["Location"] = place
        answer.headers["Content-Location"] = place
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _reason(code: int, message: str) -> str:
    """A sentence behind the DICOM status that goes with it, as 10.5.3.2 recommends."""
    return f"{code:04X} {message}" if code else message


def _document(response: StoreResponse, status: int, form: TextForm) -> Response:
    document = response.to_json()
    if form.offer.media_type != DICOM_XML:
        return Response(orjson.dumps(document), status, content_type=form.content_type)
    xml = to_native_xml(document, STANDARD.keyword)
    if not form.offer.multipart:
        return Response(xml, status, content_type=form.content_type)
    encoder = MultipartEncoder()
    head = encoder.part_header(form.content_type, len(xml))
    whole = head + xml + PART_END + encoder.closing()
    return Response(whole, status, content_type=encoder.content_type(DICOM_XML))


def _place(stored: Sequence[Ingested]) -> str | None:
    """The URL of the smallest resource that holds all that was stored (PS3.18 10.5.3.2)."""
    if not stored:
        return None
    studies = {each.study_uid for each in stored}
    series = {each.series_uid for each in stored}
    if len(studies) > 1:
        return f"{base()}studies"
    study, first = stored[0].study_uid, stored[0].series_uid
    if len(series) > 1:
        return Resource(study).url(base())
    one = stored[0].sop_uid if len({each.sop_uid for each in stored}) == 1 else None
    return Resource(study, first, one).url(base())


def store_response(results: Sequence[Ingested], lost: Sequence[str], root: str) -> StoreResponse:
    """The response document for what became of the parts."""
    stored = [result for result in results if result.outcome is not None]
    discarded = [result for result in results if result.discarded]
    failed = [result for result in results if result.outcome is None and not result.discarded]
    others = [OtherFailure(r.failure) for r in failed if not r.identified]
    others += [OtherFailure(CANNOT_UNDERSTAND) for _ in lost]
    return StoreResponse(
        retrieve_url=Resource(stored[0].study_uid).url(root) if stored else None,
        stored=tuple(
            StoredInstance(
                r.sop_class_uid,
                r.sop_uid,
                Resource(r.study_uid, r.series_uid, r.sop_uid).url(root),
                r.warning or None,
            )
            for r in stored
        )
        + tuple(StoredInstance(r.sop_class_uid, r.sop_uid, "", r.warning) for r in discarded),
        failed=tuple(
            FailedInstance(r.sop_class_uid, r.sop_uid, r.failure) for r in failed if r.identified
        ),
        other_failures=tuple(others),
    )
