"""Patients that must stay, however full the archive is."""

from __future__ import annotations

from dataclasses import dataclass

from dicomweb_server.interfaces.index import Index
from dicomweb_server.interfaces.state import StateStore

_NAMESPACE = "protected-patients"


@dataclass(frozen=True)
class ProtectionService:
    """Protects patients by their Orthanc identifiers.

    It is kept beside the index, so that a patient who is deleted and stored again stays protected.
    """

    index: Index
    state: StateStore

    def patients(self) -> set[str]:
        """The Orthanc identifiers of all protected patients."""
        return {document.key for document in self.state.documents(_NAMESPACE)}

    def is_protected(self, orthanc_id: str) -> bool | None:
        """Whether a patient is protected; None: the archive does not have it."""
        if self.index.patient(orthanc_id) is None:
            return None
        return self.state.get(_NAMESPACE, orthanc_id) is not None

    def protect(self, orthanc_id: str, *, on: bool = True) -> bool:
        """Protect a patient, or no longer; False: the archive does not have it."""
        if self.index.patient(orthanc_id) is None:
            return False
        if on:
            self.state.put(_NAMESPACE, orthanc_id, True)
        else:
            self.state.delete(_NAMESPACE, orthanc_id)
        return True
