"""The answer to a store request: payload (PS3.18, annex I) and status (table 10.5.3-1)."""

import orjson
import pytest

from dicomweb_server.ps318 import store_response as sr
from dicomweb_server.ps318.store_response import (
    FailedInstance,
    OtherFailure,
    StoredInstance,
    StoreResponse,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
STORED = StoredInstance(CT, "1.1", "http://h/studies/1/series/2/instances/1.1")
WARNED = StoredInstance(CT, "1.2", "http://h/x", sr.COERCION_OF_DATA_ELEMENTS)
WRONG_STUDY = FailedInstance(CT, "1.3", sr.PROCESSING_FAILURE)
FULL = FailedInstance(CT, "1.4", sr.OUT_OF_RESOURCES)
NO_UID = FailedInstance(CT, "1.5", sr.CANNOT_UNDERSTAND)
RUBBISH = OtherFailure()

STATUS = [
    ("all stored", [STORED], [], [], 200),
    ("stored with a warning", [STORED, WARNED], [], [], 202),
    ("some failed", [STORED], [WRONG_STUDY], [], 202),
    ("some are no DICOM", [STORED], [], [RUBBISH], 202),
    ("some did not fit", [STORED], [FULL], [], 202),
    ("nothing sent", [], [], [], 400),
    ("no DICOM", [], [], [RUBBISH], 400),
    ("no UID", [], [NO_UID], [RUBBISH], 400),
    ("full", [], [FULL, FULL], [], 507),
    ("full for what could not be identified", [], [], [OtherFailure(sr.OUT_OF_RESOURCES)], 507),
    ("wrong study", [], [WRONG_STUDY], [], 409),
    ("full and wrong study", [], [FULL, WRONG_STUDY], [], 409),
    ("wrong study and no DICOM", [], [WRONG_STUDY], [RUBBISH], 409),
    ("full and no DICOM", [], [FULL], [RUBBISH], 409),
]


@pytest.mark.parametrize(
    ("stored", "failed", "other", "status"), [pytest.param(*s[1:], id=s[0]) for s in STATUS]
)
def test_status(stored, failed, other, status):
    assert StoreResponse(None, tuple(stored), tuple(failed), tuple(other)).status() == status


def test_payload_of_a_success():
    answer = StoreResponse("http://h/studies/1", (STORED,)).to_json()
    assert answer == {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
        "00081190": {"vr": "UR", "Value": ["http://h/studies/1"]},
        "00081199": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": [CT]},
                    "00081155": {"vr": "UI", "Value": ["1.1"]},
                    "00081190": {"vr": "UR", "Value": [STORED.retrieve_url]},
                }
            ],
        },
    }
    assert list(answer) == sorted(answer)


def test_payload_of_failures():
    failed = FailedInstance("", "1.3", sr.PROCESSING_FAILURE)
    answer = StoreResponse(None, (), (failed,), (RUBBISH,)).to_json()
    assert "00081190" not in answer
    assert answer["00081199"] == {"vr": "SQ"}
    assert answer["00081198"]["Value"] == [
        {
            "00081150": {"vr": "UI"},
            "00081155": {"vr": "UI", "Value": ["1.3"]},
            "00081197": {"vr": "US", "Value": [272]},
        }
    ]
    assert answer["0008119A"]["Value"] == [{"00081197": {"vr": "US", "Value": [49152]}}]
    assert orjson.loads(orjson.dumps(answer)) == answer


def test_warnings_are_told():
    (item,) = StoreResponse("http://h", (WARNED,)).to_json()["00081199"]["Value"]
    assert item["00081196"] == {"vr": "US", "Value": [0xB000]}


def test_every_reason_has_a_meaning():
    names = {name for name in vars(sr) if name.isupper() and name != "MEANINGS"}
    assert {getattr(sr, name) for name in names} == set(sr.MEANINGS)
