"""The routes of the Studies service (PS3.18 10.1.1)."""

from __future__ import annotations

from flask import Blueprint, Response, g

from dicomweb_server.http.access import current_context, requires
from dicomweb_server.http.errors import HttpError
from dicomweb_server.interfaces.auth import Action
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query import QueryLevel
from dicomweb_server.web import retrieve, search, values
from dicomweb_server.web import store as storing


def _metadata_routes(routes: Blueprint) -> None:
    @routes.get("/studies/<study>/metadata")
    @routes.get("/studies/<study>/series/<series>/metadata")
    @routes.get("/studies/<study>/series/<series>/instances/<instance>/metadata")
    @requires(Action.READ)
    def metadata(study: str, series: str | None = None, instance: str | None = None) -> Response:
        return retrieve.metadata(Resource(study, series, instance))

    @routes.get("/studies/<study>/series/<series>/instances/<instance>/bulk/<path:path>")
    @requires(Action.READ)
    def bulk(study: str, series: str, instance: str, path: str) -> Response:
        return retrieve.bulk(Resource(study, series, instance), path)


def _value_routes(routes: Blueprint) -> None:
    @routes.get("/studies/<study>/bulkdata")
    @routes.get("/studies/<study>/series/<series>/bulkdata")
    @routes.get("/studies/<study>/series/<series>/instances/<instance>/bulkdata")
    @requires(Action.READ)
    def bulk_data(study: str, series: str | None = None, instance: str | None = None) -> Response:
        return values.bulk_data(Resource(study, series, instance))

    @routes.get("/studies/<study>/pixeldata")
    @routes.get("/studies/<study>/series/<series>/pixeldata")
    @routes.get("/studies/<study>/series/<series>/instances/<instance>/pixeldata")
    @requires(Action.READ)
    def pixel_data(study: str, series: str | None = None, instance: str | None = None) -> Response:
        return values.pixel_data(Resource(study, series, instance))


def _retrieve_routes(routes: Blueprint) -> None:
    @routes.get("/studies/<study>")
    @routes.get("/studies/<study>/series/<series>")
    @routes.get("/studies/<study>/series/<series>/instances/<instance>")
    @requires(Action.READ)
    def instances(study: str, series: str | None = None, instance: str | None = None) -> Response:
        return retrieve.retrieve(Resource(study, series, instance))


def _search_routes(routes: Blueprint) -> None:
    @routes.get("/patients")
    @requires(Action.SEARCH)
    def search_patients() -> Response:
        return search.search(QueryLevel.PATIENT)

    @routes.get("/studies")
    @requires(Action.SEARCH)
    def search_studies() -> Response:
        return search.search(QueryLevel.STUDY)

    @routes.get("/series")
    @routes.get("/studies/<study>/series")
    @requires(Action.SEARCH)
    def search_series(study: str | None = None) -> Response:
        return search.search(QueryLevel.SERIES, study)

    @routes.get("/instances")
    @routes.get("/studies/<study>/instances")
    @routes.get("/studies/<study>/series/<series>/instances")
    @requires(Action.SEARCH)
    def search_instances(study: str | None = None, series: str | None = None) -> Response:
        return search.search(QueryLevel.INSTANCE, study, series)


def _store_routes(routes: Blueprint) -> None:
    @routes.post("/studies")
    @routes.post("/studies/<study>")
    @requires(Action.STORE)
    def store(study: str | None = None) -> Response:
        return storing.store(study)


def _delete_routes(routes: Blueprint) -> None:
    @routes.delete("/studies/<study>")
    @routes.delete("/studies/<study>/series/<series>")
    @routes.delete("/studies/<study>/series/<series>/instances/<instance>")
    @requires(Action.DELETE)
    def remove(study: str, series: str | None = None, instance: str | None = None) -> Response:
        resource = Resource(study, series, instance)
        removed = current_context().services.removal.delete(resource, g.scope)
        if not removed.instances:
            raise HttpError(404, f"there is no {resource.path}")
        answer = Response(status=204)
        if removed.left:
            sentence = f"{removed.left} files could not be deleted; the log names them"
            answer.headers["Warning"] = f'299 dicomweb-server "{sentence}"'
        del answer.headers["Content-Type"]  # there is no content
        return answer


def studies_blueprint(root: str, *, read_only: bool) -> Blueprint:
    """The Studies service below `root`; without storing and deleting if `read_only`."""
    routes = Blueprint("studies", __name__, url_prefix=root.rstrip("/") or None)
    _search_routes(routes)
    _retrieve_routes(routes)
    _metadata_routes(routes)
    _value_routes(routes)
    if not read_only:
        _store_routes(routes)
        _delete_routes(routes)
    return routes
