"""Protection of patients, at the addresses of Orthanc's REST API."""

from __future__ import annotations

from flask import Blueprint, Response, request

from dicomweb_server.http.access import current_context, requires
from dicomweb_server.http.description import describes
from dicomweb_server.http.errors import HttpError
from dicomweb_server.interfaces.auth import Action

_LONGEST = 16


def _missing(patient: str) -> HttpError:
    return HttpError(404, f"there is no patient {patient[:64]}")


def _text(text: str) -> Response:
    answer = Response(text, content_type="text/plain")
    answer.headers["Cache-Control"] = "no-store"
    return answer


def patients_blueprint(*, read_only: bool) -> Blueprint:
    """`/patients/{orthanc id}/protected`: "1" or "0"; without changing it if `read_only`."""
    routes = Blueprint("patients", __name__)

    @routes.get("/patients/<patient>/protected")
    @describes("Whether a patient is never recycled: 1 or 0", produces=("text/plain",))
    @requires(Action.ADMIN)
    def is_protected(patient: str) -> Response:
        found = current_context().services.protection.is_protected(patient)
        if found is None:
            raise _missing(patient)
        return _text("1" if found else "0")

    if read_only:
        return routes

    @routes.put("/patients/<patient>/protected")
    @describes(
        "Protect a patient, or no longer", produces=("text/plain",), consumes=("text/plain",)
    )
    @requires(Action.ADMIN)
    def protect(patient: str) -> Response:
        given = request.stream.read(_LONGEST).decode("ascii", "replace").strip()
        if given not in ("0", "1"):
            raise HttpError(400, f"the body is {given!r}; possible are 1 (protected) and 0")
        if not current_context().services.protection.protect(patient, on=given == "1"):
            raise _missing(patient)
        return _text("")

    return routes
