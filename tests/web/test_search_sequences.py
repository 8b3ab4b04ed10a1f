"""QIDO-RS by keys inside of sequences: keys of one sequence hold for one item (PS3.4, C.2.2.2.6)."""

import pytest
from pydicom import Dataset

from dicomweb_server.testing.dicom import make_dataset, make_instance, write_dataset
from tests.conftest import values

STUDY = "0020000D"
STEP = "RequestAttributesSequence.ScheduledProcedureStepID"
PROCEDURE = "RequestAttributesSequence.RequestedProcedureID"
CODE = "RequestAttributesSequence.ScheduledProtocolCodeSequence.CodeValue"
SCHEME = "RequestAttributesSequence.ScheduledProtocolCodeSequence.CodingSchemeDesignator"


def code(value, scheme):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, scheme
    return item


def request(step, procedure, *codes):
    item = Dataset()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = step, procedure
    item.ScheduledProtocolCodeSequence = list(codes)
    return item


@pytest.fixture
def archive(client):
    """1.1 has each pair of values in one item, 1.2 in different ones."""
    together = [
        request("A", "B", code("x", "SCT"), code("y", "DCM")),
        request("C", "D", code("z", "LN")),
    ]
    apart = [
        request("A", "D", code("x", "DCM"), code("y", "SCT")),
        request("C", "B", code("x", "LN"), code("z", "SCT")),
    ]
    client.stored(
        make_instance(StudyInstanceUID="1.1", RequestAttributesSequence=together),
        make_instance(StudyInstanceUID="1.2", RequestAttributesSequence=apart),
        make_instance(StudyInstanceUID="1.3", RequestAttributesSequence=[]),
    )
    return client


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({STEP: "A"}, ["1.1", "1.2"]),
        ({PROCEDURE: "B"}, ["1.1", "1.2"]),
        ({STEP: "A", PROCEDURE: "B"}, ["1.1"]),
        ({STEP: "A", PROCEDURE: "D"}, ["1.2"]),
        ({STEP: "A", PROCEDURE: ""}, ["1.1", "1.2"]),
        ({CODE: "x", SCHEME: "SCT"}, ["1.1"]),
        ({CODE: "x", SCHEME: "LN"}, ["1.2"]),
        ({STEP: "A", CODE: "x", SCHEME: "LN"}, []),
        ({STEP: "C", CODE: "x", SCHEME: "LN"}, ["1.2"]),
        ({STEP: "C", CODE: "z"}, ["1.1", "1.2"]),
        ({STEP: "C", PROCEDURE: "D", CODE: "z"}, ["1.1"]),
        ({STEP: '""', PROCEDURE: '""', "emptyvaluematching": "true"}, ["1.3"]),
        ({STEP: '""', PROCEDURE: "B", "emptyvaluematching": "true"}, []),
    ],
)
@pytest.mark.parametrize("path", ["/studies", "/series", "/instances"])
def test_keys_of_one_sequence_hold_for_one_item(archive, path, keys, found):
    assert values(archive.found(path, **keys), STUDY) == found


def test_the_total_counts_what_is_found(archive):
    answer = archive.get(f"/studies?{STEP}=A&{PROCEDURE}=B&totalcount=true&limit=1")
    assert answer.headers["X-Total-Count"] == "1"


def test_keys_of_different_sequences_need_not_be_in_one_item(client):
    data = make_dataset(StudyInstanceUID="1.1")
    data.RequestAttributesSequence = [request("A", "B")]
    data.ProcedureCodeSequence = [code("x", "SCT")]
    client.stored(write_dataset(data))
    keys = {STEP: "A", "ProcedureCodeSequence.CodeValue": "x"}
    assert values(client.found(**keys), STUDY) == ["1.1"]


def test_a_private_attribute_of_an_item_is_found_in_its_own_block(client):
    """In one item ACME has a block, in the other somebody else has the same."""
    items = []
    for creator, step in (("ACME", "A"), ("OTHER", "B")):
        item = request(step, "P")
        item.add_new(0x00090010, "LO", creator)
        item.add_new(0x00091001, "LO", "red")
        items.append(item)
    client.stored(make_instance(StudyInstanceUID="1.1", RequestAttributesSequence=items))
    prefix = "RequestAttributesSequence"
    private = {f"{prefix}.00090010": "ACME", f"{prefix}.00091001": "red"}
    assert len(client.found(**private, **{STEP: "A"})) == 1
    assert client.found(**private, **{STEP: "B"}) == []


def private(uid, block, *codes):
    """An instance with a sequence of ACME in a block, an item for each code and scheme."""
    data = make_dataset(StudyInstanceUID=uid)
    data.add_new((0x0009, block), "LO", "ACME")
    data.add_new((0x0009, block << 8 | 2), "SQ", [code(*each) for each in codes])
    return write_dataset(data)


def test_private_sequences(client):
    client.stored(
        private("2.1", 0x10, ("x", "SCT"), ("y", "DCM")), private("2.2", 0x22, ("x", "DCM"))
    )

    def found(**keys):
        return sorted(values(client.found("/studies", **keys), STUDY))

    value, scheme = "00091002.CodeValue", "00091002.CodingSchemeDesignator"
    assert found(**{value: "x"}) == ["2.1"]
    acme = {"00090010": "ACME"}
    assert found(**acme, **{value: "x"}) == ["2.1", "2.2"]
    assert found(**acme, **{value: "x", scheme: "DCM"}) == ["2.2"]
    assert found(**acme, **{value: "y", scheme: "SCT"}) == []
    (shown,) = client.found("/studies", **acme, **{value: "x", scheme: "DCM"})
    assert shown["00092202"]["Value"][0]["00080100"]["Value"] == ["x"]
    assert shown["00090022"]["Value"] == ["ACME"]


@pytest.mark.dicomweb_config({"Dictionary": {"0009,1001": ["LO", "WardOfAcme", 1, 1, "ACME"]}})
def test_a_private_attribute_that_is_declared_is_no_sequence(client):
    answer = client.get("/studies?00090010=ACME&00091001.CodeValue=x")
    assert answer.status_code == 400
    assert "not a sequence" in answer.json["Details"]
