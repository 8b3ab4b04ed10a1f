"""The character set of answers: negotiated for text, of no meaning for anything else."""

import pytest

from dicomweb_server.testing.dicom import make_instance, path_of, split_multipart

XML = 'multipart/related; type="application/dicom+xml"'


@pytest.fixture
def path(client):
    data = make_instance(PatientName="山田^太郎", pixels=bytes(8))
    client.stored(data)
    return f"/{path_of(data)}"


@pytest.mark.parametrize("of", ["metadata", "search", "capabilities"])
@pytest.mark.parametrize("header", [None, "*", "iso-8859-1, *;q=0.1"])
def test_who_takes_anything_is_told_no_name(client, path, of, header):
    answer = client.get(places(path)[of], **({"Accept_Charset": header} if header else {}))
    assert answer.status_code == 200
    assert "charset" not in answer.content_type


@pytest.mark.parametrize("of", ["metadata", "search", "capabilities"])
def test_utf_8_is_named_to_who_asks_for_it(client, path, of):
    place = places(path)[of]
    by_header = client.get(place, Accept_Charset="iso-8859-1, utf-8;q=0.5")
    by_parameter = client.get(f"{place}?charset=UTF-8", Accept_Charset="iso-8859-1")
    plain = client.get(place)
    for answer in (by_header, by_parameter):
        assert answer.status_code == 200
        assert answer.content_type == f"{plain.content_type}; charset=utf-8"
        assert answer.data == plain.data
        assert "Accept-Charset" in answer.headers["Vary"]
    assert by_header.headers.get("ETag") != plain.headers.get("ETag") or of == "search"


@pytest.mark.parametrize("of", ["metadata", "search", "capabilities"])
def test_others_alone_are_refused(client, path, of):
    place = places(path)[of]
    refused = client.get(place, Accept_Charset="iso-8859-1, koi8-r")
    assert refused.status_code == 406
    assert "possible is utf-8" in refused.json["Details"]
    # PS3.18 8.3.3.2 wants a 400 for the parameter.
    wrong = client.get(f"{place}?charset=iso-8859-1", Accept_Charset="utf-8")
    assert wrong.status_code == 400
    assert "iso-8859-1" in wrong.json["Details"]
    assert client.get(place, Accept_Charset="utf-8;q=0").status_code == 406


def test_a_repeated_parameter_is_one_list(client, path):
    answer = client.get(f"{path}/metadata?charset=iso-8859-1&charset=utf-8")
    assert answer.content_type == "application/dicom+json; charset=utf-8"


def test_a_character_set_of_the_media_type(client):
    accept = "application/dicom+json; charset=utf-8"
    assert client.get("/studies", accept).content_type == accept
    # 8.7.7: what is not supported in Accept is ignored
    other = client.get("/studies", "application/dicom+json; charset=iso-8859-1")
    assert other.content_type == "application/dicom+json"


@pytest.mark.parametrize("of", ["metadata", "search"])
def test_xml_names_it_in_its_parts(client, path, of):
    answer = client.get(places(path)[of], XML, Accept_Charset="utf-8")
    ((headers, document),) = split_multipart(answer.data, answer.content_type)
    assert headers["content-type"] == "application/dicom+xml; charset=utf-8"
    assert "山田" in document.decode("utf-8")
    assert "charset" not in answer.content_type


def test_a_store_says_no_before_anything_is_stored(client):
    data = make_instance()
    for refused, status in (
        (client.post(data, "application/dicom", Accept_Charset="koi8-r"), 406),
        (client.post(data, "application/dicom", path="/studies?charset=koi8-r"), 400),
    ):
        assert refused.status_code == status
        assert client.found() == []
    answer = client.post(data, "application/dicom", Accept_Charset="utf-8")
    assert answer.content_type == "application/dicom+json; charset=utf-8"


@pytest.mark.parametrize(
    ("below", "accept"),
    [
        ("", "application/dicom"),
        ("", 'multipart/related; type="application/dicom"'),
        ("", "application/zip"),
        ("/bulk/7fe00010", "application/octet-stream"),
        ("/bulkdata", "*/*"),
        ("/pixeldata", "*/*"),
    ],
)
def test_what_is_no_text_has_no_character_set(client, path, below, accept):
    answer = client.get(f"{path}{below}?charset=koi8-r", accept, Accept_Charset="iso-8859-1")
    assert answer.status_code == 200
    assert "charset" not in answer.content_type


def places(path):
    return {"metadata": f"{path}/metadata", "search": "/studies", "capabilities": "/"}
