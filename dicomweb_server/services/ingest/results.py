"""What becomes of one instance that comes in."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dicomweb_server.dicom import ParsedInstance
from dicomweb_server.interfaces.index import IndexFull, Outcome
from dicomweb_server.interfaces.storage import StorageFull
from dicomweb_server.ps318.store_response import (
    ELEMENTS_DISCARDED,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
)


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of one instance: stored (`outcome`), refused (`failure`) or `discarded`.

    UIDs are "" where the bytes did not tell them. `failure` is a Failure Reason (0008,1197),
    `warning` a Warning Reason (0008,1196) of a stored one, 0 if there is none to give; `size` is in
    bytes, of a stored one; `unavailable` says that trying again later may help.
    """

    study_uid: str = ""
    series_uid: str = ""
    sop_uid: str = ""
    sop_class_uid: str = ""
    orthanc_id: str = ""
    outcome: Outcome | None = None
    failure: int = 0
    warning: int = 0
    message: str = ""
    unavailable: bool = False
    size: int = 0
    patient_id: str = ""

    @property
    def discarded(self) -> bool:
        """Whether a filter took it from the client without storing it."""
        return self.outcome is None and not self.failure and self.warning == ELEMENTS_DISCARDED

    @property
    def identified(self) -> bool:
        """Whether the instance can be referenced in an answer."""
        return bool(self.sop_uid and self.sop_class_uid)


class Refused(Exception):
    """The instance will not be stored."""

    def __init__(self, failure: int, message: str, *, unavailable: bool = False) -> None:
        super().__init__(message)
        self.failure, self.message, self.unavailable = failure, message, unavailable

    def result(self, known: Ingested) -> Ingested:
        """What became of the instance, of which so much is known."""
        return replace(
            known, failure=self.failure, message=self.message, unavailable=self.unavailable
        )


def refusal(error: Exception) -> Refused:
    """Why an instance is refused that the storage or the index could not take."""
    if isinstance(error, StorageFull | IndexFull):
        return Refused(OUT_OF_RESOURCES, str(error))
    return Refused(PROCESSING_FAILURE, str(error), unavailable=True)


def identity_of(parsed: ParsedInstance) -> Ingested:
    """What the bytes tell of an instance, before anything became of it."""
    uids = (parsed.study_uid, parsed.series_uid, parsed.sop_uid, parsed.sop_class_uid)
    return Ingested(*uids, patient_id=parsed.patient_id)
