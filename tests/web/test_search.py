"""QIDO-RS: what is found, what it looks like, and what is refused."""

import json
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.query import QueryLevel
from dicomweb_server.services import SCAN_LIMIT
from dicomweb_server.testing.dicom import (
    BIG_ENDIAN,
    EXPLICIT,
    make_dataset,
    make_instance,
    make_study,
    new_uid,
    split_multipart,
    uids_of,
    write_dataset,
)
from tests.conftest import values

SCAN = SCAN_LIMIT.name
STUDY, SERIES, SOP = "0020000D", "0020000E", "00080018"


@pytest.fixture
def archive(client):
    """Three studies: of Jane (CT and MR), of Jörg, and of somebody without any attribute."""
    uids = {"StudyInstanceUID": "1.1"}
    client.stored(
        *(
            make_instance(
                **uids,
                PatientID="P1",
                PatientName="Doe^Jane",
                StudyDate="20200101",
                StudyTime="101500",
                AccessionNumber="A1",
                StudyDescription="Head",
                Modality=modality,
                SeriesInstanceUID=f"1.1.{number}",
                SeriesNumber=number,
                InstanceNumber=instance,
                SOPInstanceUID=f"1.1.{number}.{instance}",
                SliceThickness="2.5",
                Manufacturer="ACME",
                KVP=str(100 + instance),
                OtherPatientIDs="X",
            )
            for number, modality in ((1, "CT"), (2, "MR"))
            for instance in (1, 2, 3)
        )
    )
    client.stored(
        make_instance(
            StudyInstanceUID="1.2",
            SeriesInstanceUID="1.2.1",
            SOPInstanceUID="1.2.1.1",
            PatientID="P2",
            PatientName="Müller^Jörg",
            StudyDate="20210615",
            Modality="US",
        )
    )
    client.stored(
        make_instance(
            StudyInstanceUID="1.3",
            SeriesInstanceUID="1.3.1",
            SOPInstanceUID="1.3.1.1",
            PatientID=None,
            PatientName=None,
            Modality=None,
        )
    )
    return client


def studies(client, **keys):
    return sorted(values(client.found(**keys), STUDY))


# --- keys ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({}, ["1.1", "1.2", "1.3"]),
        ({"PatientID": "P1"}, ["1.1"]),
        ({"00100020": "P1"}, ["1.1"]),
        ({"0010,0020": "P1"}, ["1.1"]),
        ({"PatientID": "p1"}, []),
        ({"PatientName": "doe^jane"}, ["1.1"]),
        ({"PatientName": "doe*"}, ["1.1"]),
        ({"PatientName": "*jörg"}, ["1.2"]),
        ({"PatientID": "P?"}, ["1.1", "1.2"]),
        ({"PatientID": "*"}, ["1.1", "1.2", "1.3"]),
        ({"PatientID": ""}, ["1.1", "1.2", "1.3"]),
        ({"StudyDate": "20200101"}, ["1.1"]),
        ({"StudyDate": "20200101-20210615"}, ["1.1", "1.2"]),
        ({"StudyDate": "20200102-"}, ["1.2"]),
        ({"StudyDate": "-20200101"}, ["1.1"]),
        ({"StudyTime": "1015"}, ["1.1"]),
        ({"StudyTime": "10-11"}, ["1.1"]),
        ({"StudyDate": "20200101", "StudyTime": "1015"}, ["1.1"]),
        ({"StudyInstanceUID": "1.1"}, ["1.1"]),
        ({"StudyInstanceUID": "1.1,1.3"}, ["1.1", "1.3"]),
        ({"StudyInstanceUID": "1.1\\1.3"}, ["1.1", "1.3"]),
        ({"StudyInstanceUID": "1."}, []),
        ({"ModalitiesInStudy": "MR"}, ["1.1"]),
        ({"ModalitiesInStudy": "US"}, ["1.2"]),
        ({"AccessionNumber": "A1", "PatientID": "P2"}, []),
        # attributes of the levels below: any child will do
        ({"Modality": "MR"}, ["1.1"]),
        ({"SeriesNumber": "2"}, ["1.1"]),
        ({"SOPInstanceUID": "1.2.1.1"}, ["1.2"]),
        ({"InstanceNumber": "3"}, ["1.1"]),
        # not indexed: answered from the headers
        ({"SliceThickness": "2.5"}, ["1.1"]),
        ({"KVP": "103"}, ["1.1"]),
        ({"KVP": "104"}, []),
        ({"OtherPatientIDs": "X"}, ["1.1"]),
        ({"KVP": "101", "StudyDate": "20210101-"}, []),
    ],
    ids=str,
)
def test_studies_are_found_by_keys(archive, keys, found):
    assert studies(archive, **keys) == found


@pytest.mark.dicomweb_config({"DicomWeb": {"QidoCaseSensitive": False}})
def test_case_may_be_ignored(archive):
    assert studies(archive, PatientID="p1") == ["1.1"]
    assert studies(archive, StudyDescription="head") == ["1.1"]


@pytest.mark.parametrize(
    ("path", "keys", "count"),
    [
        ("/series", {}, 4),
        ("/series", {"Modality": "CT"}, 1),
        ("/series", {"PatientID": "P1"}, 2),
        ("/series", {"StudyDate": "20200101", "Modality": "M*"}, 1),
        ("/studies/1.1/series", {}, 2),
        ("/studies/1.1/series", {"Modality": "US"}, 0),
        ("/studies/9/series", {}, 0),
        ("/instances", {}, 8),
        ("/instances", {"Modality": "CT"}, 3),
        ("/instances", {"PatientID": "P1", "InstanceNumber": "2"}, 2),
        ("/studies/1.1/instances", {}, 6),
        ("/studies/1.1/instances", {"KVP": "103"}, 2),
        ("/studies/1.1/series/1.1.2/instances", {}, 3),
        ("/studies/1.2/series/1.1.2/instances", {}, 0),
    ],
    ids=str,
)
def test_series_and_instances_are_found(archive, path, keys, count):
    assert len(archive.found(path, **keys)) == count


def test_unknown_parameters_are_ignored(archive):
    assert len(archive.found(nonsense="x", _="123")) == 3


def test_the_last_of_repeated_keys_wins(archive):
    answer = archive.get("/studies?PatientID=P1&PatientID=P2")
    assert values(json.loads(answer.data), STUDY) == ["1.2"]


def test_nothing_found_is_an_empty_list(archive):
    answer = archive.get("/studies?PatientID=nobody")
    assert (answer.status_code, answer.data) == (200, b"[]")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("StudyDate", "yesterday"),
        ("StudyDate", "20201301"),
        ("StudyDate", "20200101-x"),
        ("StudyDate", "20210101-20200101-20190101"),
        ("StudyTime", "25"),
        ("SeriesNumber", "one"),
        ("Rows", "-x"),
        ("limit", "many"),
        ("limit", "-1"),
        ("offset", "-1"),
        ("offset", "1.5"),
        ("99980010", "x"),
        ("00100020.", "x"),
    ],
)
def test_what_cannot_be_is_400_and_named(archive, key, value):
    answer = archive.flask.get("/dicom-web/studies", query_string={key: value})
    assert answer.status_code == 400
    assert key in answer.json["Details"] or value in answer.json["Details"]


def test_text_of_any_kind_is_only_text(archive):
    for text in ("'; DROP TABLE studies; --", "%", "_", "a\0b", "🫀" * 50, "[", "("):
        assert archive.found(PatientID=text) == []
        assert archive.found(StudyDescription=text) == []
    assert len(archive.found()) == 3


# --- what the answers hold -----------------------------------------------------------------


def test_a_study_has_what_viewers_read_blindly(archive):
    (full,) = archive.found(StudyInstanceUID="1.1")
    (empty,) = archive.found(StudyInstanceUID="1.3")
    required = {
        "00080020": "DA",
        "00080030": "TM",
        "00080050": "SH",
        "00080061": "CS",
        "00080090": "PN",
        "00100010": "PN",
        "00100020": "LO",
        "00100030": "DA",
        "00100040": "CS",
        "0020000D": "UI",
        "00200010": "SH",
        "00201206": "IS",
        "00201208": "IS",
    }
    for tag, vr in required.items():
        assert full[tag]["vr"] == vr
        assert empty[tag]["vr"] == vr
    assert "Value" not in empty["00100010"]
    assert full["00080061"]["Value"] == ["CT", "MR"]
    assert (full["00201206"]["Value"], full["00201208"]["Value"]) == ([2], [6])
    assert full["00081190"] == {"vr": "UR", "Value": ["http://localhost/dicom-web/studies/1.1"]}
    assert full["00080056"]["Value"] == ["ONLINE"]
    assert full["00080005"]["Value"] == ["ISO_IR 192"]
    assert list(full) == sorted(full)


def test_a_series_has_its_required_attributes(archive):
    (found,) = archive.found("/series", SeriesInstanceUID="1.1.2")
    assert found["00080060"]["Value"] == ["MR"]
    assert found[SERIES]["Value"] == ["1.1.2"]
    assert found["00200011"]["Value"] == [2]
    assert found["00201209"]["Value"] == [3]
    assert found["00081190"]["Value"] == ["http://localhost/dicom-web/studies/1.1/series/1.1.2"]
    assert found[STUDY]["Value"] == ["1.1"]


def test_an_instance_has_its_required_attributes(archive):
    (found,) = archive.found("/instances", SOPInstanceUID="1.1.2.3")
    assert found[SOP]["Value"] == ["1.1.2.3"]
    assert found["00080016"]["Value"] == ["1.2.840.10008.5.1.4.1.1.7"]
    assert found["00200013"]["Value"] == [3]
    assert found["00083002"]["Value"] == [EXPLICIT]
    url = "http://localhost/dicom-web/studies/1.1/series/1.1.2/instances/1.1.2.3"
    assert found["00081190"]["Value"] == [url]


@pytest.mark.parametrize("level", ["/studies", "/series", "/instances"])
def test_keys_and_includefields_are_in_the_answer(archive, level):
    keys = "PatientID=P1&includefield=Manufacturer&includefield=StudyDescription,KVP"
    for found in json.loads(archive.get(f"{level}?{keys}").data):
        assert found["00100020"]["Value"] == ["P1"]
        assert found["00080070"]["Value"] == ["ACME"]
        assert found["00081030"]["Value"] == ["Head"]
        assert found["00180060"]["Value"][0] in ("101", "102", "103")


def test_includefield_of_what_is_not_there(archive):
    (found,) = archive.found(StudyInstanceUID="1.3", includefield="StudyDescription")
    assert "Value" not in found.get("00081030", {})


def test_includefield_all_of_an_instance_is_its_whole_header(archive):
    (found,) = archive.found("/instances", SOPInstanceUID="1.1.1.1", includefield="all")
    metadata = archive.get("/studies/1.1/series/1.1.1/instances/1.1.1.1/metadata").json[0]
    assert metadata.keys() <= found.keys()
    assert {tag: found[tag] for tag in metadata} == metadata


@pytest.mark.parametrize("level", ["/studies", "/series"])
def test_includefield_all_adds(archive, level):
    few, all_ = (archive.found(level, includefield=i, PatientID="P1") for i in ("", "all"))
    for before, after in zip(few, all_, strict=True):
        assert before.keys() <= after.keys()
        assert "00081030" in after


def test_pixel_data_never_is_in_an_answer(client):
    client.stored(make_instance(pixels=bytes(100)))
    (found,) = client.found("/instances", includefield="all")
    assert "Value" not in found.get("7FE00010", {})
    assert "InlineBinary" not in found.get("7FE00010", {})


def test_a_sequence_is_empty_when_it_has_no_items(client):
    item = Dataset()
    item.ScheduledProcedureStepID = "STEP7"
    for uid, items in (("1.1", [item]), ("1.2", []), ("1.3", None)):
        client.stored(make_instance(StudyInstanceUID=uid, RequestAttributesSequence=items))
    found = client.found(RequestAttributesSequence='""', emptyvaluematching="true")
    assert values(found, "0020000D") == ["1.2", "1.3"]


def test_a_private_key_without_a_value_is_in_the_answer(client):
    data = make_dataset(StudyInstanceUID="1.1")
    data.add_new(0x00990010, "LO", "ACME")
    data.add_new(0x00991001, "LO", "red")
    client.stored(write_dataset(data))
    (found,) = client.found(**{"00990010": "ACME", "00991001": ""})
    assert values([found], "00990010") == ["ACME"]
    assert values([found], "00991001") == ["red"]


def test_sequences_can_be_searched_and_included(client):
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ScheduledProcedureStepID = "STEP7"
    data = make_instance(RequestAttributesSequence=[item])
    client.stored(data, make_instance())
    (found,) = client.found(
        "/series", **{"RequestAttributesSequence.ScheduledProcedureStepID": "STEP7"}
    )
    assert found[SERIES]["Value"] == [uids_of(data)[1]]
    assert found["00400275"]["Value"][0]["00400009"]["Value"] == ["STEP7"]


def test_other_scripts_survive(client):
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    client.stored(make_instance(PatientName=name, PatientID="山"))
    for key in ("yamada*", "*太郎", "やまだ*"):
        (found,) = client.found(PatientName=key)
        assert found["00100010"]["Value"] == [
            {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
        ]
    assert len(client.found(PatientID="山")) == 1


@pytest.mark.parametrize(
    ("path", "keys", "found"),
    [
        ("/patients", {"StudyDescription": "Head", "Modality": "CT"}, 1),
        ("/patients", {"StudyDescription": "Head", "Modality": "MR"}, 0),
        ("/patients", {"StudyDate": "20200101", "InstanceNumber": "2"}, 0),
        ("/studies", {"Modality": "CT", "InstanceNumber": "1", "KVP": "80"}, 1),
        ("/studies", {"Modality": "CT", "KVP": "120"}, 0),
        ("/studies", {"InstanceNumber": "2", "KVP": "80"}, 0),
        ("/series", {"InstanceNumber": "2", "KVP": "80"}, 0),
        ("/series", {"InstanceNumber": "2", "KVP": "100"}, 1),
        ("/patients", {"InstanceNumber": "2", "KVP": "80"}, 0),
        ("/patients", {"StudyDescription": "Knee", "KVP": "120"}, 1),
        ("/patients", {"StudyDescription": "Knee", "KVP": "80"}, 0),
    ],
)
def test_keys_of_lower_levels_hold_on_one_path(client, path, keys, found):
    """Whether the index holds them or not (KVP): PS3.4, C.2.2.1.2."""
    head = {
        "PatientID": "P",
        "StudyInstanceUID": "1",
        "StudyDescription": "Head",
        "StudyDate": "20200101",
    }
    knee = {
        "PatientID": "P",
        "StudyInstanceUID": "2",
        "StudyDescription": "Knee",
        "StudyDate": "20200102",
    }
    client.stored(
        make_instance(Modality="CT", SeriesInstanceUID="1.1", InstanceNumber=1, KVP="80", **head),
        make_instance(Modality="CT", SeriesInstanceUID="1.1", InstanceNumber=3, KVP="100", **head),
        make_instance(Modality="MR", SeriesInstanceUID="2.1", InstanceNumber=2, KVP="100", **knee),
        make_instance(Modality="MR", SeriesInstanceUID="2.1", InstanceNumber=1, KVP="120", **knee),
    )
    assert len(client.found(path, PatientID="*", **keys)) == found
    total = client.get(f"{path}?totalcount=true&{urlencode(keys)}").headers["X-Total-Count"]
    assert total == str(found)


@pytest.mark.parametrize("path", ["/studies", "/series", "/instances", "/patients"])
def test_headers_of_many_matches_are_read_together(client, dicomweb_context, monkeypatch, path):
    for number in range(12):
        client.stored(make_instance(PatientID=f"P{number:02}", KVP=str(number)))
    database, statements = dicomweb_context.index.database, []
    fetch = database.fetch
    monkeypatch.setattr(database, "fetch", lambda *asked: statements.append(asked) or fetch(*asked))
    found = client.found(path, includefield="KVP", orderby="PatientID")
    assert values(found, "00180060") == [str(number) for number in range(12)]
    assert len(statements) < 5


def test_one_study_uid_under_two_patients_is_found_twice(client):
    client.stored(make_instance(StudyInstanceUID="1.5", PatientID="A"))
    client.stored(make_instance(StudyInstanceUID="1.5", PatientID="B"))
    assert sorted(values(client.found(StudyInstanceUID="1.5"), "00100020")) == ["A", "B"]


def test_available_transfer_syntaxes_are_what_can_be_had(client):
    client.stored(make_instance(transfer_syntax=BIG_ENDIAN))
    (found,) = client.found("/instances")
    assert set(found["00083002"]["Value"]) == {EXPLICIT, BIG_ENDIAN}


# --- pages ---------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [{}, {"Modality": "OT"}, {"KVP": "100"}])
@pytest.mark.parametrize("level", ["/series", "/instances"])
def test_pages_join_to_the_whole(client, level, keys):
    client.stored(*make_study(series=7, instances=2, KVP="100"))
    tag = SERIES if level == "/series" else SOP
    whole = values(client.found(level, **keys), tag)
    paged = []
    for offset in range(0, 15, 4):
        page = client.found(level, **keys, limit=4, offset=offset)
        assert len(page) <= 4
        paged += values(page, tag)
    assert paged == whole[:16]
    assert client.found(level, **keys, offset=1000) == []
    assert values(client.found(level, **keys, limit=0), tag) == whole  # as in Orthanc


@pytest.mark.dicomweb_config({"LimitFindResults": 2, "LimitFindInstances": 3})
@pytest.mark.parametrize(
    ("path", "keys", "count", "warned"),
    [
        ("/studies", {}, 2, True),
        ("/studies", {"limit": 1}, 1, True),
        ("/studies", {"limit": 2}, 2, True),
        ("/studies", {"limit": 1, "offset": 1}, 1, True),
        ("/studies", {"limit": 1, "offset": 2}, 1, False),
        ("/studies", {"limit": 1, "offset": 3}, 0, False),
        ("/studies", {"limit": 5}, 2, True),
        ("/studies", {"offset": 1}, 2, False),
        ("/studies", {"PatientID": "P1"}, 1, False),
        ("/series", {}, 2, True),
        ("/instances", {}, 3, True),
        ("/instances", {"KVP": "101"}, 2, False),
        ("/studies/1.1/series", {}, 2, False),
    ],
    ids=str,
)
def test_more_matches_than_are_sent_are_told(archive, path, keys, count, warned):
    answer = archive.flask.get("/dicom-web" + path, query_string=keys)
    assert len(answer.json) == count
    expected = "299 http://localhost/dicom-web/: There are additional results that can be requested"
    assert answer.headers.get("Warning") == (expected if warned else None)


@pytest.mark.parametrize(("keys", "remaining"), [({"limit": 1}, 2), ({"limit": 3}, 0), ({}, 0)])
def test_how_many_more_matches_there_are(archive, keys, remaining):
    answer = archive.flask.get("/dicom-web/studies", query_string=keys | {"totalcount": "true"})
    assert int(answer.headers["X-Total-Count"]) == len(answer.json) + remaining
    sentence = f"There are {remaining} additional results that can be requested"
    assert (sentence in answer.headers.get("Warning", "")) is bool(remaining)


def test_what_is_ignored_is_told(archive):
    answer = archive.get(
        "/studies?utm=1&PatientID=P1&includefield=Nonsense&accept=*/*&_x%0d%0aY:z=1"
    )
    assert answer.status_code == 200
    (warning,) = answer.headers.getlist("Warning")
    assert warning.startswith("299 http://localhost/dicom-web/: ")
    assert warning.endswith("ignored: utm, includefield=Nonsense, _x  Y:z")
    assert "Warning" not in archive.get("/studies?PatientID=P1").headers


def test_a_zone_is_no_condition(archive):
    plain = archive.get("/studies?PatientID=P1")
    zoned = archive.get("/studies?PatientID=P1&TimezoneOffsetFromUTC=%2B0100&00080005=ISO_IR%20100")
    assert len(zoned.json) == len(plain.json) > 0
    assert "TimezoneOffsetFromUTC was not heeded" in zoned.headers["Warning"]


@pytest.mark.dicomweb_config({"LimitFindInstances": 2, "LimitFindResults": 1})
def test_retrieval_is_never_capped_by_search_limits(archive):
    answer = archive.get("/studies/1.1")
    assert len(split_multipart(answer.data, answer.content_type)) == 6
    assert len(archive.get("/studies/1.1/metadata").json) == 6


@pytest.mark.dicomweb_config({SCAN: 4})
def test_a_search_that_would_read_too_much_names_the_attribute(archive):
    answer = archive.get("/studies?KVP=1")
    assert answer.status_code == 413
    assert "KVP" in answer.json["Details"]
    assert studies(archive, KVP="103", PatientID="P2") == []


# --- media types ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        "application/*",
        "application/json",
        "application/dicom+json",
        "text/html,*/*;q=0.8",
    ],
)
def test_json_is_the_default(archive, accept):
    answer = archive.get("/studies", accept)
    assert answer.content_type == "application/dicom+json"


@pytest.mark.parametrize(
    "accept", ['multipart/related; type="application/dicom+xml"', "application/dicom+xml"]
)
def test_xml_has_one_part_for_each_match(archive, accept):
    answer = archive.get("/studies", accept)
    assert answer.status_code == 200
    found = split_multipart(answer.data, answer.content_type)
    assert [headers["content-type"] for headers, _ in found] == ["application/dicom+xml"] * 3
    roots = [ElementTree.fromstring(data) for _, data in found]
    uids = {e.get("keyword"): e for e in roots[0]}["StudyInstanceUID"]
    assert "".join(uids.itertext()).strip() == "1.1"


def test_xml_of_nothing_is_an_empty_message(archive):
    answer = archive.get("/studies?PatientID=nobody", "application/dicom+xml")
    assert split_multipart(answer.data, answer.content_type) == []


def test_the_accept_parameter_is_heeded(archive):
    xml = "/studies?accept=multipart/related%3Btype%3Dapplication/dicom%2Bxml"
    assert archive.get(xml).content_type.startswith(
        'multipart/related; type="application/dicom+xml"'
    )
    assert archive.get("/studies?accept=application/dicom%2Bjson").status_code == 200
    assert archive.get("/studies?accept=image/png", "image/png").status_code == 406


def test_what_cannot_be_had_is_406_and_lists_what_can(archive):
    answer = archive.get("/studies", "image/png")
    assert answer.status_code == 406
    assert "application/dicom+json" in answer.json["Details"]


def test_a_long_list_of_uids(archive):
    uids = ",".join(new_uid() for _ in range(150))
    assert archive.found(StudyInstanceUID=f"{uids},1.1") != []


class TestWhichInstanceAnAnswerShows:
    """An attribute of a lower level comes from an instance that made the answer a match."""

    @pytest.fixture
    def mixed(self, client):
        """One study: a report without Rows first, then two images of different heights."""
        common = {"StudyInstanceUID": "7.1", "PatientID": "JP1"}
        client.stored(
            make_instance(**common, SeriesInstanceUID="7.1.1", Modality="SR", InstanceNumber=1),
            *(
                make_instance(
                    **common,
                    SeriesInstanceUID="7.1.2",
                    Modality="OT",
                    InstanceNumber=number,
                    Rows=rows,
                    KVP=str(rows),
                )
                for number, rows in ((2, 111), (3, 333))
            ),
        )
        return client

    def test_by_an_indexed_attribute(self, mixed):
        (found,) = mixed.found("/studies", PatientID="JP1", Rows="333")
        assert found["00280010"] == {"vr": "US", "Value": [333]}
        (found,) = mixed.found("/series", Rows="333", includefield="KVP")
        assert values([found], "00180060") == ["333"]

    def test_by_an_attribute_that_is_not_indexed(self, mixed):
        (found,) = mixed.found("/studies", PatientID="JP1", KVP="333")
        assert values([found], "00180060") == ["333"]

    def test_computed_attributes_of_the_study_at_lower_levels(self, mixed):
        for path in ("series", "instances"):
            found = mixed.found(f"/{path}", ModalitiesInStudy="OT", PatientID="JP1")
            assert found
            assert all(each["00080061"]["Value"] == ["OT", "SR"] for each in found)
        counted = mixed.found("/series", includefield="NumberOfStudyRelatedInstances")
        assert values(counted, "00201208") == [3, 3]

    @pytest.mark.parametrize("narrow", [{}, {"StudyInstanceUID": "7.1"}, {"Modality": "SR"}])
    def test_a_relational_search_describes_what_it_found_below(self, mixed, narrow):
        """PS3.18 10.6.3.3.2 and 10.6.3.3.3: study and series attributes where no path names them."""
        for found in (mixed.found("/series", **narrow), mixed.found("/instances", **narrow)):
            assert found
            for each in found:
                of_study = sets.REQUIRED[QueryLevel.STUDY] | {"00080056", "00080061"}
                of_study |= {"00201206", "00201208"}
                assert each.keys() >= of_study | sets.REQUIRED[QueryLevel.SERIES] | {"00201209"}
        study = narrow.get("StudyInstanceUID", "7.1")
        assert all("00201209" in each for each in mixed.found(f"/studies/{study}/instances"))


class TestMoreWaysToMatch:
    """Fuzzy names, name groups, empty values, moments, private tags, order, counts, patients."""

    @pytest.fixture
    def people(self, client):
        names = {
            "8.1": ("P1", "Müller^Jörg", "20200101", "230000"),
            "8.2": ("P1", "Müller^Jörg", "20200102", "100000"),
            "8.3": ("P2", "Yamada^Tarou=山田^太郎=やまだ^たろう", "20200103", "010000"),
            "8.4": ("P3", "van der Berg^Anna-Maria", "", ""),
            "8.5": ("P4", "", "20200104", "120000"),
        }
        client.stored(
            *(
                make_instance(
                    StudyInstanceUID=uid,
                    SeriesInstanceUID=f"{uid}.1",
                    PatientID=patient,
                    PatientName=name,
                    StudyDate=date,
                    StudyTime=time,
                    Modality="CT" if uid < "8.4" else "MR",
                    AccessionNumber="" if uid == "8.1" else uid,
                )
                for uid, (patient, name, date, time) in names.items()
            )
        )
        return client

    def uids(self, client, path="/studies", **keys):
        return values(client.found(path, **keys), STUDY)

    @pytest.mark.parametrize(
        ("name", "found"),
        [
            ("jorg muller", ["8.1", "8.2"]),
            ("Mueller", ["8.1", "8.2"]),
            ("Muler, Jorg", ["8.1", "8.2"]),
            ("MULLER^JOGR", ["8.1", "8.2"]),
            ("anna berg", ["8.4"]),
            ("maria", ["8.4"]),
            ("yamda", ["8.3"]),
            ("山田", ["8.3"]),
            ("Tarou^Yamada\\Anna", ["8.3", "8.4"]),
            ("miller jane", []),
            ("m*ller", []),
            ("m*ller*", ["8.1", "8.2"]),
            ("*ller*", ["8.1", "8.2"]),
            ("m?ller^*", ["8.1", "8.2"]),
            ("m?ller^j*", ["8.1", "8.2"]),
            ("*erg*\\xy", ["8.4"]),
            ("?an der Berg^Anna*", ["8.4"]),
            ("jo", ["8.1", "8.2"]),
            ("xy", []),
        ],
    )
    def test_fuzzy(self, people, name, found):
        assert self.uids(people, PatientName=name, fuzzymatching="true") == found
        assert self.uids(people, PatientName=name, fuzzymatching="true", limit=1) == found[:1]

    def test_fuzzy_goes_with_everything_else(self, people):
        keys = {"PatientName": "jorg", "fuzzymatching": "true", "StudyDate": "20200102"}
        assert self.uids(people, **keys) == ["8.2"]
        assert self.uids(people, "/instances", **keys) == ["8.2"]
        assert "Warning" not in people.get("/studies?PatientName=jorg&fuzzymatching=true").headers

    @pytest.mark.parametrize(
        ("name", "found"),
        [
            ("=山田^太郎", ["8.3"]),
            ("=山*", ["8.3"]),
            ("==やまだ*", ["8.3"]),
            ("Yamada*=山*", ["8.3"]),
            ("Yamada^Tarou=山田^太郎=やまだ^たろう", ["8.3"]),
            ("Doe*=山*", []),
            ("=Yamada*", []),
            ("=*", ["8.1", "8.2", "8.3", "8.4", "8.5"]),
        ],
    )
    def test_names_by_component_group(self, people, name, found):
        assert self.uids(people, PatientName=name) == found
        scanned = self.uids(people, PatientName=name, BurnedInAnnotation="")
        assert scanned == found

    @pytest.mark.parametrize(
        ("keys", "found"),
        [
            ({"PatientName": '""'}, ["8.5"]),
            ({"StudyDate": '""'}, ["8.4"]),
            ({"AccessionNumber": '""'}, ["8.1"]),
            ({"AccessionNumber": '""', "PatientID": "P1"}, ["8.1"]),
            ({"ModalitiesInStudy": '""'}, []),
            ({"SliceThickness": '""', "PatientID": "P2"}, ["8.3"]),
        ],
    )
    def test_empty_values(self, people, keys, found):
        assert self.uids(people, emptyvaluematching="true", **keys) == found

    def test_lists_of_values(self, people):
        keys = {"multiplevaluematching": "true", "PatientID": "P2\\P3"}
        assert self.uids(people, **keys) == ["8.3", "8.4"]

    @pytest.mark.parametrize(
        ("date", "time", "found"),
        [
            ("20200101-20200102", "2200-1100", ["8.1", "8.2"]),
            ("20200101-20200102", "2330-1100", ["8.2"]),
            ("20200101-20200102", "2200-0900", ["8.1"]),
            ("20200102-", "1100-", ["8.3", "8.5"]),
            ("-20200102", "-0900", ["8.1"]),
            ("20200101-20200104", "1000-1200", ["8.1", "8.2", "8.3", "8.5"]),
            ("20200102", "0900-1200", ["8.2"]),
            # of different forms: two conditions
            ("20200101-20200102", "1000", ["8.2"]),
            ("20200101-20200104", "1100-", ["8.1", "8.5"]),
        ],
    )
    def test_date_and_time_are_one_moment(self, people, date, time, found):
        assert self.uids(people, StudyDate=date, StudyTime=time) == found
        assert (
            self.uids(people, StudyDate=date, StudyTime=time, BurnedInAnnotation="", KVP="")
            == found
        )

    @pytest.mark.parametrize("level", ["/studies", "/series", "/instances"])
    @pytest.mark.parametrize(
        ("date", "time"),
        [
            ("SeriesDate", "SeriesTime"),
            ("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
            ("AcquisitionDate", "AcquisitionTime"),
            ("ContentDate", "ContentTime"),
        ],
    )
    def test_every_date_goes_with_its_time(self, client, level, date, time):
        for uid, moment in (("1.1", ("20200101", "230000")), ("1.2", ("20200102", "100000"))):
            named = dict(zip((date, time), moment, strict=True))
            client.stored(make_instance(StudyInstanceUID=uid, **named))
        keys = {date: "20200101-20200102", time: "1200-1100"}
        assert self.uids(client, level, **keys) == ["1.1", "1.2"]
        assert self.uids(client, level, **{date: "20200102-", time: "1000-"}) == ["1.2"]
        assert self.uids(client, level, **{date: "-20200101", time: "-1200"}) == []
        (found,) = client.found(level, **keys, StudyInstanceUID="1.2")
        for name, value in ((date, "20200102"), (time, "100000")):
            assert values([found], f"{tag_for_keyword(name):08X}") == [value]

    @pytest.mark.parametrize(
        ("path", "keys", "found"),
        [
            ("/studies", {"orderby": "-StudyDate"}, ["8.5", "8.3", "8.2", "8.1", "8.4"]),
            ("/studies", {"orderby": "StudyDate", "limit": 2}, ["8.1", "8.2"]),
            ("/studies", {"orderby": "PatientID,-00080020"}, ["8.2", "8.1", "8.3", "8.4", "8.5"]),
            ("/series", {"orderby": "-PatientName"}, ["8.3", "8.4", "8.1", "8.2", "8.5"]),
            (
                "/studies",
                {"orderby": "NumberOfStudyRelatedInstances,-StudyTime", "limit": 1},
                ["8.1"],
            ),
        ],
    )
    def test_order(self, people, path, keys, found):
        assert self.uids(people, path, **keys) == found

    @pytest.mark.parametrize(
        ("order", "found"),
        [
            ("-PatientID", ["P4", "P3", "P2", "P1"]),
            ("PatientName", ["P1", "P3", "P2", "P4"]),
            ("-PatientName", ["P2", "P3", "P1", "P4"]),
            ("-NumberOfPatientRelatedStudies,-PatientID", ["P1", "P4", "P3", "P2"]),
            ("NumberOfPatientRelatedInstances,PatientBirthDate", ["P2", "P3", "P4", "P1"]),
        ],
    )
    def test_order_of_patients(self, people, order, found):
        assert values(people.found("/patients", orderby=order), "00100020") == found
        page = people.found("/patients", orderby=order, offset=1, limit=2)
        assert values(page, "00100020") == found[1:3]

    @pytest.mark.parametrize(
        ("path", "possible"),
        [
            ("/patients", "PatientBirthDate, PatientID"),
            ("/series", "SeriesDate, SeriesDescription"),
        ],
    )
    def test_the_refusal_of_an_order_says_what_is_possible(self, people, path, possible):
        answer = people.get(f"{path}?orderby=KVP")
        assert answer.status_code == 400
        assert possible in answer.json["Details"]

    @pytest.mark.parametrize("order", ["Modality", "KVP", "nonsense"])
    def test_what_cannot_be_sorted_by(self, people, order):
        answer = people.get(f"/studies?orderby={order}")
        assert answer.status_code == 400
        assert order in answer.json["Details"]

    @pytest.mark.parametrize(
        ("query", "total"),
        [
            ("", 5),
            ("&limit=2", 5),
            ("&offset=4", 5),
            ("&PatientID=P1&limit=1", 2),
            ("&PatientName=jorg&fuzzymatching=true", 2),
            ("&KVP=1", 0),
        ],
    )
    def test_total_count(self, people, query, total):
        assert people.get(f"/studies?totalcount=true{query}").headers["X-Total-Count"] == str(total)
        assert "X-Total-Count" not in people.get(f"/studies?{query}").headers

    def test_patients(self, people):
        found = people.found("/patients")
        assert values(found, "00100020") == ["P1", "P2", "P3", "P4"]
        assert [values(found[:1], tag) for tag in ("00201200", "00201202", "00201204")] == [[2]] * 3
        assert values(people.found("/patients", PatientName="Müller*"), "00100020") == ["P1"]
        assert values(people.found("/patients", Modality="MR"), "00100020") == ["P3", "P4"]
        assert values(people.found("/patients", StudyInstanceUID="8.2"), "00100020") == ["P1"]
        assert values(people.found("/patients", limit=1, offset=1), "00100020") == ["P2"]
        (one,) = people.found("/patients", PatientID="P1", includefield="StudyDescription,KVP")
        assert one["00100010"]["Value"] == [{"Alphabetic": "Müller^Jörg"}]
        assert people.get("/patients?totalcount=true").headers["X-Total-Count"] == "4"

    def test_patients_by_how_much_they_have(self, people):
        assert values(people.found("/patients", NumberOfPatientRelatedStudies="2"), "00100020") == [
            "P1"
        ]
        for key in ("NumberOfPatientRelatedSeries", "00201204"):
            assert values(people.found("/patients", **{key: "2"}), "00100020") == ["P1"]
            assert len(people.found("/patients", **{key: "1"})) == 3
            assert people.found("/patients", **{key: "7"}) == []
        total = people.get("/patients?NumberOfPatientRelatedInstances=1&totalcount=true")
        assert total.headers["X-Total-Count"] == "3"

    @pytest.mark.parametrize("path", ["/studies", "/series", "/instances"])
    def test_how_much_a_patient_has_is_no_key_of_others(self, people, path):
        answer = people.get(f"{path}?NumberOfPatientRelatedStudies=7")
        assert len(answer.json) == len(people.found(path))
        assert "NumberOfPatientRelatedStudies" in answer.headers["Warning"]

    def test_private_attributes_by_their_creator(self, client):
        for number, block in enumerate((0x10, 0x21)):
            data = make_dataset(StudyInstanceUID=f"9.{number}", PatientID="P9")
            data.add_new(0x00090000 + block, "LO", "ACME")
            data.add_new(0x00090000 + (block << 8) + 1, "LO", f"VALUE{number}")
            client.stored(write_dataset(data))
        keys = {"00090010": "ACME", "PatientID": "P9"}
        (found,) = client.found("/studies", **keys, **{"00091001": "VALUE1"})
        assert values([found], STUDY) == ["9.1"]
        assert values([found], "00092101") == ["VALUE1"]
        assert len(client.found("/studies", **keys, **{"00091001": "VALUE*"})) == 2
        asked = client.found("/instances", PatientID="P9", includefield="00091001,00092101")
        assert values(asked, "00091001") == ["VALUE0", None]
        assert values(asked, "00090010") == ["ACME", None]
        assert values(asked, "00090021") == [None, "ACME"]
        other = {"00090010": "OTHER", "PatientID": "P9", "00091001": "VALUE*"}
        assert client.found("/studies", **other) == []
        assert len(client.found("/studies", PatientID="P9", **{"00091001": "VALUE*"})) == 1
