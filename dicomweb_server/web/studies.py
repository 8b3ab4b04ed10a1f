"""The routes of the Studies service (PS3.18 10.1.1)."""

from __future__ import annotations

from flask import Blueprint, Response, g

from dicomweb_server.http.access import current_context, requires
from dicomweb_server.http.conditions import refuse_match
from dicomweb_server.http.description import describes
from dicomweb_server.http.errors import HttpError
from dicomweb_server.http.repeatable import repeatable
from dicomweb_server.http.warning import warn
from dicomweb_server.interfaces.auth import Action
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query import QueryLevel
from dicomweb_server.web import capabilities, retrieve, search, values
from dicomweb_server.web import frames as reading_frames
from dicomweb_server.web import metadata as reading
from dicomweb_server.web import rendered as rendering
from dicomweb_server.web import store as storing

_XML = 'multipart/related; type="application/dicom+xml"'
_METADATA = ("application/dicom+json", _XML)
_MATCHES = ("application/dicom+json", _XML)
_STORED = ("application/dicom+json", _XML, "application/dicom+xml")
_STORABLE = ('multipart/related; type="application/dicom"', "application/dicom")
_INSTANCES = (*_STORABLE, "application/zip")
_OCTETS = ('multipart/related; type="application/octet-stream"', "application/octet-stream")
_PIXELS = (_OCTETS[0], 'multipart/related; type="image/*"')
_FRAMES = (*_PIXELS, "application/octet-stream", "image/*")
_ENCODED = (*_PIXELS, 'multipart/related; type="video/*"')
_VALUES = (*_ENCODED, "application/octet-stream", "image/*", "video/*")
_PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/jxl")
_RENDERED = (
    *_PICTURES,
    'multipart/related; type="image/jpeg"',
    *("video/mp4", "video/mpeg", "application/pdf", "text/html", "text/plain"),
)
_VIEW = (
    ("window", "center,width,function: linear, linear-exact or sigmoid"),
    ("viewport", "vw,vh or vw,vh,sx,sy,sw,sh: size and region"),
    ("quality", "1 to 100, of lossy media types"),
    ("annotation", "patient, technique: texts to burn in"),
    ("iccprofile", "no, yes, srgb, adobergb or rommrgb"),
    ("bitdepth", "extension: 16 for grey image/png of 16 bits"),
)
_ACCEPT = (("accept", "media types, as in the header and before it"),)
_TEXT = (*_ACCEPT, ("charset", "character sets, as in Accept-Charset; there is utf-8"))
_FIELDS = (("includefield", "attributes to restrict the answer to; all of them if absent"),)
_DICOMDIR = (("dicomdir", "true: names for media and a DICOMDIR in application/zip"),)
_SEARCH = (
    ("{attribute}", "a keyword, a tag or a path: what to match (PS3.4 C.2.2.2)"),
    ("includefield", "more attributes to return: a list, or all"),
    ("limit", "the most matches to return"),
    ("offset", "matches to skip"),
    ("fuzzymatching", "true: person names like the given one"),
    ("emptyvaluematching", 'true: `""` finds attributes without a value'),
    ("multiplevaluematching", "lists of values always match"),
    ("orderby", "extension: attributes to sort by, `-` before one sorts downwards"),
    ("totalcount", "extension: true adds X-Total-Count"),
)


def _capability_routes(routes: Blueprint) -> None:
    @routes.route("/", methods=["GET", "OPTIONS"], provide_automatic_options=False)
    @requires(Action.SEARCH)
    @describes(
        "What this service can do", produces=("application/vnd.sun.wadl+xml", "application/json")
    )
    def capabilities_of_service() -> Response:
        return capabilities.answer()


def _metadata_routes(routes: Blueprint) -> None:
    @routes.get("/studies/<study>/metadata")
    @routes.get("/studies/<study>/series/<series>/metadata")
    @routes.get("/studies/<study>/series/<series>/instances/<instance>/metadata")
    @repeatable
    @requires(Action.READ)
    @describes(
        "The attributes of each instance, without bulk data",
        produces=_METADATA,
        query=_FIELDS + _TEXT,
    )
    def metadata(study: str, series: str | None = None, instance: str | None = None) -> Response:
        return reading.metadata(Resource(study, series, instance))

    @routes.get("/studies/<study>/series/<series>/instances/<instance>/bulk/<path:path>")
    @repeatable
    @requires(Action.READ)
    @describes("The value of one attribute", produces=_VALUES, query=_ACCEPT)
    def bulk(study: str, series: str, instance: str, path: str) -> Response:
        return values.bulk(Resource(study, series, instance), path)


def _value_routes(routes: Blueprint) -> None:
    @routes.get("/studies/<study>/bulkdata")
    @routes.get("/studies/<study>/series/<series>/bulkdata")
    @routes.get("/studies/<study>/series/<series>/instances/<instance>/bulkdata")
    @repeatable
    @requires(Action.READ)
    @describes("All bulk data", produces=_ENCODED, query=_ACCEPT)
    def bulk_data(study: str, series: str | None = None, instance: str | None = None) -> Response:
        return values.bulk_data(Resource(study, series, instance))

    @routes.get("/studies/<study>/pixeldata")
    @routes.get("/studies/<study>/series/<series>/pixeldata")
    @routes.get("/studies/<study>/series/<series>/instances/<instance>/pixeldata")
    @repeatable
    @requires(Action.READ)
    @describes("All pixel data as stored", produces=_PIXELS, query=_ACCEPT)
    def pixel_data(study: str, series: str | None = None, instance: str | None = None) -> Response:
        return values.pixel_data(Resource(study, series, instance))


def _frame_routes(routes: Blueprint) -> None:
    @routes.get("/studies/<study>/series/<series>/instances/<instance>/frames")
    @routes.get("/studies/<study>/series/<series>/instances/<instance>/frames/<listed>")
    @repeatable
    @requires(Action.READ)
    @describes("Frames of pixel data", produces=_FRAMES, query=_ACCEPT)
    def frames(study: str, series: str, instance: str, listed: str | None = None) -> Response:
        return reading_frames.frames(Resource(study, series, instance), listed)


def _rendered_routes(routes: Blueprint) -> None:
    @routes.get("/studies/<study>/rendered")
    @routes.get("/studies/<study>/series/<series>/rendered")
    @routes.get("/studies/<study>/series/<series>/instances/<instance>/rendered")
    @routes.get("/studies/<study>/series/<series>/instances/<instance>/frames/<listed>/rendered")
    @repeatable
    @requires(Action.READ)
    @describes("What it looks like", produces=_RENDERED, query=_VIEW + _ACCEPT)
    def rendered(
        study: str,
        series: str | None = None,
        instance: str | None = None,
        listed: str | None = None,
    ) -> Response:
        return rendering.rendered(Resource(study, series, instance), listed)

    @routes.get("/studies/<study>/thumbnail")
    @routes.get("/studies/<study>/series/<series>/thumbnail")
    @routes.get("/studies/<study>/series/<series>/instances/<instance>/thumbnail")
    @routes.get("/studies/<study>/series/<series>/instances/<instance>/frames/<listed>/thumbnail")
    @repeatable
    @requires(Action.READ)
    @describes("A small picture of it", produces=_PICTURES, query=_VIEW + _ACCEPT)
    def thumbnail(
        study: str,
        series: str | None = None,
        instance: str | None = None,
        listed: str | None = None,
    ) -> Response:
        return rendering.thumbnail(Resource(study, series, instance), listed)


def _retrieve_routes(routes: Blueprint) -> None:
    @routes.get("/studies/<study>")
    @routes.get("/studies/<study>/series/<series>")
    @routes.get("/studies/<study>/series/<series>/instances/<instance>")
    @repeatable
    @requires(Action.READ)
    @describes("The instances", produces=_INSTANCES, query=_DICOMDIR + _ACCEPT)
    def instances(study: str, series: str | None = None, instance: str | None = None) -> Response:
        return retrieve.retrieve(Resource(study, series, instance))


def _search_routes(routes: Blueprint) -> None:
    @routes.get("/patients")
    @repeatable
    @requires(Action.SEARCH)
    @describes("Search for patients", produces=_MATCHES, query=_SEARCH + _TEXT)
    def search_patients() -> Response:
        return search.search(QueryLevel.PATIENT)

    @routes.get("/studies")
    @repeatable
    @requires(Action.SEARCH)
    @describes("Search for studies", produces=_MATCHES, query=_SEARCH + _TEXT)
    def search_studies() -> Response:
        return search.search(QueryLevel.STUDY)

    @routes.get("/series")
    @routes.get("/studies/<study>/series")
    @repeatable
    @requires(Action.SEARCH)
    @describes("Search for series", produces=_MATCHES, query=_SEARCH + _TEXT)
    def search_series(study: str | None = None) -> Response:
        return search.search(QueryLevel.SERIES, study)

    @routes.get("/instances")
    @routes.get("/studies/<study>/instances")
    @routes.get("/studies/<study>/series/<series>/instances")
    @repeatable
    @requires(Action.SEARCH)
    @describes("Search for instances", produces=_MATCHES, query=_SEARCH + _TEXT)
    def search_instances(study: str | None = None, series: str | None = None) -> Response:
        return search.search(QueryLevel.INSTANCE, study, series)


def _store_routes(routes: Blueprint) -> None:
    @routes.post("/studies")
    @routes.post("/studies/<study>")
    @requires(Action.STORE)
    @describes("Store instances", produces=_STORED, consumes=_STORABLE)
    def store(study: str | None = None) -> Response:
        return storing.store(study)


def _delete_routes(routes: Blueprint) -> None:
    @routes.delete("/studies/<study>")
    @routes.delete("/studies/<study>/series/<series>")
    @routes.delete("/studies/<study>/series/<series>/instances/<instance>")
    @requires(Action.DELETE)
    @describes("Delete", produces=())
    def remove(study: str, series: str | None = None, instance: str | None = None) -> Response:
        refuse_match()
        resource = Resource(study, series, instance)
        removed = current_context().services.removal.delete(resource, g.scope)
        if not removed.instances:
            raise HttpError(404, f"there is no {resource.path}")
        answer = Response(status=204)
        if removed.left:
            warn(answer, f"{removed.left} files could not be deleted; the log names them")
        del answer.headers["Content-Type"]  # there is no content
        return answer


def studies_blueprint(root: str, *, read_only: bool) -> Blueprint:
    """The Studies service below `root`; without storing and deleting if `read_only`."""
    routes = Blueprint("studies", __name__, url_prefix=root.rstrip("/") or None)
    _capability_routes(routes)
    _search_routes(routes)
    _retrieve_routes(routes)
    _metadata_routes(routes)
    _value_routes(routes)
    _frame_routes(routes)
    _rendered_routes(routes)
    if not read_only:
        _store_routes(routes)
        _delete_routes(routes)
    return routes
