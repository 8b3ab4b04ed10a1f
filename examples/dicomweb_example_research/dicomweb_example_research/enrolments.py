"""Who is enrolled: documents in the state store, seen by every process of the server at once."""

from __future__ import annotations

import hashlib

from dicomweb_server.interfaces.state import Conflict, StateStore

SUBJECTS = "example-research/subjects"
PATIENTS = "example-research/patients"


class AlreadyEnrolled(Exception):
    """The patient, or somebody under the same number, is enrolled; the message says which."""


def digest_of(patient_id: str) -> str:
    """What a patient is kept under: any Patient ID fits, and none can be read off."""
    return hashlib.sha256(patient_id.strip().encode()).hexdigest()


class Enrolments:
    """Pairs of a subject and a patient, each in one pair at most.

    Two documents tell of a pair, so that it is found from both sides. That of the subject is
    written first and deleted last: half a pair is a number that is taken, and nobody's.
    """

    def __init__(self, state: StateStore) -> None:
        self._state = state

    def enrol(self, subject: str, patient_id: str) -> None:
        """Make a pair; raises `AlreadyEnrolled` when one of both belongs to another."""
        patient = digest_of(patient_id)
        self._claim(SUBJECTS, subject, patient, f"somebody is enrolled as {subject}")
        try:
            self._claim(PATIENTS, patient, subject, "the patient is enrolled under another number")
        except AlreadyEnrolled:
            self._state.delete(SUBJECTS, subject)
            raise

    def _claim(self, namespace: str, key: str, value: str, sentence: str) -> None:
        try:
            self._state.put(namespace, key, value, expected=0)
        except Conflict as error:
            found = self._state.get(namespace, key)
            if found is None or found.value != value:
                raise AlreadyEnrolled(sentence) from error

    def withdraw(self, subject: str) -> bool:
        """Forget a pair; whether there was one."""
        found = self._state.get(SUBJECTS, subject)
        if found is None:
            return False
        # Half a pair may name a patient who is enrolled under another number.
        patient = self._state.get(PATIENTS, found.value)
        if patient is not None and patient.value == subject:
            self._state.delete(PATIENTS, found.value)
        return self._state.delete(SUBJECTS, subject)

    def subject_of(self, patient_id: str) -> str | None:
        """The number of a patient; None for one who is not enrolled."""
        found = self._state.get(PATIENTS, digest_of(patient_id))
        return None if found is None else str(found.value)

    def subjects(self) -> list[str]:
        """The numbers of all who are enrolled."""
        return [document.key for document in self._state.documents(SUBJECTS)]
