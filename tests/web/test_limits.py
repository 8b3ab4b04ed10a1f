"""An archive that is full: who has to go, who stays, and who is told that there is no room."""

import logging
import os
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from dicomweb_server.dicom import orthanc_ids
from dicomweb_server.services.ingest import batch as batches
from dicomweb_server.testing.apps import context_of, temporary_app
from dicomweb_server.testing.dicom import make_instance, make_study, multipart_body, path_of
from dicomweb_server.testing.server import RunningServer
from tests.commands import command

PIXELS = bytes(300_000)
"""Three instances of these are less than a MiB, four are more."""
one_mib = pytest.mark.dicomweb_config({"MaximumStorageSize": 1})
two_patients = pytest.mark.dicomweb_config({"MaximumPatientCount": 2})


def instance(patient, **attributes):
    return make_instance(PatientID=patient, pixels=PIXELS, **attributes)


def patients(client):
    return sorted({study["00100020"]["Value"][0] for study in client.found("/studies")})


def orthanc(patient):
    return orthanc_ids(patient, "", "", "").patient


def refused(answer):
    """The failure reasons of what was not stored."""
    return [
        item["00081197"]["Value"][0] for item in answer.json.get("00081198", {}).get("Value", [])
    ]


def blobs(tmp_path):
    return [path for path in tmp_path.rglob("instances/*/*/*") if path.is_file()]


# --- Recycle -------------------------------------------------------------------------------


@one_mib
def test_the_patient_that_was_not_stored_to_for_longest_goes_wholly(client, tmp_path):
    first = make_study(series=1, instances=1, PatientID="A", pixels=PIXELS)
    client.stored(*first, instance("B"))
    client.stored(instance("A"))  # A has two studies, and is younger than B now
    client.stored(instance("C"))
    assert patients(client) == ["A", "C"]
    client.stored(instance("D"))
    assert patients(client) == ["C", "D"]
    assert client.original(first[0]).status_code == 404
    assert len(blobs(tmp_path)) == 2


@two_patients
def test_the_number_of_patients_is_kept(client):
    for patient in "ABCB":
        client.stored(instance(patient))
    assert patients(client) == ["B", "C"]
    client.stored(instance("D"))
    assert patients(client) == ["B", "D"]


@two_patients
def test_what_is_here_already_pushes_nobody_out(client):
    data = instance("A")
    client.stored(data)
    client.stored(instance("B"))
    client.stored(data)
    client.stored(instance("A"))
    assert patients(client) == ["A", "B"]


@one_mib
def test_sending_again_to_a_full_archive_pushes_nobody_out(client):
    files = [instance(patient) for patient in "ABC"]
    client.stored(*files)
    for data in files:
        client.stored(data)
    assert patients(client) == ["A", "B", "C"]


@one_mib
def test_a_patient_does_not_make_room_for_itself(client, tmp_path):
    client.stored(instance("A"), instance("A"), instance("B"))
    answer = client.store(*(instance("A") for _ in range(3)))
    assert answer.status_code == 202
    assert refused(answer) == [0xA700, 0xA700]
    assert patients(client) == ["A"]
    assert len(blobs(tmp_path)) == 3


@one_mib
def test_what_is_larger_than_the_archive_deletes_nobody(client, tmp_path):
    client.stored(instance("A"))
    answer = client.store(make_instance(PatientID="B", pixels=bytes(2 << 20)))
    assert answer.status_code == 507
    assert refused(answer) == [0xA700]
    assert "MaximumStorageSize" in answer.headers["Warning"]
    assert patients(client) == ["A"]
    assert len(blobs(tmp_path)) == 1


@one_mib
def test_who_was_pushed_out_stands_in_the_log_by_identifier(client, caplog):
    client.stored(*(instance(patient) for patient in "ABC"))
    with caplog.at_level(logging.INFO, "dicomweb_server"):
        client.stored(instance("D"))
    assert orthanc("A") in caplog.text


@one_mib
def test_a_request_that_goes_on_keeps_what_it_has_stored(client, monkeypatch):
    monkeypatch.setattr(batches, "BATCH_PARTS", 1)
    # A is the oldest when C comes, and stays, since the request that stored it is not over.
    answer = client.store(*(instance(patient) for patient in "ABCD"))
    assert answer.status_code == 202
    assert patients(client) == ["A", "B", "C"]
    assert client.store(instance("E")).status_code == 200
    assert patients(client) == ["B", "C", "E"]


@one_mib
def test_a_request_that_was_given_up_keeps_nothing(client, monkeypatch):
    monkeypatch.setattr(batches, "BATCH_PARTS", 1)
    body, content_type = multipart_body([instance(patient) for patient in "ABC"])
    client.post(body[:-100_000], content_type)
    client.stored(instance("C"), instance("D"))
    assert patients(client) == ["B", "C", "D"]


# --- protection ----------------------------------------------------------------------------


@two_patients
def test_a_protected_patient_stays(client):
    client.stored(instance("A"), instance("B"))
    url = f"/patients/{orthanc('A')}/protected"
    assert client.flask.get(url).data == b"0"
    assert client.flask.put(url, data="1").status_code == 200
    assert client.flask.get(url).data == b"1"
    client.stored(instance("C"))
    assert patients(client) == ["A", "C"]
    assert client.flask.put(url, data=b"0").status_code == 200
    client.stored(instance("D"))
    assert patients(client) == ["C", "D"]
    assert client.flask.get(url).status_code == 404
    assert client.flask.put(url, data="1").status_code == 404


@two_patients
def test_what_a_request_was_told_to_be_stored_is_not_pushed_out_by_the_rest_of_it(client):
    client.stored(instance("A"), instance("B"))
    client.flask.put(f"/patients/{orthanc('A')}/protected", data="1")
    answer = client.store(*(instance(patient) for patient in "CDEF"))
    assert answer.status_code == 202
    assert refused(answer) == [0xA700] * 3
    assert len(answer.json["00081199"]["Value"]) == 1
    assert patients(client) == ["A", "C"]


@one_mib
def test_a_request_larger_than_the_archive_keeps_what_it_was_told(client):
    client.stored(instance("A"))
    answer = client.store(*(instance(patient) for patient in "BCDEFG"))
    assert answer.status_code == 202
    told = answer.json["00081199"]["Value"]
    assert len(told) == len(client.found("/instances"))
    assert len(told) + len(refused(answer)) == 6


@two_patients
def test_where_all_are_protected_there_is_no_room(client):
    client.stored(instance("A"), instance("B"))
    for patient in "AB":
        client.flask.put(f"/patients/{orthanc(patient)}/protected", data="1")
    answer = client.store(instance("C"))
    assert answer.status_code == 507
    assert client.store(instance("A")).status_code == 200


def test_protection_is_yes_or_no(client):
    client.stored(instance("A"))
    answer = client.flask.put(f"/patients/{orthanc('A')}/protected", data="maybe")
    assert answer.status_code == 400
    assert "maybe" in answer.json["Details"]


@pytest.mark.dicomweb_config({"ReadOnly": True})
def test_what_is_read_only_cannot_be_protected(client):
    assert client.flask.put("/patients/x/protected", data="1").status_code == 405


# --- Reject --------------------------------------------------------------------------------


@pytest.mark.dicomweb_config({"MaximumStorageSize": 1, "MaximumStorageMode": "Reject"})
def test_reject_stores_what_fits_and_deletes_nobody(client, tmp_path):
    answer = client.store(*(instance(patient) for patient in "ABCDE"))
    assert answer.status_code == 202
    assert refused(answer) == [0xA700, 0xA700]
    assert client.store(instance("F")).status_code == 507
    assert client.store(make_instance(PatientID="G")).status_code == 200
    assert patients(client) == ["A", "B", "C", "G"]
    assert len(blobs(tmp_path)) == 4


@pytest.mark.dicomweb_config({"MaximumPatientCount": 1, "MaximumStorageMode": "Reject"})
def test_reject_takes_more_of_a_patient_that_is_here(client):
    client.stored(instance("A"))
    client.stored(instance("A"))
    answer = client.store(instance("B"))
    assert answer.status_code == 507
    assert "MaximumPatientCount" in answer.headers["Warning"]


# --- room on the disk ----------------------------------------------------------------------


@pytest.fixture
def free(monkeypatch):
    """Sets how many MiB the disk has left."""
    Status = namedtuple("Status", "f_bavail f_frsize")

    def setter(mebibytes):
        monkeypatch.setattr(os, "statvfs", lambda _: Status(mebibytes, 1 << 20))

    return setter


@pytest.mark.dicomweb_config({"MinimumFreeSpaceMB": 100})
def test_the_disk_is_never_filled_wholly(client, free, tmp_path):
    free(99)
    answer = client.store(instance("A"))
    assert answer.status_code == 507
    assert refused(answer) == [0xA700]
    assert "MinimumFreeSpaceMB" in answer.headers["Warning"]
    assert blobs(tmp_path) == []
    free(100)
    assert client.store(instance("A")).status_code == 200


# --- what cannot be asked ------------------------------------------------------------------


@one_mib
def test_a_state_store_that_is_gone_stores_nothing(client, dicomweb_context, monkeypatch, tmp_path):
    from dicomweb_server.interfaces.state import StateError

    def gone(*_):
        raise StateError("the state store is gone")

    client.stored(*(instance(patient) for patient in "ABC"))
    monkeypatch.setattr(dicomweb_context.state, "acquire", gone)
    answer = client.store(instance("D"))
    assert answer.status_code == 503
    assert len(blobs(tmp_path)) == 3


# --- several processes ---------------------------------------------------------------------


@pytest.mark.slow
def test_several_processes_recycle_without_contradictions(tmp_path):
    with RunningServer({"MaximumStorageSize": 2}, folder=tmp_path, workers=2) as server:

        def store(number):
            files = make_study(series=1, instances=2, PatientID=f"P{number}", pixels=bytes(150_000))
            body, content_type = multipart_body(files)
            answer = httpx.post(
                f"{server.url}studies",
                content=body,
                headers={"Content-Type": content_type},
                timeout=60,
            )
            return answer.status_code, files

        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(store, range(40)))
        assert {status for status, _ in results} == {200}
        studies = httpx.get(f"{server.url}studies").json()
        # A patient is there wholly, or not at all.
        assert {study["00201208"]["Value"][0] for study in studies} == {2}
        assert 3 <= len(studies) <= 8
        for data in results[-1][1]:
            raw = {"Accept": "application/dicom; transfer-syntax=*"}
            assert httpx.get(f"{server.url}{path_of(data)}", headers=raw).status_code == 200
        checked = command(server, "check")
        assert checked.exit_code == 0, checked.stdout


def test_a_lease_that_is_taken_is_waited_for(tmp_path):
    with temporary_app(tmp_path, {"MaximumPatientCount": 1}) as app:
        state = context_of(app).state
        assert state.acquire("make-room", "another process", 1)
        client = app.test_client()
        for patient in "AB":
            answer = client.post(
                "/dicom-web/studies", data=instance(patient), content_type="application/dicom"
            )
            assert answer.status_code == 200
        assert context_of(app).index.statistics().patients == 1
