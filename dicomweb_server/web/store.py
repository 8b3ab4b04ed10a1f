"""STOW-RS (PS3.18 10.5): instances come in, streamed part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial

from flask import Response, g, request

from dicomweb_server.http.access import current_context, current_scope
from dicomweb_server.http.answers import choose_text
from dicomweb_server.http.errors import HttpError
from dicomweb_server.http.silence import set_timeout
from dicomweb_server.http.touched import is_noting, note_touched
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
    modern_name,
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
from dicomweb_server.services.ingest import Batch, Ingested, Part
from dicomweb_server.services.metadata_parts import METADATA_TYPES, MetadataParts, PartSink
from dicomweb_server.web import body
from dicomweb_server.web.access import address_of
from dicomweb_server.web.store_answer import store_answer

_ANSWERS = (Offer(DICOM_JSON), Offer(DICOM_XML), Offer(DICOM_XML, multipart=True))
_POSSIBLE = (
    'possible are multipart/related; type="application/dicom"; boundary=... (also '
    "application/dicom+json and application/dicom+xml) and application/dicom"
)


_MOST_LOST = 1000
"""Lost parts that an answer lists for one wrong length; a closing delimiter counts as one."""


class _MultipartIntake:
    """Passes the parts of a body on, and notes what is none.

    `open_part` gives what takes the part that begins.
    """

    def __init__(self, open_part: Callable[[PartStart], PartSink], boundary: bytes) -> None:
        self._open_part = open_part
        self._decoder = MultipartDecoder(boundary)
        self._part: PartSink | None = None
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
        self._part = self._open_part(event)
        if event.problem:
            self._part.fail(event.problem)

    def _end(self, complete: bool, problem: str | None) -> None:
        part, self._part = self._part, None
        self._cut_off = not complete
        if part is None:
            return
        if complete:
            part.finish()
        else:
            part.fail(problem or "the part is not complete")


def _open_instance(batch: Batch, event: PartStart) -> Part:
    """A part that is a DICOM file, or fails because it is none."""
    part = batch.part()
    text = event.headers.get("content-type", DICOM)
    if not event.problem and not _is_dicom(text):
        part.fail(f"a part has the type {text[:100]!r}; possible is {DICOM}")
    return part


def _is_dicom(text: str) -> bool:
    try:
        return parse_media_type(text).essence == DICOM
    except Exception:
        return False


def store(study_uid: str | None) -> Response:
    """Answer a store request; `study_uid` restricts it to one study."""
    body.check_length()
    media_type = _media_type()
    accepted = choose_text(_ANSWERS)
    set_timeout()
    batch = current_context().services.ingest.batch(_origin(), study_uid, current_scope())
    try:
        lost = _receive(batch, media_type)
        results = batch.commit()
    except BaseException:
        batch.abort()
        raise
    _note(results)
    return store_answer(results, lost, accepted)


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
        raise HttpError(
            415,
            f"Content-Encoding is {encoding[:50]!r}; possible is a body without compression",
            {"Accept-Encoding": "identity"},
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
    if root is not None and modern_name(root.essence) not in (DICOM, *METADATA_TYPES):
        raise UnsupportedMediaType(f"the parts have the type {root.essence!r}; {_POSSIBLE}")
    boundary_of(text)
    return media_type


def _origin() -> Origin:
    return Origin("STOW-RS", address_of(request.environ), g.identity.label)


def _receive(batch: Batch, media_type: MediaType) -> list[str]:
    """Read the whole body into the batch; sentences about what was lost beside the parts."""

    if media_type.essence == DICOM:
        return _receive_single(batch)
    root = modern_name((root_type_of(request.environ["CONTENT_TYPE"]) or media_type).essence)
    if root not in METADATA_TYPES:
        return _receive_parts(batch, partial(_open_instance, batch))
    with closing(MetadataParts(batch, root, request.base_url)) as parts:
        lost = _receive_parts(batch, lambda event: parts.part(event.headers))
        parts.store()
        return [*lost, *parts.lost]


def _receive_parts(batch: Batch, open_part: Callable[[PartStart], PartSink]) -> list[str]:
    intake = _MultipartIntake(open_part, boundary_of(request.environ["CONTENT_TYPE"]))
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
