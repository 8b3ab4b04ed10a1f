"""WADO-RS: instances, metadata and bulk data come out as they went in, or as was asked for."""

import gzip
import json
from xml.etree import ElementTree

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from dicomweb_server.testing.dicom import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    UNCOMPRESSED,
    make_dataset,
    make_instance,
    make_study,
    new_uid,
    path_of,
    read,
    split_multipart,
    uids_of,
    write_dataset,
)
from tests.conftest import parts

JPEG = "1.2.840.10008.1.2.4.50"
MANY = 'multipart/related; type="application/dicom"'
STORED = f"{MANY}; transfer-syntax=*"
BELOW = ("bulkdata", "pixeldata")


def encapsulated(fragments=(b"frame one ", b"frame two!"), **attributes):
    """A file with made-up compressed frames."""
    image = {"Rows": 4, "Columns": 4, "SamplesPerPixel": 1, "BitsAllocated": 8}
    data_set = make_dataset(**image, NumberOfFrames=len(fragments), **attributes)
    data_set.PixelData = encapsulate(list(fragments), has_bot=True)
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    return write_dataset(data_set, JPEG)


@pytest.fixture
def study(client):
    files = make_study(series=2, instances=3, pixels=bytes(range(200)))
    client.stored(*files)
    return files


def levels(data):
    study, series, _ = uids_of(data)
    return f"/studies/{study}", f"/studies/{study}/series/{series}", f"/{path_of(data)}"


# --- instances -----------------------------------------------------------------------------


@pytest.mark.parametrize("star", ["*", '"*"'])
def test_a_study_comes_back_byte_identical(client, study, star):
    for path, files in zip(levels(study[0]), (study, study[:3], study[:1]), strict=True):
        answer = client.get(
            path, f'multipart/related; type="application/dicom"; transfer-syntax={star}'
        )
        assert answer.status_code == 200
        assert answer.content_type.startswith('multipart/related; type="application/dicom"')
        assert parts(answer) == files
        assert answer.content_length == len(answer.data)


def test_parts_say_what_they_are(client, study):
    answer = client.get(levels(study[0])[0], STORED)
    for (headers, data), original in zip(
        split_multipart(answer.data, answer.content_type), study, strict=True
    ):
        assert headers["content-type"] == f"application/dicom; transfer-syntax={EXPLICIT}"
        assert headers["content-length"] == str(len(data))
        assert headers["content-location"] == f"http://localhost/dicom-web/{path_of(original)}"
        assert data == original


@pytest.mark.parametrize(
    ("accept", "syntaxes"),
    [
        (STORED, [IMPLICIT, JPEG]),
        (MANY, [EXPLICIT, JPEG]),
    ],
)
def test_each_part_names_its_transfer_syntax(client, accept, syntaxes):
    study = new_uid()
    client.stored(
        make_instance(StudyInstanceUID=study, transfer_syntax=IMPLICIT, InstanceNumber=1),
        encapsulated(StudyInstanceUID=study, InstanceNumber=2),
    )
    answer = client.get(f"/studies/{study}", accept)
    found = split_multipart(answer.data, answer.content_type)
    assert {headers["content-type"] for headers, _ in found} == {
        f"application/dicom; transfer-syntax={syntax}" for syntax in syntaxes
    }
    for headers, data in found:
        assert headers["content-type"].endswith(f"={read(data).file_meta.TransferSyntaxUID}")


def test_octets_of_instances_are_their_bulk_data(client, study):
    """PS3.18 table 10.4.4-1, note 2."""
    accept = 'multipart/related; type="application/octet-stream"'
    for path in levels(study[0]):
        asked, named = client.get(path, accept), client.get(f"{path}/bulkdata", accept)
        assert asked.status_code == 200
        assert parts(asked) == parts(named)
        assert asked.headers["Content-Location"] == f"http://localhost/dicom-web{path}/bulkdata"
    nothing = make_instance()
    client.stored(nothing)
    assert client.get(f"/{path_of(nothing)}", accept).status_code == 404


def test_answers_say_what_they_represent(client, study):
    for path, accept in (
        *((path, MANY) for path in levels(study[0])),
        *((f"{path}/metadata", "*/*") for path in levels(study[0])),
        *((f"{path}/{below}", "*/*") for path in levels(study[0]) for below in BELOW),
        (f"/{path_of(study[0])}", "application/dicom"),
        (f"/{path_of(study[0])}/bulk/7fe00010", "application/octet-stream"),
    ):
        answer = client.get(path, accept)
        assert answer.headers["Content-Location"] == f"http://localhost/dicom-web{path}"


@pytest.mark.parametrize(
    "accept",
    [
        "application/dicom; transfer-syntax=*",
        f"application/dicom; transfer-syntax={EXPLICIT}",
        "application/dicom",
        f'application/dicom; transfer-syntax="{EXPLICIT}"; q=0.5, image/png',
    ],
)
def test_one_instance_may_be_a_single_part(client, study, accept):
    answer = client.get(f"/{path_of(study[0])}", accept)
    assert answer.content_type == f"application/dicom; transfer-syntax={EXPLICIT}"
    assert answer.data == study[0]
    assert answer.content_length == len(study[0])


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        "multipart/related",
        "multipart/*",
        'multipart/related; type="application/dicom"',
        "multipart/related; type=application/dicom",
        'multipart/related; type="*/*"',
        'MULTIPART/Related; Type="Application/DICOM"',
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
        'multipart/related; type="image/jpeg", multipart/related; type="application/dicom"',
    ],
)
def test_what_clients_say_for_anything(client, study, accept):
    answer = client.get(levels(study[0])[0], accept)
    assert answer.status_code == 200
    assert parts(answer) == study


@pytest.mark.parametrize("stored", UNCOMPRESSED)
@pytest.mark.parametrize("wanted", UNCOMPRESSED)
def test_uncompressed_syntaxes_are_converted(client, stored, wanted):
    item = Dataset()
    item.CodeValue = "A"
    data = make_instance(
        transfer_syntax=stored,
        pixels=bytes(range(256)) * 4,
        PatientName="Müller^Jörg",
        ConceptNameCodeSequence=[item],
        Rows=700,
        FloatingPointValue=None,
    )
    client.stored(data)
    answer = client.get(f"/{path_of(data)}", f"application/dicom; transfer-syntax={wanted}")
    assert answer.status_code == 200
    assert answer.content_type == f"application/dicom; transfer-syntax={wanted}"
    before, after = read(data), read(answer.data)
    assert after.file_meta.TransferSyntaxUID == wanted
    assert after.PixelData == before.PixelData
    # Implicit VR has no place for the VR of pixel data: it is always OW there (PS3.5 A.1).
    del before.PixelData, after.PixelData
    assert after.to_json_dict() == before.to_json_dict()
    many = client.get(
        f"/{path_of(data)}",
        f'multipart/related; type="application/dicom"; transfer-syntax={wanted}',
    )
    assert parts(many) == [answer.data]


@pytest.mark.parametrize("stored", [IMPLICIT, BIG_ENDIAN, DEFLATED])
def test_the_default_is_explicit_little_endian(client, stored):
    data = make_instance(transfer_syntax=stored)
    client.stored(data)
    (found,) = parts(client.get(f"/{path_of(data)}"))
    assert read(found).file_meta.TransferSyntaxUID == EXPLICIT


def test_what_needs_a_codec_comes_as_it_is_stored_by_default(client):
    data = encapsulated()
    client.stored(data)
    assert parts(client.get(f"/{path_of(data)}")) == [data]
    assert client.get(f"/{path_of(data)}", "application/dicom").data == data


@pytest.mark.parametrize("wanted", [EXPLICIT, "1.2.840.10008.1.2.4.90", "1.2.3", "nonsense"])
def test_a_demand_that_cannot_be_met_is_406_and_lists_what_can(client, wanted):
    data = encapsulated()
    client.stored(data)
    for kind in ("application/dicom", 'multipart/related; type="application/dicom"'):
        answer = client.get(f"/{path_of(data)}", f"{kind}; transfer-syntax={wanted}")
        assert answer.status_code == 406
        assert JPEG in answer.json["Details"]


@pytest.mark.parametrize(
    "accept",
    ["image/png", "application/x-zip", 'multipart/related; type="image/jpeg"', "text/html"],
)
def test_other_media_types_are_406(client, study, accept):
    for path in levels(study[0]):
        answer = client.get(path, accept)
        assert answer.status_code == 406
        assert "application/dicom" in answer.json["Details"]


def _body(answer):
    assert answer.status_code == 200
    return answer.data, answer.content_type


def test_a_series_of_two_syntaxes(client):
    uids = dict(
        zip(("StudyInstanceUID", "SeriesInstanceUID"), uids_of(make_instance()), strict=False)
    )
    files = [make_instance(**uids, InstanceNumber=1), encapsulated(**uids, InstanceNumber=2)]
    client.stored(*files)
    path = levels(files[0])[1]
    assert parts(client.get(path, STORED)) == files
    assert parts(client.get(path)) == files
    # Where there are no pixels, there is nothing to encode.
    plain, packed = split_multipart(*_body(client.get(path, f"{MANY}; transfer-syntax={JPEG}")))
    assert plain == (plain[0], files[0])
    assert packed[1] == files[1]
    assert plain[0]["content-type"].endswith(EXPLICIT)
    assert packed[0]["content-type"].endswith(JPEG)


@pytest.mark.parametrize("suffix", ["", "/metadata", "/bulk/7fe00010"])
def test_what_is_not_there_is_404(client, study, suffix):
    uid, series, sop = uids_of(study[0])
    paths = [
        f"/studies/{new_uid()}/series/{series}/instances/{sop}",
        f"/studies/{uid}/series/{new_uid()}/instances/{sop}",
        f"/studies/{uid}/series/{series}/instances/{new_uid()}",
    ]
    if not suffix.startswith("/bulk"):
        paths += [f"/studies/{new_uid()}", f"/studies/{uid}/series/{new_uid()}"]
    for path in paths:
        answer = client.get(path + suffix)
        assert answer.status_code == 404
        assert answer.json["HttpStatus"] == 404


@pytest.mark.parametrize("uid", ["%", "_", "..%2F..", "%00", "'", "*", "1.2.3%20", "x" * 5000])
def test_strange_uids_are_404(client, study, uid):
    assert client.get(f"/studies/{uid}").status_code in (400, 404)
    assert client.get(f"/studies/{uid}/metadata").status_code in (400, 404)


# --- conditional requests and ranges -------------------------------------------------------


def test_an_instance_has_an_etag(client, study):
    path, accept = f"/{path_of(study[0])}", "application/dicom; transfer-syntax=*"
    etag = client.get(path, accept).headers["ETag"]
    for header in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        answer = client.get(path, accept, If_None_Match=header)
        assert (answer.status_code, answer.data) == (304, b"")
        assert answer.headers["ETag"] == etag
    assert client.get(path, accept, If_None_Match='"x"').status_code == 200


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=10-", 10, None),
        ("bytes=-10", -10, None),
        ("bytes=0-999999999", 0, None),
        ("bytes=5-5", 5, 6),
        ("bytes = 1 - 2", 1, 3),
    ],
)
def test_a_range_of_an_instance(client, study, header, start, end):
    data = study[0]
    answer = client.get(f"/{path_of(data)}", "application/dicom; transfer-syntax=*", Range=header)
    assert answer.status_code == 206
    assert answer.data == data[start:end]
    first = range(len(data))[start]
    last = first + len(answer.data) - 1
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(data)}"
    assert answer.content_length == len(answer.data)


@pytest.mark.parametrize("header", ["bytes=99999999-", "bytes=-0"])
def test_a_range_outside_is_416(client, study, header):
    answer = client.get(
        f"/{path_of(study[0])}", "application/dicom; transfer-syntax=*", Range=header
    )
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(study[0])}"


@pytest.mark.parametrize(
    "header", ["bytes=9-1", "bytes=a-b", "lines=1-2", "bytes=1-2,5-6", "bytes=-"]
)
def test_a_range_that_means_nothing_is_ignored(client, study, header):
    answer = client.get(
        f"/{path_of(study[0])}", "application/dicom; transfer-syntax=*", Range=header
    )
    assert answer.status_code == 200
    assert answer.data == study[0]


@pytest.mark.parametrize(("same", "status"), [(True, 206), (False, 200)])
def test_a_range_if_nothing_changed(client, study, same, status):
    path, accept = f"/{path_of(study[0])}", "application/dicom; transfer-syntax=*"
    etag = client.get(path, accept).headers["ETag"] if same else '"old"'
    answer = client.get(path, accept, Range="bytes=0-3", If_Range=etag)
    assert answer.status_code == status


# --- metadata ------------------------------------------------------------------------------


def test_metadata_of_every_level(client, study):
    for path, files in zip(levels(study[0]), (study, study[:3], study[:1]), strict=True):
        answer = client.get(f"{path}/metadata")
        assert answer.content_type == "application/dicom+json"
        found = [a["00080018"]["Value"][0] for a in answer.json]
        assert found == [uids_of(data)[2] for data in files]
        assert answer.json[0]["0020000D"]["Value"] == [uids_of(study[0])[0]]
        assert "00020010" not in answer.json[0]


def test_pixel_data_are_a_link_that_works(client, study):
    (found,) = client.get(f"/{path_of(study[0])}/metadata").json
    uri = found["7FE00010"]["BulkDataURI"]
    assert uri == f"http://localhost/dicom-web/{path_of(study[0])}/bulk/7fe00010"
    answer = client.flask.get(uri, headers={"Accept": "application/octet-stream"})
    assert answer.data == read(study[0]).PixelData


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        "application/*",
        "application/json",
        "application/dicom+json",
        "application/dicom+json, multipart/related; type=application/octet-stream; "
        "transfer-syntax=*",
        'application/dicom+xml;q=0.1, application/json, multipart/related; type="image/png"',
    ],
)
def test_metadata_are_json(client, study, accept):
    answer = client.get(f"{levels(study[0])[0]}/metadata", accept)
    assert answer.content_type == "application/dicom+json"
    assert len(json.loads(answer.data)) == 6


def test_metadata_as_xml(client, study):
    answer = client.get(
        f"{levels(study[0])[0]}/metadata", 'multipart/related; type="application/dicom+xml"'
    )
    documents = [ElementTree.fromstring(data) for data in parts(answer)]
    assert len(documents) == 6
    bulk = documents[0].find(".//*[@keyword='PixelData']/*")
    assert bulk.get("uri").endswith(f"{path_of(study[0])}/bulk/7fe00010")


@pytest.mark.parametrize("accept", ["image/png", 'multipart/related; type="application/dicom"'])
def test_metadata_as_something_else_is_406(client, study, accept):
    answer = client.get(f"{levels(study[0])[0]}/metadata", accept)
    assert answer.status_code == 406
    assert "application/dicom+json" in answer.json["Details"]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_metadata_have_an_etag(client, study, level):
    path = f"{levels(study[0])[level]}/metadata"
    first = client.get(path)
    again = client.get(path, If_None_Match=first.headers["ETag"])
    assert (again.status_code, again.data) == (304, b"")
    assert client.get(path).headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_metadata_are_compressed_for_who_accepts_it(client, level):
    files = make_study(series=2, instances=40)
    client.stored(*files)
    path = f"{levels(files[0])[level]}/metadata"
    plain = client.get(path)
    for _ in range(2):
        packed = client.get(path, Accept_Encoding="gzip, deflate")
        if level < 2:
            assert packed.headers["Content-Encoding"] == "gzip"
            assert packed.headers["ETag"] != plain.headers["ETag"]
            assert "Accept-Encoding" in packed.headers["Vary"]
            assert len(packed.data) < len(plain.data) / 3
        content = packed.data
        if packed.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        assert content == plain.data
    refused = client.get(path, Accept_Encoding="gzip;q=0")
    assert "Content-Encoding" not in refused.headers


XML = 'multipart/related; type="application/dicom+xml"'


def documents(answer):
    """The XML documents of a multipart answer, compressed or not."""
    packed = answer.headers.get("Content-Encoding") == "gzip"
    body = gzip.decompress(answer.data) if packed else answer.data
    return [document for _, document in split_multipart(body, answer.content_type)]


@pytest.mark.parametrize("resource", [0, 1, 2, "studies", "series", "instances"])
def test_xml_is_compressed_for_who_accepts_it(client, resource):
    files = make_study(series=2, instances=40)
    client.stored(*files)
    search = isinstance(resource, str)
    path = f"/{resource}" if search else f"{levels(files[0])[resource]}/metadata"
    plain = client.get(path, XML)
    packed = client.get(path, XML, Accept_Encoding="gzip, deflate")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert documents(packed) == documents(plain)
    if len(plain.data) > 10_000:
        assert len(packed.data) < len(plain.data) / 3
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.headers["Vary"]
        assert search or answer.headers["ETag"].startswith("W/")
    if not search:
        assert packed.headers["ETag"] != plain.headers["ETag"]
        known = packed.headers["ETag"]
        again = client.get(path, XML, Accept_Encoding="gzip", If_None_Match=known)
        assert again.status_code == 304
    refused = client.get(path, XML, Accept_Encoding="gzip;q=0")
    assert "Content-Encoding" not in refused.headers


@pytest.mark.dicomweb_config({"HttpCompressionEnabled": False})
def test_compression_may_be_off(client):
    files = make_study(series=1, instances=40)
    client.stored(*files)
    path = f"{levels(files[0])[0]}/metadata"
    answer = client.get(path, Accept_Encoding="gzip")
    assert "Content-Encoding" not in answer.headers
    assert len(answer.json) == 40
    for each in (path, "/instances"):
        assert "Content-Encoding" not in client.get(each, XML, Accept_Encoding="gzip").headers


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("level", [0, 1])
def test_metadata_are_never_stale(tmp_path, cache, level):
    from dicomweb_server.testing.apps import temporary_app
    from tests.conftest import Client

    config = {"DicomWeb": {"EnableMetadataCache": cache}, "OverwriteInstances": "Always"}
    with temporary_app(tmp_path, config) as app:
        client = Client(app.test_client())
        files = make_study(series=1, instances=3, Rows=1)
        path = f"{levels(files[0])[level]}/metadata"
        etags = set()

        def rows():
            answer = client.get(path)
            etags.add(answer.headers["ETag"])
            return [a["00280010"]["Value"][0] for a in answer.json]

        client.stored(*files[:2])
        assert rows() == rows() == [1, 1]
        client.stored(files[2])
        assert rows() == [1, 1, 1]
        changed = read(files[1])
        changed.Rows = 9
        client.stored(write_dataset(changed))
        assert rows() == [1, 9, 1]
        client.call("DELETE", f"/{path_of(files[0])}")
        assert rows() == [9, 1]
        client.call("DELETE", levels(files[0])[0])
        assert client.get(path).status_code == 404
        client.stored(*files[:2])
        assert rows() == [1, 1]
        assert len(etags) == 5


def test_metadata_follow_the_host_that_was_called(client, study):
    path = f"{levels(study[0])[0]}/metadata"
    for host in ("localhost", "127.0.0.1:8042", "localhost:9999"):
        for _ in range(2):
            uri = client.get(path, Host=host).json[0]["7FE00010"]["BulkDataURI"]
            assert uri.startswith(f"http://{host}/dicom-web/")


@pytest.mark.dicomweb_config({"DicomJsonDecimalStrings": False})
def test_decimal_strings_may_be_numbers(client):
    data = make_instance(SliceThickness="2.50", PixelSpacing=["1", "1e-1"])
    client.stored(data)
    (found,) = client.get(f"/{path_of(data)}/metadata").json
    assert found["00180050"]["Value"] == [2.5]
    assert found["00280030"]["Value"] == [1, 0.1]


def test_decimal_strings_keep_their_text(client):
    data = make_instance(SliceThickness="2.50")
    client.stored(data)
    (found,) = client.get(f"/{path_of(data)}/metadata").json
    assert found["00180050"]["Value"] == ["2.50"]


@pytest.mark.parametrize(
    ("mode", "member"),
    [
        pytest.param(m, k, marks=pytest.mark.dicomweb_config({"DicomWeb": {"OtherBinaryMode": m}}))
        for m, k in (("BulkDataURI", "BulkDataURI"), ("InlineBinary", "InlineBinary"))
    ],
)
def test_other_binary_values(client, mode, member):
    data_set = make_dataset()
    data_set.add_new(0x00660016, "OF", b"\0\0\x80?\0\0\0@")
    data = write_dataset(data_set)
    client.stored(data)
    (found,) = client.get(f"/{path_of(data)}/metadata").json
    assert set(found["00660016"]) == {"vr", member}


@pytest.mark.dicomweb_config({"DicomWeb": {"OtherBinaryMode": "ArrayOfValues"}})
def test_other_binary_values_as_numbers(client):
    data_set = make_dataset()
    data_set.add_new(0x00660016, "OF", b"\0\0\x80?\0\0\0@")
    data = write_dataset(data_set)
    client.stored(data)
    (found,) = client.get(f"/{path_of(data)}/metadata").json
    assert found["00660016"]["Value"] == [1, 2]


# --- bulk data -----------------------------------------------------------------------------


@pytest.fixture
def values(client):
    item = Dataset()
    item.CodeValue = "INNER"
    data = make_instance(
        pixels=bytes(range(256)) * 40, PatientName="Doe^Jane", ConceptNameCodeSequence=[item]
    )
    client.stored(data)
    return data


@pytest.mark.parametrize(
    "path", ["7fe00010", "7FE00010", "7fe0-0010", "7fe0,0010", "PixelData", "7fe0%2C0010"]
)
def test_bulk_data_by_every_spelling(client, values, path):
    answer = client.get(f"/{path_of(values)}/bulk/{path}", "application/octet-stream")
    assert answer.status_code == 200
    assert answer.content_type == "application/octet-stream"
    assert answer.data == read(values).PixelData


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("PatientName", b"Doe^Jane"),
        ("00100010", b"Doe^Jane"),
        ("ConceptNameCodeSequence/1/CodeValue", b"INNER "),
        ("0040a043/1/00080100", b"INNER "),
    ],
)
def test_the_value_of_any_attribute(client, values, path, value):
    answer = client.get(f"/{path_of(values)}/bulk/{path}", "application/octet-stream")
    assert answer.data == value


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("PatientSex", 404),
        ("ConceptNameCodeSequence/2/CodeValue", 404),
        ("ConceptNameCodeSequence/0/CodeValue", 404),
        ("ConceptNameCodeSequence/1/PatientName", 404),
        ("ConceptNameCodeSequence/x/CodeValue", 400),
        ("ConceptNameCodeSequence/1", 400),
        ("NoSuchKeyword", 404),
        ("7fe0001", 404),
    ],
)
def test_bulk_data_that_are_not_there(client, values, path, status):
    answer = client.get(f"/{path_of(values)}/bulk/{path}")
    assert answer.status_code in ({400, 404} if status == 404 else {status})
    assert answer.json["Details"]


@pytest.mark.parametrize(
    "accept", ['multipart/related; type="application/octet-stream"', "multipart/related", "*/*"]
)
def test_bulk_data_as_multipart(client, values, accept):
    answer = client.get(f"/{path_of(values)}/bulk/7fe00010", accept)
    ((headers, data),) = split_multipart(answer.data, answer.content_type)
    assert headers["content-type"] == "application/octet-stream"
    assert data == read(values).PixelData


def test_a_range_of_bulk_data(client, values):
    path, accept = f"/{path_of(values)}/bulk/7fe00010", "application/octet-stream"
    pixels = read(values).PixelData
    answer = client.get(path, accept, Range="bytes=100-299")
    assert (answer.status_code, answer.data) == (206, pixels[100:300])
    assert answer.headers["Content-Range"] == f"bytes 100-299/{len(pixels)}"
    assert client.get(path, accept, Range="bytes=999999-").status_code == 416
    etag = answer.headers["ETag"]
    assert client.get(path, accept, If_None_Match=etag).status_code == 304


def test_encapsulated_pixel_data_come_by_frames(client):
    """PS3.18 8.7.3.3.2: neither offset tables nor fragments are anything to a client."""
    data = encapsulated()
    client.stored(data)
    stored = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
    answer = client.get(f"/{path_of(data)}/bulk/7fe00010", stored)
    assert parts(answer) == [b"frame one ", b"frame two!"]
    broken = client.get(f"/{path_of(data)}/bulk/7fe00010", "application/octet-stream")
    assert broken.status_code == 406
    assert "transfer-syntax=*" in broken.json["Details"]


@pytest.mark.parametrize("syntax", [BIG_ENDIAN, DEFLATED, IMPLICIT])
def test_bulk_data_are_little_endian_whatever_is_stored(client, syntax):
    data_set = make_dataset(Rows=2, Columns=2, BitsAllocated=16, SamplesPerPixel=1)
    data_set.PixelData = bytes([1, 2, 3, 4, 5, 6, 7, 8])
    data_set["PixelData"].VR = "OW"
    data = write_dataset(data_set, syntax)
    client.stored(data)
    answer = client.get(f"/{path_of(data)}/bulk/7fe00010", "application/octet-stream")
    swapped = bytes([2, 1, 4, 3, 6, 5, 8, 7])
    assert answer.data == (swapped if syntax == BIG_ENDIAN else bytes(range(1, 9)))
    some = client.get(
        f"/{path_of(data)}/bulk/7fe00010", "application/octet-stream", Range="bytes=3-5"
    )
    assert some.data == answer.data[3:6]


# --- one UID under two patients ------------------------------------------------------------


def test_one_instance_under_two_patients(client):
    uids = dict(
        zip(
            ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
            uids_of(make_instance()),
            strict=True,
        )
    )
    files = [make_instance(**uids, PatientID=each, pixels=bytes(10)) for each in ("A", "B")]
    client.stored(*files)
    assert sorted(parts(client.get(f"/{path_of(files[0])}", STORED))) == sorted(files)
    assert len(client.get(f"/{path_of(files[0])}/metadata").json) == 2
    assert client.get(f"/{path_of(files[0])}", "application/dicom").status_code == 409
    assert client.get(f"/{path_of(files[0])}/bulk/7fe00010").status_code == 409


# --- deleting ------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0, 1, 2])
def test_deleting(client, dicomweb_context, study, level):
    path = levels(study[0])[level]
    gone = {0: study, 1: study[:3], 2: study[:1]}[level]
    answer = client.call("DELETE", path)
    assert (answer.status_code, answer.data) == (204, b"")
    for data in study:
        assert client.original(data).status_code == (404 if data in gone else 200)
    assert client.call("DELETE", path).status_code == 404
    (store,) = dicomweb_context.providers.storages.values()
    assert len(list(store.iterate())) == 6 - len(gone)
    assert dicomweb_context.index.verify() == []
    client.stored(*study)
    assert client.original(study[0]).data == study[0]


def test_deleting_what_is_not_there(client):
    assert client.call("DELETE", f"/studies/{new_uid()}").status_code == 404


def test_a_server_for_reading_deletes_nothing(tmp_path):
    from dicomweb_server.testing.apps import temporary_app
    from tests.conftest import Client

    data = make_instance()
    with temporary_app(tmp_path) as app:
        Client(app.test_client()).stored(data)
    with temporary_app(tmp_path, {"ReadOnly": True}) as app:
        client = Client(app.test_client())
        for path in levels(data):
            answer = client.call("DELETE", path)
            assert answer.status_code == 405
            assert "DELETE" not in answer.headers["Allow"]
        assert client.original(data).data == data


def test_a_file_that_is_gone_is_told(client, dicomweb_context, study):
    (store,) = dicomweb_context.providers.storages.values()
    for info in list(store.iterate()):
        store.delete(info.key)
    answer = client.original(study[0])
    assert answer.status_code == 503
    assert answer.json["Details"]
    assert client.get(levels(study[0])[0]).status_code == 503


def test_a_range_is_for_get_alone(client):
    data = make_instance()
    client.stored(data)
    headers = {"Accept": "application/dicom; transfer-syntax=*", "Range": "bytes=0-9"}
    answer = client.call("HEAD", f"/{path_of(data)}", headers=headers)
    assert answer.status_code == 200
    assert answer.content_length == len(data)
