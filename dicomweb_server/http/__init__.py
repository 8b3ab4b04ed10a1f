"""What authors of blueprints use: permissions, negotiation, answers, errors, public URLs."""

from dicomweb_server.http.access import (
    current_context,
    current_identity,
    current_scope,
    requires,
    scope_of,
)
from dicomweb_server.http.answers import (
    choose,
    choose_text,
    file_answer,
    json_answer,
    ranged_answer,
    stream_answer,
)
from dicomweb_server.http.conditions import not_modified, with_etag
from dicomweb_server.http.description import describes
from dicomweb_server.http.errors import HttpError
from dicomweb_server.http.repeatable import repeatable
from dicomweb_server.http.touched import is_noting, names, note_touched
from dicomweb_server.http.urls import base_url
from dicomweb_server.http.warning import claim_parameter, warn

__all__ = [
    "HttpError",
    "base_url",
    "choose",
    "choose_text",
    "claim_parameter",
    "current_context",
    "current_identity",
    "current_scope",
    "describes",
    "file_answer",
    "is_noting",
    "json_answer",
    "names",
    "not_modified",
    "note_touched",
    "ranged_answer",
    "repeatable",
    "requires",
    "scope_of",
    "stream_answer",
    "warn",
    "with_etag",
]
