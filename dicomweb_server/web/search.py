"""QIDO-RS (PS3.18 10.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl

import orjson
from flask import Response, g, request

from dicomweb_server.dicom.xml_model import to_native_xml
from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import TextForm, choose_text, json_answer, text_answer
from dicomweb_server.http.conditions import refuse_match
from dicomweb_server.http.urls import base_url
from dicomweb_server.http.warning import warn, warn_of_ignored
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.accept import Offer
from dicomweb_server.ps318.media_types import DICOM_JSON, DICOM_XML
from dicomweb_server.ps318.multipart import PART_END, MultipartEncoder
from dicomweb_server.ps318.query import Equals, Match, Query, QueryLevel, parse_query
from dicomweb_server.reference_options import QIDO_CASE_SENSITIVE
from dicomweb_server.services.search import Page

_OFFERS = (Offer(DICOM_JSON), Offer(DICOM_XML, multipart=True), Offer(DICOM_XML))


def search(level: QueryLevel, study: str | None = None, series: str | None = None) -> Response:
    """Answer a search; UIDs of the path are conditions like any other."""
    refuse_match()
    form = choose_text(_OFFERS)
    context = current_context()
    # WSGI hands bytes over as Latin-1; some clients send UTF-8 without percent-encoding it.
    text = request.environ["QUERY_STRING"].encode("latin-1").decode("utf-8", "replace")
    pairs = parse_qsl(text, keep_blank_values=True) if text else []
    query = parse_query(
        pairs,
        level,
        context.dictionary,
        case_sensitive=context.config[QIDO_CASE_SENSITIVE],
        keywords=context.dictionary.keywords,
    )
    for tag, uid in ((sets.STUDY_INSTANCE_UID, study), (sets.SERIES_INSTANCE_UID, series)):
        if uid is not None:
            query = query.with_condition(Match((tag,), "UI", Equals(uid)))
    parents = sets.computed_of_parents(level, study=study is not None, series=series is not None)
    query = query.including(parents)
    page = context.services.search.search(query, g.scope)
    base = base_url(context.config, request.environ)
    if form.offer.media_type == DICOM_XML:
        answer = _xml(page.answers, base, form)
    else:
        body = b"[" + b",".join(page.answers).replace(b"\x1f", base.encode()) + b"]"
        answer = json_answer(body, media_type=form.content_type)
    _warn(answer, query, page)
    if page.total is not None:
        answer.headers["X-Total-Count"] = str(page.total)
    return answer


def _warn(answer: Response, query: Query, page: Page) -> None:
    """Say what the client may not have expected (PS3.18 8.3, 8.3.4.4.1)."""
    if page.more:
        number = "" if page.remaining is None else f"{page.remaining} "
        warn(answer, f"There are {number}additional results that can be requested")
    warn_of_ignored(answer, query.ignored)
    if query.zone:
        warn(
            answer,
            "TimezoneOffsetFromUTC was not heeded: dates and times are compared as they are stored",
        )


def _xml(answers: Iterable[bytes], base: str, form: TextForm) -> Response:
    encoder = MultipartEncoder()
    content_type = form.content_type
    keyword = current_context().dictionary.keyword

    def pieces() -> Iterator[bytes]:
        for text in answers:
            document = to_native_xml(orjson.loads(text.replace(b"\x1f", base.encode())), keyword)
            yield encoder.part_header(content_type, len(document)) + document + PART_END
        yield encoder.closing()

    return text_answer(pieces(), encoder.content_type(DICOM_XML))
