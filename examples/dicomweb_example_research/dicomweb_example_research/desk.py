"""Ingest filter `research`: takes enrolled patients only, and marks what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from dicomweb_example_research.enrolments import Enrolments
from dicomweb_server.config import Option, text
from dicomweb_server.context import ServerContext
from dicomweb_server.dicom import Modification, edit_file
from dicomweb_server.interfaces.ingest import (
    Decision,
    Incoming,
    IngestFilter,
    Keep,
    Reject,
    Replace,
)
from dicomweb_server.interfaces.provider import Settings
from dicomweb_server.ps318.store_response import NOT_AUTHORIZED

PROTOCOL = Option(
    "Research.Protocol",
    "",
    "Clinical Trial Protocol ID that instances are marked with; empty: none.",
    text,
)
PATIENT_ID, PROTOCOL_ID, SUBJECT_ID = "00100020", "00120020", "00120040"


class ResearchDesk(IngestFilter):
    """Asks the list of enrolments for each instance."""

    name = "research"

    def __init__(self, settings: Settings) -> None:
        self._protocol = settings.config[PROTOCOL]

    def bind(self, context: ServerContext) -> None:
        self._enrolments = Enrolments(context.state)

    def decide(self, incoming: Incoming) -> Decision:
        attributes = incoming.instance.attributes
        patient_id = (attributes.get(PATIENT_ID, {}).get("Value") or [""])[0]
        subject = self._enrolments.subject_of(patient_id) if patient_id else None
        if subject is None:
            # Without the Patient ID: sentences are logged.
            return Reject("the patient is not enrolled", NOT_AUTHORIZED)
        changes = {
            tag: element
            for tag, element in self._marks(subject).items()
            if attributes.get(tag) != element
        }
        if not changes:
            return Keep()
        return Replace(_edited(incoming, changes), message=f"marked as {subject}")

    def _marks(self, subject: str) -> dict[str, dict[str, Any]]:
        marks = {SUBJECT_ID: {"vr": "LO", "Value": [subject]}}
        if self._protocol:
            marks[PROTOCOL_ID] = {"vr": "LO", "Value": [self._protocol]}
        return marks


def _edited(incoming: Incoming, changes: Mapping[str, dict[str, Any]]) -> Iterator[bytes]:
    """The file with the marks, piece by piece: pixel data are never in memory."""
    why = Modification("dicomweb-example-research", "COERCE", datetime.now(UTC))
    with closing(incoming.open()) as file:

        def read(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        yield from edit_file(read, incoming.size, incoming.instance, changes, why)
