"""Retrieve Capabilities (PS3.18 8.9): what the routes say about themselves, as WADL or OpenAPI."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import orjson
from flask import Response, current_app, request

from dicomweb_server import __version__
from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import choose_text
from dicomweb_server.http.conditions import not_modified, with_etag
from dicomweb_server.http.description import RouteDescription, described_routes
from dicomweb_server.http.urls import base_url
from dicomweb_server.interfaces.auth import Action
from dicomweb_server.ps318.accept import Offer
from dicomweb_server.ps318.charsets import UTF_8
from dicomweb_server.settings import NAME, ROOT, slashed

WADL = "application/vnd.sun.wadl+xml"
JSON = "application/json"
OPENAPI = "application/vnd.oai.openapi+json"
_NAMESPACE = "http://wadl.dev.java.net/2009/02"


def answer() -> Response:
    """The capabilities of the Studies service."""
    form = choose_text((Offer(WADL), Offer(JSON), Offer(OPENAPI)))
    context = current_context()
    root = slashed(context.config[ROOT])
    routes = list(described_routes(current_app, root))
    base = base_url(context.config, request.environ)
    if form.offer.media_type == WADL:
        text = wadl(routes, root, base)
    else:
        document = openapi(routes, context.config[NAME], base.removesuffix(root.strip("/") + "/"))
        text = orjson.dumps(document, option=orjson.OPT_INDENT_2)
    etag = hashlib.sha256(form.content_type.encode() + text).hexdigest()[:32]
    cached = not_modified(etag)
    return cached or with_etag(Response(text, content_type=form.content_type), etag)


def wadl(routes: Iterable[RouteDescription], root: str, base: str) -> bytes:
    """A Web Application Description of the routes below `root` (PS3.18 annex H)."""
    application = Element("application", xmlns=_NAMESPACE)
    resources = SubElement(application, "resources", base=base)
    by_path: dict[str, Element] = {}
    for route in routes:
        path = route.path.removeprefix(root.rstrip("/")).lstrip("/")
        resource = by_path.get(path)
        if resource is None:
            resource = by_path[path] = SubElement(resources, "resource", path=path)
            for name in route.parameters:
                _parameter(resource, name, "template")
        _method(resource, route)
    document: bytes = tostring(application, encoding="utf-8", xml_declaration=True)
    return document


def _method(resource: Element, route: RouteDescription) -> None:
    method = SubElement(resource, "method", name=route.method, id=f"{route.method} {route.path}")
    SubElement(method, "doc").text = route.summary
    asked = SubElement(method, "request")
    for name, _ in route.query:
        _parameter(asked, name, "query")
    if len(route.produces) > 1:
        accepted = SubElement(asked, "param", name="Accept", style="header", required="false")
        for media_type in route.produces:
            SubElement(accepted, "option", value=media_type)
    if route.is_text:
        charset = SubElement(asked, "param", name="Accept-Charset", style="header")
        charset.set("required", "false")
        SubElement(charset, "option", value=UTF_8)
    for media_type in route.consumes:
        SubElement(asked, "representation", mediaType=media_type)
    answered = SubElement(method, "response", status="204" if route.method == "DELETE" else "200")
    if route.method != "DELETE":
        for media_type in route.produces:
            SubElement(answered, "representation", mediaType=media_type)


def _parameter(parent: Element, name: str, style: str) -> None:
    required = "true" if style == "template" else "false"
    SubElement(parent, "param", name=name, style=style, required=required, type="xs:string")


def openapi(routes: Iterable[RouteDescription], title: str, server: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document of the routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": __version__, "description": "DICOMweb (PS3.18)"},
        "servers": [{"url": server.rstrip("/") or "/"}],
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


_ERROR = {
    "type": "object",
    "description": "What was wrong and what is possible.",
    "properties": {
        "HttpStatus": {"type": "integer"},
        "HttpError": {"type": "string"},
        "Message": {"type": "string"},
        "Details": {"type": "string"},
        "Method": {"type": "string"},
        "Uri": {"type": "string"},
        "OrthancStatus": {"type": "integer"},
        "OrthancError": {"type": "string"},
    },
}


def _operation(route: RouteDescription) -> dict[str, Any]:
    named = re.sub(r"\W+", "-", route.path).strip("-")
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}-{named}",
        "summary": route.summary,
        "parameters": [
            *(_described(name, "path", "") for name in route.parameters),
            *(_described(name, "query", text) for name, text in route.query),
        ],
        "responses": {
            "204" if route.method == "DELETE" else "200": _response(route),
            "default": {
                "description": "An error",
                "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if route.action is not Action.PUBLIC:
        operation["security"] = [{}, {"basic": []}, {"bearer": []}]
    if route.consumes:
        operation["requestBody"] = {"content": {each: {} for each in route.consumes}}
    return operation


def _response(route: RouteDescription) -> dict[str, Any]:
    if route.method == "DELETE":
        return {"description": "It is gone"}
    return {"description": route.summary, "content": {each: {} for each in route.produces}}


def _described(name: str, where: str, text: str) -> dict[str, Any]:
    if name.startswith("{"):  # any key at all
        values = {"type": "object", "additionalProperties": {"type": "string"}}
        return {"name": name[1:-1], "in": where, "style": "form", "explode": True} | {
            "schema": values,
            "description": text,
        }
    described: dict[str, Any] = {"name": name, "in": where, "schema": {"type": "string"}}
    if where == "path":
        described["required"] = True
    return described | ({"description": text} if text else {})
