"""What is not there any more when it is read: deleted a moment ago, or lost."""

from __future__ import annotations

import logging

from flask import Response, g, request

from dicomweb_server.http.access import current_context
from dicomweb_server.http.errors import error_answer
from dicomweb_server.http.touched import all_touched
from dicomweb_server.interfaces.requests import Touched
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.query import Equals, Match, Query, QueryLevel

log = logging.getLogger(__name__)


def gone_answer(error: Exception) -> Response:
    """404 if what the request names was deleted, else 503: then its bytes are lost.

    Where they should be is for the log alone.
    """
    named = all_touched()
    if named and not all(map(_is_there, named)):
        return error_answer(404, "what was asked for has been deleted a moment ago")
    log.error("%s %s: %s", request.method, request.path, error)
    sentence = (
        "the bytes of an instance cannot be found; the log says which, and `dicomweb-server check` "
        "what else is missing"
    )
    return error_answer(503, sentence, {"Retry-After": "10"})


def _is_there(touched: Touched) -> bool:
    uids = (
        (QueryLevel.STUDY, sets.STUDY_INSTANCE_UID, touched.study),
        (QueryLevel.SERIES, sets.SERIES_INSTANCE_UID, touched.series),
        (QueryLevel.INSTANCE, sets.SOP_INSTANCE_UID, touched.instance),
    )
    level = QueryLevel.STUDY
    conditions: list[Match] = []
    for level_of, tag, uid in uids:
        if uid:
            level = level_of
            conditions.append(Match((tag,), "UI", Equals(uid)))
    query = Query(level, conditions=tuple(conditions))
    return not conditions or current_context().index.count(query, g.scope) > 0
