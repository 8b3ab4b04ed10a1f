"""STOW-RS (PS3.18 10.5): instances come in, streamed part by part."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import orjson
from flask import Response, g, request

from dicomweb_server.dicom import STANDARD
from dicomweb_server.dicom.xml_model import to_native_xml
from dicomweb_server.http.access import current_context, current_scope
from dicomweb_server.http.answers import choose
from dicomweb_server.http.errors import error_answer
from dicomweb_server.http.touched import is_noting, note_touched
from dicomweb_server.http.urls import base_url
from dicomweb_server.interfaces.index import Origin
from dicomweb_server.interfaces.requests import Touched
from dicomweb_server.ps318.accept import Offer
from dicomweb_server.ps318.errors import PayloadTooLarge, UnsupportedMediaType
from dicomweb_server.ps318.media_types import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    MULTIPART_RELATED,
    MediaType,
    parse_media_type,
)
from dicomweb_server.ps318.multipart import (
    End,
    Event,
    Garbage,
    MultipartDecoder,
    PartData,
    PartEnd,
    PartStart,
    boundary_of,
    root_type_of,
)
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.store_response import (
    CANNOT_UNDERSTAND,
    FailedInstance,
    OtherFailure,
    StoredInstance,
    StoreResponse,
)
from dicomweb_server.services.ingest import Batch, Ingested, Part
from dicomweb_server.web import body
from dicomweb_server.web.access import remote_address

log = logging.getLogger(__name__)

_ANSWERS = (Offer(DICOM_JSON), Offer(DICOM_XML), Offer(DICOM_XML, multipart=True))
_POSSIBLE = (
    'possible are multipart/related; type="application/dicom"; boundary=... and application/dicom'
)


_MOST_LOST = 1000
"""Lost parts that an answer lists for one wrong length; a closing delimiter counts as one."""


class _MultipartIntake:
    """Passes the parts of a body on to a batch, and notes what cannot be an instance."""

    def __init__(self, batch: Batch, boundary: bytes) -> None:
        self._batch = batch
        self._decoder = MultipartDecoder(boundary)
        self._part: Part | None = None
        self._cut_off = False
        self.lost: list[str] = []

    def feed(self, data: bytes) -> None:
        self._take(self._decoder.feed(data))

    def close(self, cut: str | None) -> None:
        """The body is over; `cut` says why it ended too early."""
        self._take(self._decoder.close(), cut)

    def give_up(self, why: str) -> None:
        """Nothing of what follows is wanted."""
        if self._part is not None:
            self._part.fail(why)
            self._part = None
        self.lost.append(why)

    def _take(self, events: Iterable[Event], cut: str | None = None) -> None:
        for event in events:
            match event:
                case PartStart():
                    self._start(event)
                case PartData(data):
                    if self._part is not None:
                        self._part.write(data)
                case PartEnd(_, complete, problem, swallowed):
                    self._end(complete, problem or cut)
                    sentence = "a part is lost within the Content-Length of the one before it"
                    self.lost.extend([sentence] * min(swallowed, _MOST_LOST))
                case Garbage(where, size, _, looks_like_a_part):
                    if looks_like_a_part or where == "between parts":
                        self.lost.append(f"{size} bytes {where} belong to no part")
                case End(complete, problem):
                    # A part that was cut off says it already.
                    if not complete and not self._cut_off:
                        self.lost.append(cut or problem or "the body has no end")

    def _start(self, event: PartStart) -> None:
        self._part = self._batch.part()
        text = event.headers.get("content-type", DICOM)
        if event.problem:
            self._part.fail(event.problem)
        elif not _is_dicom(text):
            self._part.fail(f"a part has the type {text[:100]!r}; possible is {DICOM}")

    def _end(self, complete: bool, problem: str | None) -> None:
        part, self._part = self._part, None
        self._cut_off = not complete
        if part is None:
            return
        if complete:
            part.finish()
        else:
            part.fail(problem or "the part is not complete")


def _is_dicom(text: str) -> bool:
    try:
        return parse_media_type(text).essence == DICOM
    except Exception:
        return False


def store(study_uid: str | None) -> Response:
    """Answer a store request; `study_uid` restricts it to one study."""
    body.check_length()
    media_type = _media_type()
    accepted = choose(_ANSWERS).offer
    body.set_timeout()
    batch = current_context().services.ingest.batch(_origin(), study_uid, current_scope())
    try:
        lost = _receive(batch, media_type)
        results = batch.commit()
    except BaseException:
        batch.abort()
        raise
    _note(results)
    return _answer(results, lost, accepted)


def _note(results: Sequence[Ingested]) -> None:
    """Tell who listens what came, and what became of it."""
    if is_noting():
        for r in results:
            uids = (r.study_uid, r.series_uid, r.sop_uid)
            note_touched(Touched(*uids, r.patient_id, 0 if r.outcome else r.failure))


def _media_type() -> MediaType:

    text = request.environ.get("CONTENT_TYPE") or ""
    encoding = request.environ.get("HTTP_CONTENT_ENCODING", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType(
            f"Content-Encoding is {encoding[:50]!r}; possible is a body without compression"
        )
    try:
        media_type = parse_media_type(text)
    except Exception as error:
        raise UnsupportedMediaType(f"Content-Type is {text[:200]!r}; {_POSSIBLE}") from error
    if media_type.essence == DICOM:
        return media_type
    if media_type.essence != MULTIPART_RELATED:
        raise UnsupportedMediaType(f"Content-Type is {text[:200]!r}; {_POSSIBLE}")
    root = root_type_of(text)
    if root is not None and root.essence != DICOM:
        raise UnsupportedMediaType(f"the parts have the type {root.essence!r}; {_POSSIBLE}")
    boundary_of(text)
    return media_type


def _origin() -> Origin:
    return Origin("STOW-RS", remote_address(), g.identity.label)


def _receive(batch: Batch, media_type: MediaType) -> list[str]:
    """Read the whole body into the batch; sentences about what was lost beside the parts."""

    if media_type.essence == DICOM:
        return _receive_single(batch)
    intake = _MultipartIntake(batch, boundary_of(request.environ["CONTENT_TYPE"]))
    cut: str | None = None
    try:
        for chunk in body.chunks():
            intake.feed(chunk)
    except body.BodyCut as error:
        cut = str(error)
    except PayloadTooLarge as error:
        if not batch.results:
            raise
        g.close_connection = True
        intake.give_up(error.details)
        return intake.lost
    intake.close(cut)
    return intake.lost


def _receive_single(batch: Batch) -> list[str]:
    part = batch.part()
    try:
        for chunk in body.chunks():
            part.write(chunk)
    except body.BodyCut as error:
        part.fail(str(error))
    part.finish()
    return []


def _answer(results: Sequence[Ingested], lost: Sequence[str], offer: Offer) -> Response:
    response = store_response(results, lost, base_url_of_request())
    status = response.status()
    if not response.stored and any(result.unavailable for result in results):
        sentence = next(result.message for result in results if result.unavailable)
        return error_answer(503, sentence, {"Retry-After": "10"})
    for message in [*(r.message for r in results if r.message), *lost][:20]:
        log.info("STOW-RS: %s", message)
    document = response.to_json()
    if offer.media_type == DICOM_XML:
        answer = Response(to_native_xml(document, STANDARD.keyword), status, content_type=DICOM_XML)
    else:
        answer = Response(orjson.dumps(document), status, content_type=DICOM_JSON)
    reasons = [*(r.message for r in results if r.message), *lost]
    if reasons:
        answer.headers["Warning"] = f'299 dicomweb-server "{_header_text(reasons[0])}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _header_text(sentence: str) -> str:
    """A sentence as it may stand in a quoted string of a header."""
    printable = sentence.encode("ascii", "replace").decode().replace("\\", "/").replace('"', "'")
    return "".join(c if c.isprintable() else " " for c in printable)[:300]


def base_url_of_request() -> str:
    """The base URL of generated links."""

    return base_url(current_context().config, request.environ)


def store_response(results: Sequence[Ingested], lost: Sequence[str], base: str) -> StoreResponse:
    """The response document for what became of the parts."""
    stored = [result for result in results if result.outcome is not None]
    failed = [result for result in results if result.outcome is None]
    others = [OtherFailure(r.failure) for r in failed if not r.identified]
    others += [OtherFailure(CANNOT_UNDERSTAND) for _ in lost]
    return StoreResponse(
        retrieve_url=Resource(stored[0].study_uid).url(base) if stored else None,
        stored=tuple(
            StoredInstance(
                r.sop_class_uid,
                r.sop_uid,
                Resource(r.study_uid, r.series_uid, r.sop_uid).url(base),
                r.warning or None,
            )
            for r in stored
        ),
        failed=tuple(
            FailedInstance(r.sop_class_uid, r.sop_uid, r.failure) for r in failed if r.identified
        ),
        other_failures=tuple(others),
    )
