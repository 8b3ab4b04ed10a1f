"""Encapsulated documents (PS3.3, C.24.2): SOP class, attributes and part tell the same type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dicomweb_server.dicom.build import Place
from dicomweb_server.dicom.instance import first_text
from dicomweb_server.ps318.media_types import OCTET_STREAM
from dicomweb_server.ps318.store_response import DATA_SET_DOES_NOT_MATCH_SOP_CLASS
from dicomweb_server.services.bulk_parts import BulkPart, NotStorable
from dicomweb_server.services.pixel_attributes import Attributes, number

MEDIA_TYPES: Final = ("application/pdf", "text/xml", "model/stl", "model/obj", "model/mtl")
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.104."
_TYPE_OF_CLASS: Final[Mapping[str, str]] = {
    _STORAGE + "1": "application/pdf",
    _STORAGE + "2": "text/XML",
    _STORAGE + "3": "model/stl",
    _STORAGE + "4": "model/obj",
    _STORAGE + "5": "model/mtl",
}
"""The one type of each SOP class, as its IOD spells it (PS3.3, A.45 and A.85)."""
_TYPE, _LENGTH, _SOP_CLASS = "00420012", "00420015", "00080016"


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
    check_document(attributes)
    told = number(attributes, _LENGTH)
    if told is None:
        attributes[_LENGTH] = {"vr": "UL", "Value": [part.place.size]}
    elif told != part.place.size:
        raise _contradiction("Encapsulated Document Length", told, f"{part.place.size} bytes")
    return part.place


def check_document(attributes: Attributes) -> None:
    """Add the media type that the SOP class demands; raise `NotStorable` if there is another."""
    demanded = _TYPE_OF_CLASS.get(first_text(attributes, _SOP_CLASS))
    if demanded is None:
        return
    told = first_text(attributes, _TYPE)
    if not told:
        attributes[_TYPE] = {"vr": "LO", "Value": [demanded]}
    elif _essence(told) != demanded.lower():
        raise NotStorable(
            f"MIME Type of Encapsulated Document is {told[:100]}, and instances of the SOP class "
            f"{first_text(attributes, _SOP_CLASS)} have {demanded}",
            DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
        )


def _take_type(attributes: Attributes, media_type: str) -> None:
    demanded = _TYPE_OF_CLASS.get(first_text(attributes, _SOP_CLASS), media_type)
    if demanded.lower() != media_type:
        raise NotStorable(
            f"the encapsulated document is a part of the type {media_type}, and instances of the "
            f"SOP class {first_text(attributes, _SOP_CLASS)} have {demanded}",
            DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
        )
    told = first_text(attributes, _TYPE)
    if not told:
        attributes[_TYPE] = {"vr": "LO", "Value": [demanded]}
    # The standard itself writes text/XML.
    elif _essence(told) != media_type:
        raise _contradiction("MIME Type of Encapsulated Document", told, f"the type {media_type}")


def _essence(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _contradiction(name: str, told: object, found: str) -> NotStorable:
    return NotStorable(
        f"{name} is {str(told)[:100]}, its part has {found}", DATA_SET_DOES_NOT_MATCH_SOP_CLASS
    )
