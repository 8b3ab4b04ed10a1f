"""Only enrolled patients come in, marked; by the tests that dicomweb-server brings, and its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import dicomweb_example_research
from dicomweb_example_research.enrolments import Enrolments
from dicomweb_server.context import ServerContext
from dicomweb_server.interfaces.ingest import IngestFilter
from dicomweb_server.testing.contracts import IngestFilterContract
from dicomweb_server.testing.dicom import make_instance, path_of, read

ORIGINAL = {"Accept": "application/dicom; transfer-syntax=*"}
SUBJECTS = "/research/subjects"


@pytest.fixture
def dicomweb_extensions() -> Sequence[tuple[str, object]]:
    """What the server of a test loads: this extension, installed or not."""
    return [("example-research", dicomweb_example_research)]


@pytest.fixture
def dicomweb_config() -> Mapping[str, Any]:
    """The configuration of that server."""
    return {"IngestFilters": ["research"], "Research": {"Protocol": "ACME-1"}}


def store(client: FlaskClient, data: bytes) -> TestResponse:
    return client.post("/dicom-web/studies", data=data, content_type="application/dicom")


def enrol(client: FlaskClient, subject: str, patient_id: object) -> int:
    return client.put(f"{SUBJECTS}/{subject}", json={"PatientID": patient_id}).status_code


class TestContract(IngestFilterContract):
    @pytest.fixture(params=[True, False], ids=["enrolled", "stranger"])
    def ingest_filter(
        self, dicomweb_context: ServerContext, request: pytest.FixtureRequest
    ) -> IngestFilter:
        """The filter of a server that knows the patient of the contract, or does not."""
        if request.param:
            Enrolments(dicomweb_context.state).enrol("S-1", "P1")
        (desk,) = dicomweb_context.providers.ingest_filters.values()
        return desk


def test_only_enrolled_patients_come_in(dicomweb_client: FlaskClient) -> None:
    data = make_instance(PatientID="1CT1", ClinicalTrialSubjectID="old")
    assert store(dicomweb_client, data).status_code == 409
    assert enrol(dicomweb_client, "S-007", "1CT1") == 200
    assert store(dicomweb_client, data).status_code == 202
    kept = read(dicomweb_client.get(f"/dicom-web/{path_of(data)}", headers=ORIGINAL).data)
    assert (kept.ClinicalTrialProtocolID, kept.ClinicalTrialSubjectID) == ("ACME-1", "S-007")
    original = kept.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert original.ClinicalTrialSubjectID == "old"
    assert dicomweb_client.delete(f"{SUBJECTS}/S-007").status_code == 204
    assert store(dicomweb_client, make_instance(PatientID="1CT1")).status_code == 409


def test_what_is_marked_already_is_kept_as_it_is(dicomweb_client: FlaskClient) -> None:
    data = make_instance(
        PatientID="1CT1", ClinicalTrialProtocolID="ACME-1", ClinicalTrialSubjectID="S-007"
    )
    enrol(dicomweb_client, "S-007", "1CT1")
    assert store(dicomweb_client, data).status_code == 200
    assert dicomweb_client.get(f"/dicom-web/{path_of(data)}", headers=ORIGINAL).data == data


def test_a_patient_has_one_number_and_a_number_one_patient(dicomweb_client: FlaskClient) -> None:
    assert enrol(dicomweb_client, "S-1", "A") == 200
    assert enrol(dicomweb_client, "S-1", "A") == 200
    assert enrol(dicomweb_client, "S-1", "B") == 409
    assert enrol(dicomweb_client, "S-2", "A") == 409
    assert dicomweb_client.get(SUBJECTS).json == [{"Subject": "S-1"}]
    assert enrol(dicomweb_client, "S-2", "B") == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"PatientID": 7}', b'{"PatientID": " "}']
)
def test_a_body_that_is_none_is_refused_with_an_example(
    dicomweb_client: FlaskClient, body: bytes
) -> None:
    answer = dicomweb_client.put(f"{SUBJECTS}/S-1", data=body)
    assert answer.status_code == 400
    assert '{"PatientID": "1CT1"}' in answer.get_json()["Details"]


def test_what_is_not_there_cannot_be_withdrawn(dicomweb_client: FlaskClient) -> None:
    assert dicomweb_client.delete(f"{SUBJECTS}/S-9").status_code == 404
    assert enrol(dicomweb_client, "a%20b", "A") == 400


LOGIN = {"AuthenticationEnabled": True, "RegisteredUsers": {"alice": "secret"}}


class TestLockedServer:
    @pytest.fixture
    def dicomweb_config(self) -> Mapping[str, Any]:
        """A server at which one must log in."""
        return LOGIN

    def test_strangers_learn_nothing(self, dicomweb_client: FlaskClient) -> None:
        assert dicomweb_client.get(SUBJECTS).status_code == 401
        assert enrol(dicomweb_client, "S-1", "A") == 401
        assert dicomweb_client.get(SUBJECTS, auth=("alice", "secret")).json == []
