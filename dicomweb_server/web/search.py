"""QIDO-RS (PS3.18 10.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl

import orjson
from flask import Response, g, request

from dicomweb_server.dicom.xml_model import to_native_xml
from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import choose, json_answer, stream_answer
from dicomweb_server.http.urls import base_url
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.accept import Offer
from dicomweb_server.ps318.media_types import DICOM_JSON, DICOM_XML
from dicomweb_server.ps318.multipart import PART_END, MultipartEncoder
from dicomweb_server.ps318.query import Equals, Match, QueryLevel, parse_query
from dicomweb_server.reference_options import QIDO_CASE_SENSITIVE

_OFFERS = (Offer(DICOM_JSON), Offer(DICOM_XML, multipart=True), Offer(DICOM_XML))
_MORE = (
    "299 dicomweb-server: The number of results exceeded the maximum supported by the server. "
    "Additional results can be requested."
)


def search(level: QueryLevel, study: str | None = None, series: str | None = None) -> Response:
    """Answer a search; UIDs of the path are conditions like any other."""
    offer = choose(_OFFERS).offer
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
    without = [
        parent
        for parent, tag in _SUPPRESSED
        if parent in sets.PARENTS[level] and query.condition_on(tag) is not None
    ]
    for tag, uid in ((sets.STUDY_INSTANCE_UID, study), (sets.SERIES_INSTANCE_UID, series)):
        if uid is not None:
            query = query.with_condition(Match((tag,), "UI", Equals(uid)))
    page = context.services.search.search(query, g.scope, without=without)
    base = base_url(context.config, request.environ)
    if offer.media_type == DICOM_XML:
        answer = _xml(page.answers, base)
    else:
        body = b"[" + b",".join(page.answers).replace(b"\x1f", base.encode()) + b"]"
        answer = json_answer(body, media_type=DICOM_JSON)
    if page.more:
        answer.headers.add("Warning", _MORE)
    if page.total is not None:
        answer.headers["X-Total-Count"] = str(page.total)
    return answer


_SUPPRESSED = (
    (QueryLevel.STUDY, sets.STUDY_INSTANCE_UID),
    (QueryLevel.SERIES, sets.SERIES_INSTANCE_UID),
)
"""Attributes of a parent are not repeated when a query parameter names it."""


def _xml(answers: Iterable[bytes], base: str) -> Response:
    encoder = MultipartEncoder()
    keyword = current_context().dictionary.keyword

    def pieces() -> Iterator[bytes]:
        for text in answers:
            document = to_native_xml(orjson.loads(text.replace(b"\x1f", base.encode())), keyword)
            yield encoder.part_header(DICOM_XML, len(document)) + document + PART_END
        yield encoder.closing()

    return stream_answer(pieces(), encoder.content_type(DICOM_XML))
