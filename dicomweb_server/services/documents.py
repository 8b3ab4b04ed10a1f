"""Encapsulated documents (PS3.3, C.24.2): the part's media type is an attribute of the instance."""

from __future__ import annotations

from typing import Final

from dicomweb_server.dicom.build import Place
from dicomweb_server.ps318.media_types import OCTET_STREAM
from dicomweb_server.ps318.store_response import DATA_SET_DOES_NOT_MATCH_SOP_CLASS
from dicomweb_server.services.bulk_parts import BulkPart, NotStorable
from dicomweb_server.services.pixel_attributes import Attributes, number

MEDIA_TYPES: Final = ("application/pdf", "text/xml", "model/stl", "model/obj", "model/mtl")
_TYPE, _LENGTH = "00420012", "00420015"


def take_document(attributes: Attributes, part: BulkPart) -> Place:
    """The value of Encapsulated Document; adds its media type and length if they are missing.

    Raises `NotStorable` if they are there and contradict the part.
    """
    if part.media_type not in (*MEDIA_TYPES, OCTET_STREAM) or len(part.place.lengths) > 1:
        raise NotStorable(
            f"the encapsulated document is {len(part.place.lengths)} parts of the type "
            f"{part.media_type[:100]}; possible is one of {', '.join(MEDIA_TYPES)}"
        )
    if part.media_type != OCTET_STREAM:
        _take_type(attributes, part.media_type)
    told = number(attributes, _LENGTH)
    if told is None:
        attributes[_LENGTH] = {"vr": "UL", "Value": [part.place.size]}
    elif told != part.place.size:
        raise _contradiction("Encapsulated Document Length", told, f"{part.place.size} bytes")
    return part.place


def _take_type(attributes: Attributes, media_type: str) -> None:
    values = attributes.get(_TYPE, {}).get("Value") or [None]
    told = values[0]
    if not told:
        attributes[_TYPE] = {"vr": "LO", "Value": [media_type]}
    # The standard itself writes text/XML.
    elif str(told).partition(";")[0].strip().lower() != media_type:
        raise _contradiction("MIME Type of Encapsulated Document", told, f"the type {media_type}")


def _contradiction(name: str, told: object, found: str) -> NotStorable:
    return NotStorable(
        f"{name} is {str(told)[:100]}, its part has {found}", DATA_SET_DOES_NOT_MATCH_SOP_CLASS
    )
