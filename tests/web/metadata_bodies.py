"""Bodies of store requests with metadata and bulk data."""

import json

from dicomweb_server.dicom.tags import STANDARD
from dicomweb_server.dicom.xml_model import to_native_xml

BOUNDARY = "metadata-boundary"
JSON = "application/dicom+json"
XML = "application/dicom+xml"
OCTETS = "application/octet-stream"


def part(content_type, data, location=None):
    """One part with its headers."""
    lines = [f"--{BOUNDARY}", f"Content-Type: {content_type}"]
    if location is not None:
        lines.append(f"Content-Location: {location}")
    return "\r\n".join([*lines, "", ""]).encode() + data + b"\r\n"


def body(*parts, kind=JSON):
    """(body, Content-Type) of a request."""
    content_type = f'multipart/related; type="{kind}"; boundary={BOUNDARY}'
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode(), content_type


def xml_request(data_sets, *bulk):
    """The same as `request` in XML: each data set is a part."""
    metadata = [part(XML, to_native_xml(each, STANDARD.keyword)) for each in data_sets]
    return body(*metadata, *(part(kind, data, location) for location, data, kind in bulk), kind=XML)


def request(data_sets, *bulk):
    """A request with data sets in JSON; each bulk part is (location, bytes, type)."""
    metadata = part(JSON, json.dumps(data_sets).encode())
    return body(metadata, *(part(kind, data, location) for location, data, kind in bulk))
