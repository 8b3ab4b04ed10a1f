"""The answer to a store request: its payload (PS3.18, annex I) and status (table 10.5.3-1)."""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

# Failure Reason (0008,1197): PS3.18, table I.2-2. Ranges (A7xx, A9xx, Cxxx) by the code that is
# used here.
PROCESSING_FAILURE: Final = 0x0110
"""A general failure, or a study that is not the one of the URL."""
DUPLICATE_SOP_INSTANCE: Final = 0x0111
NO_SUCH_OBJECT_INSTANCE: Final = 0x0112
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
NOT_AUTHORIZED: Final = 0x0124
OUT_OF_RESOURCES: Final = 0xA700
"""The storage is full."""
DATA_SET_DOES_NOT_MATCH_SOP_CLASS: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000
"""Not DICOM, cut, or without one of the UIDs that every instance has."""
TRANSFER_SYNTAX_NOT_SUPPORTED: Final = 0xC122

# Warning Reason (0008,1196): table I.2-1
COERCION_OF_DATA_ELEMENTS: Final = 0xB000
ELEMENTS_DISCARDED: Final = 0xB006
DATA_SET_DOES_NOT_MATCH_SOP_CLASS_WARNING: Final = 0xB007

MEANINGS: Final[dict[int, str]] = {
    PROCESSING_FAILURE: "Processing failure",
    DUPLICATE_SOP_INSTANCE: "Duplicate SOP Instance",
    NO_SUCH_OBJECT_INSTANCE: "No such object instance",
    SOP_CLASS_NOT_SUPPORTED: "Referenced SOP Class not supported",
    NOT_AUTHORIZED: "Refused: not authorized",
    OUT_OF_RESOURCES: "Refused: out of resources",
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS: "Error: data set does not match SOP Class",
    CANNOT_UNDERSTAND: "Error: cannot understand",
    TRANSFER_SYNTAX_NOT_SUPPORTED: "Referenced Transfer Syntax not supported",
    COERCION_OF_DATA_ELEMENTS: "Warning: coercion of data elements",
    ELEMENTS_DISCARDED: "Warning: elements discarded",
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS_WARNING: "Warning: data set does not match SOP Class",
}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance that is stored; `warning_reason` if something was changed on the way.

    `retrieve_url` is "" for one that was taken and not kept.
    """

    sop_class: str
    sop_instance: str
    retrieve_url: str
    warning_reason: int | None = None

    def to_json(self) -> Json:
        """The item of the Referenced SOP Sequence (0008,1199)."""
        item = _reference(self.sop_class, self.sop_instance)
        if self.retrieve_url:
            item["00081190"] = {"vr": "UR", "Value": [self.retrieve_url]}
        if self.warning_reason is not None:
            item["00081196"] = {"vr": "US", "Value": [self.warning_reason]}
        return item


@dataclass(frozen=True, slots=True)
class FailedInstance:
    """An instance that could be identified and was not stored; UIDs may be empty."""

    sop_class: str
    sop_instance: str
    failure_reason: int

    def to_json(self) -> Json:
        """The item of the Failed SOP Sequence (0008,1198)."""
        item = _reference(self.sop_class, self.sop_instance)
        item["00081197"] = {"vr": "US", "Value": [self.failure_reason]}
        return item


@dataclass(frozen=True, slots=True)
class OtherFailure:
    """A part of the request that could not be identified as an instance."""

    failure_reason: int = CANNOT_UNDERSTAND

    def to_json(self) -> Json:
        """The item of the Other Failures Sequence (0008,119A)."""
        return {"00081197": {"vr": "US", "Value": [self.failure_reason]}}


@dataclass(frozen=True, slots=True)
class StoreResponse:
    """All outcomes of one store request.

    `retrieve_url`: of the study, None if nothing was stored.
    """

    retrieve_url: str | None = None
    stored: tuple[StoredInstance, ...] = ()
    failed: tuple[FailedInstance, ...] = ()
    other_failures: tuple[OtherFailure, ...] = ()

    def to_json(self) -> Json:
        """The payload in the DICOM JSON model: one object.

        ReferencedSOPSequence is always there, for clients look for it; the sequences of failures
        only if any.
        """
        answer: Json = {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}
        if self.retrieve_url is not None:
            answer["00081190"] = {"vr": "UR", "Value": [self.retrieve_url]}
        if self.failed:
            answer["00081198"] = _sequence(self.failed)
        answer["00081199"] = _sequence(self.stored)
        if self.other_failures:
            answer["0008119A"] = _sequence(self.other_failures)
        return answer

    def status(self) -> int:
        """The HTTP status code.

        200 all stored, 202 some failed or have a warning, 400 nothing stored for bad syntax or
        nothing sent, 507 nothing stored because the storage is full, else 409 (PS3.18, table
        10.5.3-1).
        """
        reasons = {each.failure_reason for each in self.failed}
        reasons |= {each.failure_reason for each in self.other_failures}
        if self.stored:
            warned = any(each.warning_reason is not None for each in self.stored)
            return HTTPStatus.ACCEPTED if reasons or warned else HTTPStatus.OK
        if reasons <= {CANNOT_UNDERSTAND}:
            return HTTPStatus.BAD_REQUEST
        if reasons == {OUT_OF_RESOURCES}:
            return HTTPStatus.INSUFFICIENT_STORAGE
        return HTTPStatus.CONFLICT


def _reference(sop_class: str, sop_instance: str) -> Json:
    return {
        "00081150": {"vr": "UI", "Value": [sop_class]} if sop_class else {"vr": "UI"},
        "00081155": {"vr": "UI", "Value": [sop_instance]} if sop_instance else {"vr": "UI"},
    }


def _sequence(items: Iterable[StoredInstance | FailedInstance | OtherFailure]) -> Json:
    listed = [each.to_json() for each in items]
    return {"vr": "SQ", "Value": listed} if listed else {"vr": "SQ"}
