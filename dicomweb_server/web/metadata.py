"""Retrieve Metadata (PS3.18 10.4.1.1.2): JSON from the cache, or XML."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice

import orjson
from flask import Response, g, request

from dicomweb_server.dicom.xml_model import to_native_xml
from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import (
    TextForm,
    accepts_gzip,
    choose_text,
    file_answer,
    json_answer,
    text_answer,
)
from dicomweb_server.http.conditions import not_modified, with_etag
from dicomweb_server.http.resources import COUNTED, base, located, missing, note, resource_of
from dicomweb_server.http.silence import set_timeout
from dicomweb_server.http.touched import is_noting
from dicomweb_server.ps318.accept import Offer
from dicomweb_server.ps318.media_types import DICOM_JSON, DICOM_XML
from dicomweb_server.ps318.multipart import PART_END, MultipartEncoder
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query import parse_include_fields
from dicomweb_server.services.metadata import Version

_METADATA = (
    Offer(DICOM_JSON),
    Offer(DICOM_XML, multipart=True),
)


def metadata(resource: Resource) -> Response:
    """The metadata of a study, series or instance."""
    form = choose_text(_METADATA)
    context = current_context()
    service = context.services.metadata
    asked = parse_include_fields(request.args.getlist("includefield"), context.dictionary)
    fields = () if asked.all else asked.tags
    version = service.version(resource, g.scope, base(), fields)
    if version is None:
        raise missing(resource)
    if is_noting():
        note(resource, islice(context.index.instances(resource, g.scope), COUNTED))
    xml = form.offer.media_type == DICOM_XML
    packed = accepts_gzip()
    etag = version.digest(form.content_type, "gzip" if packed else "")
    answer = not_modified(etag, weak=xml)
    if answer is None:
        set_timeout()
        make = _metadata_xml(version, form) if xml else _metadata_json(version, form, packed=packed)
        answer = with_etag(make, etag, weak=xml)
    # Some attributes alone are not what is found at the address of the metadata.
    return answer if fields else located(answer, resource.metadata())


def _metadata_json(version: Version, form: TextForm, *, packed: bool) -> Response:
    service = current_context().services.metadata
    if version.resource.instance is not None:
        return json_answer(b"".join(service.array(version)), media_type=form.content_type)
    path = service.file(version, compressed=packed)
    if path is not None:
        with contextlib.suppress(FileNotFoundError):  # dropped to make room a moment ago
            return file_answer(path, form.content_type, encoding="gzip" if packed else "")
    return text_answer(service.array(version), form.content_type)


def _metadata_xml(version: Version, form: TextForm) -> Response:
    encoder = MultipartEncoder()
    context = current_context()
    keyword = context.dictionary.keyword
    content_type = form.content_type

    def pieces() -> Iterator[bytes]:
        for record, text in context.services.metadata.objects(version):
            document = to_native_xml(orjson.loads(text), keyword)
            location = f"{version.base_url}{resource_of(record).metadata()}"
            head = encoder.part_header(content_type, len(document), content_location=location)
            yield head + document + PART_END
        yield encoder.closing()

    return text_answer(pieces(), encoder.content_type(DICOM_XML))
