"""Requests at the edge of what is possible: the answer must not hide, lose or invent anything."""

import gzip

import pytest

from dicomweb_server.testing.dicom import (
    IMPLICIT,
    make_dataset,
    make_instance,
    multipart_body,
    new_uid,
    path_of,
    uids_of,
    write_dataset,
)
from tests.conftest import parts

MPEG_4 = "1.2.840.10008.1.2.4.102"
TYPE = 'multipart/related; type="application/dicom"; transfer-syntax='


def identities(answer, sequence):
    items = answer.json.get(sequence, {}).get("Value", [])
    return [item.get("00081155", {}).get("Value") for item in items]


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("uid", ["1.2/../3", "..", "1.2?x=1", "1.2#a"])
def test_an_instance_that_no_url_can_address_is_refused(client, keyword, uid):
    answer = client.store(make_instance(**{keyword: uid}))
    assert answer.status_code == 400
    assert len(identities(answer, "00081198")) == 1
    assert keyword in answer.headers["Warning"]
    assert client.found() == []


def test_an_instance_with_two_identifiers_is_refused(client):
    data = make_instance(SOPInstanceUID="1.2.3.4.5.6")
    answer = client.store(data.replace(b"1.2.3.4.5.6", b"1.2.3\\4.5.6"))
    assert answer.status_code == 400
    assert "4.5.6" in answer.headers["Warning"]
    assert client.found() == []


def test_a_cut_instance_is_named_in_the_answer(client):
    whole, cut = make_instance(pixels=bytes(2000)), make_instance(pixels=bytes(2000))
    answer = client.store(whole, cut[:-100])
    assert answer.status_code == 202
    assert identities(answer, "00081199") == [[uids_of(whole)[2]]]
    assert identities(answer, "00081198") == [[uids_of(cut)[2]]]
    assert "0008119A" not in answer.json


def test_a_compressed_body_is_415(client):
    body, content_type = multipart_body([make_instance()])
    answer = client.post(gzip.compress(body), content_type, Content_Encoding="gzip")
    assert answer.status_code == 415
    assert answer.headers["Accept-Encoding"] == "identity"
    assert "gzip" in answer.json["Details"]


@pytest.mark.parametrize("second", [f"{TYPE}*;q=0.5", "*/*;q=0.1", 'multipart/related;q="0.2"'])
def test_a_second_choice_is_taken_for_instances_without_common_syntax(client, second):
    study = new_uid()
    compressed = make_dataset(StudyInstanceUID=study)
    files = [
        make_instance(StudyInstanceUID=study, transfer_syntax=IMPLICIT),
        write_dataset(compressed, MPEG_4),
    ]
    client.stored(*files)
    answer = client.get(f"/studies/{study}", f"{TYPE}1.2.840.10008.1.2.1, {second}")
    assert answer.status_code == 200
    assert len(parts(answer)) == 2
    refused = client.get(f"/studies/{study}", f"{TYPE}1.2.840.10008.1.2.1")
    assert refused.status_code == 406
    assert "transfer-syntax=*" in refused.json["Details"]


@pytest.mark.parametrize("accept", [None, "application/dicom", f"{TYPE}1.2.840.10008.1.2.1"])
def test_what_came_without_preamble_goes_out_with_one(client, accept):
    data = make_instance(pixels=bytes(100))
    bare = data[132:]
    client.stored(bare)
    answer = client.get(f"/{path_of(data)}", accept)
    sent = answer.data if accept == "application/dicom" else parts(answer)[0]
    assert sent[128:132] == b"DICM"
    assert client.original(data).data == bare


@pytest.mark.parametrize("level", ["/studies", "/series", "/instances"])
def test_instances_are_online(client, level):
    client.stored(make_instance())
    assert len(client.found(level, InstanceAvailability="ONLINE")) == 1
    assert client.found(level, InstanceAvailability="OFFLINE") == []


@pytest.mark.parametrize("key", ["0010002G", "0010001", "0010,00", "0x00100020", "00090010x"])
def test_a_tag_with_a_slip_in_it_is_refused(client, key):
    answer = client.flask.get("/dicom-web/studies", query_string={key: "x"})
    assert answer.status_code == 400
    assert key in answer.json["Details"]


@pytest.mark.parametrize("date", ["20200230", "20230229", "20200230-", "-20210431"])
def test_a_day_that_no_calendar_has_is_refused(client, date):
    answer = client.flask.get("/dicom-web/studies", query_string={"StudyDate": date})
    assert answer.status_code == 400
    assert date.strip("-") in answer.json["Details"]


def test_one_part_and_several_have_different_etags(client):
    data = make_instance(pixels=bytes(100))
    client.stored(data)
    path = f"/{path_of(data)}/bulk/7fe00010"
    one = client.get(path, "application/octet-stream")
    many = client.get(path, "multipart/related", If_None_Match=one.headers["ETag"])
    assert (one.status_code, many.status_code) == (200, 200)
    assert one.headers["ETag"] != many.headers["ETag"]


def test_parts_lost_in_a_wrong_length_are_counted(client):
    files = [make_instance() for _ in range(4)]
    body, content_type = multipart_body(files)
    too_long = len(files[0]) + 2 * len(files[1])
    wrong = body.replace(
        b"application/dicom\r\n", b"application/dicom\r\nContent-Length: %d\r\n" % too_long, 1
    )
    answer = client.post(wrong, content_type)
    assert answer.status_code == 202
    assert identities(answer, "00081199") == [[uids_of(files[3])[2]]]
    failed = answer.json.get("00081198", {}).get("Value", [])
    others = answer.json.get("0008119A", {}).get("Value", [])
    assert len(failed) + len(others) >= 3


class TestStrictStore:
    ODD = make_instance(AccessionNumber="longer than sixteen characters")

    @pytest.mark.dicomweb_config({"StrictStore": True})
    def test_says_what_is_not_to_the_letter_and_changes_nothing(self, client):
        odd, right = self.ODD, make_instance()
        answer = client.store(odd, right)
        assert answer.status_code == 202
        first, second = answer.json["00081199"]["Value"]
        assert first["00081196"] == {"vr": "US", "Value": [0xB007]}
        assert "00081196" not in second
        assert "AccessionNumber" in answer.headers["Warning"]
        assert client.original(odd).data == odd

    def test_by_default_such_files_are_plain_successes(self, client):
        answer = client.store(self.ODD)
        assert answer.status_code == 200
        assert "00081196" not in answer.json["00081199"]["Value"][0]
        assert "Warning" not in answer.headers
