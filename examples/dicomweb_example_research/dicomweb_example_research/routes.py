"""The routes below `/research/subjects`: enrol, list and withdraw."""

from __future__ import annotations

import json
import re
from typing import Any

from flask import Blueprint, Response, request

from dicomweb_example_research.enrolments import AlreadyEnrolled, Enrolments
from dicomweb_server.http import HttpError, requires
from dicomweb_server.interfaces.auth import Action
from dicomweb_server.interfaces.state import StateStore

_LARGEST = 1 << 10
_SUBJECT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_EXAMPLE = '{"PatientID": "1CT1"}'


def research_blueprint(state: StateStore) -> Blueprint:
    """Routes for those who may administrate the server."""
    routes = Blueprint("research", __name__)
    enrolments = Enrolments(state)

    @routes.get("/research/subjects")
    @requires(Action.ADMIN)
    def listed() -> Response:
        """The subjects that are enrolled."""
        return _json([{"Subject": subject} for subject in enrolments.subjects()])

    @routes.put("/research/subjects/<subject>")
    @requires(Action.ADMIN)
    def enrol(subject: str) -> Response:
        """Enrol a patient under the number of a subject."""
        if _SUBJECT.fullmatch(subject) is None:
            raise HttpError(400, "a subject is at most 64 letters, digits, dots, hyphens and _")
        try:
            enrolments.enrol(subject, _patient_id())
        except AlreadyEnrolled as error:
            raise HttpError(409, f"{error}; withdraw that subject first") from error
        return _json({"Subject": subject})

    @routes.delete("/research/subjects/<subject>")
    @requires(Action.ADMIN)
    def withdraw(subject: str) -> Response:
        """Take no more instances of a subject; what is stored stays."""
        if not enrolments.withdraw(subject):
            raise HttpError(404, f"nobody is enrolled as {subject[:64]}")
        return Response(status=204)

    return routes


def _patient_id() -> str:
    """The Patient ID in the body: in a path it would be logged."""
    request.max_content_length = _LARGEST
    try:
        document = json.loads(request.get_data())
    except ValueError as error:
        raise HttpError(400, f"the body is no JSON; possible is {_EXAMPLE}") from error
    found = document.get("PatientID") if isinstance(document, dict) else None
    if not isinstance(found, str) or not found.strip():
        raise HttpError(400, f"the body must be an object such as {_EXAMPLE}")
    return found


def _json(document: Any) -> Response:
    answer = Response(json.dumps(document), mimetype="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer
