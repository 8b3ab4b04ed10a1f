"""Whether an instance that arrives lies inside of a scope."""

from __future__ import annotations

from dicomweb_server.dicom import ParsedInstance, load_header
from dicomweb_server.interfaces.auth import EVERYTHING, Scope
from dicomweb_server.interfaces.index import Found, Index
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.matching import Equals, plain
from dicomweb_server.ps318.query_model import Condition, Query, QueryLevel


class Door:
    """Lets in the instances of one request.

    Both must be inside: what the instance says of itself, so that nobody brings in what he could
    not see afterwards, and the study that it would join, so that nobody adds to what he cannot see.
    A refusal is the same whether the study is there or not.
    """

    def __init__(self, index: Index, scope: Scope) -> None:
        self._index = index
        self._scope = scope
        self._foreign: dict[tuple[str, str], bool] = {}

    def admits(self, parsed: ParsedInstance) -> bool:
        """Whether the instance may be stored."""
        if self._scope.everything:
            return True
        if not self._scope.admits(parsed.attributes):
            return False
        key = (parsed.patient_id, parsed.study_uid)
        if key not in self._foreign:
            self._foreign[key] = self._is_foreign(*key)
        return not self._foreign[key]

    def _is_foreign(self, patient_id: str, study_uid: str) -> bool:
        """Whether there is such a study outside. That of another patient is another study."""
        query = Query(
            QueryLevel.STUDY, (Condition((sets.STUDY_INSTANCE_UID,), "UI", Equals(study_uid)),)
        )
        inside = {found.row for found in self._index.search(query, self._scope)}
        outside = [f for f in self._index.search(query, EVERYTHING) if f.row not in inside]
        return any(_patient_of(found) == plain(patient_id) for found in outside)


def _patient_of(found: Found) -> str:
    """The PatientID of a study that was found: the first value is what identifies it."""
    answer = load_header(found.answer)
    values = answer.get(sets.PATIENT_ID, {}).get("Value") or [""]
    return plain(str(values[0] or ""))
