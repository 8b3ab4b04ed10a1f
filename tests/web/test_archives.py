"""ZIP archives, and the bulk and pixel data of whole resources."""

import io
import zipfile

import pydicom
import pytest
from pydicom.data import get_testdata_file

from dicomweb_server.testing.dicom import (
    make_dataset,
    make_instance,
    make_study,
    path_of,
    split_multipart,
    uids_of,
    write_dataset,
)

OCTETS = 'multipart/related; type="application/octet-stream"'


def study_of(data):
    return path_of(data).split("/series")[0]


def unzipped(answer):
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def parts_of(answer):
    assert answer.status_code == 200, answer.data
    return split_multipart(answer.data, answer.content_type)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_an_archive_holds_the_stored_bytes_under_readable_names(client, depth):
    files = make_study(
        series=2,
        instances=2,
        PatientID="P/1",
        PatientName="Doe^Jane",
        StudyDescription="Knee: left",
    )
    client.stored(*files)
    resource = "/".join(path_of(files[0]).split("/")[: 2 * depth])
    expected = {1: files, 2: files[:2], 3: files[:1]}[depth]
    found = unzipped(client.get(f"/{resource}", "application/zip; transfer-syntax=*"))
    assert sorted(found.values()) == sorted(expected)
    for name in found:
        assert name.endswith(".dcm")
        assert "Doe Jane" in name
        assert "Knee_ left" in name
        assert len(name.split("/")) == 4


def test_equal_names_are_told_apart(client):
    uids = {"PatientID": "P", "StudyInstanceUID": "1.2"}
    files = [make_instance(**uids, InstanceNumber=1, SeriesNumber=1) for _ in range(3)]
    client.stored(*files)
    found = unzipped(client.get("/studies/1.2", "application/zip;transfer-syntax=*"))
    assert sorted(found.values()) == sorted(files)


def test_names_cannot_leave_the_folder(client):
    data = make_instance(PatientID="../../etc", StudyDescription="..\\..\\x", SeriesDescription="/")
    client.stored(data)
    (name,) = unzipped(client.get(f"/{study_of(data)}", "application/zip"))
    assert not any(piece in ("..", ".", "") for piece in name.split("/"))
    assert "\\" not in name


def test_with_a_directory_for_media(client):
    files = make_study(series=2, instances=2, PatientID="P", PatientName="Doe", StudyID="1")
    client.stored(*files)
    answer = client.get(f"/{study_of(files[0])}?dicomdir=true", "application/zip;transfer-syntax=*")
    found = unzipped(answer)
    directory = pydicom.dcmread(io.BytesIO(found.pop("DICOMDIR")))
    assert sorted(found.values()) == sorted(files)
    listed = {
        "/".join(record.ReferencedFileID): record.ReferencedSOPInstanceUIDInFile
        for record in directory.DirectoryRecordSequence
        if "ReferencedFileID" in record
    }
    assert listed == {name: uids_of(data)[2] for name, data in found.items()}
    assert all(len(piece) <= 8 for name in found for piece in name.split("/"))


def test_archives_of_nothing_and_of_nonsense(client):
    assert client.get("/studies/1.2.3", "application/zip").status_code == 404
    data = make_instance()
    client.stored(data)
    assert client.get(f"/{study_of(data)}?dicomdir=1", "application/zip").status_code == 400


def with_bulk():
    data = make_dataset(StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3")
    data.add_new(0x00420011, "OB", b"document")
    data.add_new(0x00420012, "LO", "application/pdf")
    item = pydicom.Dataset()
    item.add_new(0x60010010, "LO", "ACME")
    item.add_new(0x60011001, "OB", b"inner!")
    data.add_new(0x00400275, "SQ", [item])
    return write_dataset(data)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_all_bulk_data_under_their_addresses(client, depth):
    data, image = (
        with_bulk(),
        make_instance(StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3", pixels=bytes(range(100))),
    )
    client.stored(data, image)
    resource = "/".join(path_of(data).split("/")[: 2 * depth])
    found = parts_of(client.get(f"/{resource}/bulkdata", OCTETS))
    values = [value for _, value in found]
    expected = [b"inner!", b"document"] + ([bytes(range(100))] if depth < 3 else [])
    assert sorted(values) == sorted(expected)
    for headers, value in found:
        path = headers["content-location"].partition("/dicom-web")[2]
        alone = parts_of(client.get(path, OCTETS))
        assert [one for _, one in alone] == [value]


def test_resources_without_bulk_data(client):
    data = make_instance()
    client.stored(data)
    for name in ("bulkdata", "pixeldata"):
        assert client.get(f"/{path_of(data)}/{name}").status_code == 404
        assert client.get(f"/studies/9.9/{name}").status_code == 404


def test_native_pixel_data_are_one_part(client):
    data = make_instance(pixels=bytes(range(200)))
    client.stored(data)
    ((headers, value),) = parts_of(client.get(f"/{study_of(data)}/pixeldata"))
    assert value == bytes(range(200))
    (metadata,) = client.get(f"/{study_of(data)}/metadata").json
    assert headers["content-location"] == metadata["7FE00010"]["BulkDataURI"]


def test_compressed_pixel_data_are_a_part_for_each_frame(client):
    path = get_testdata_file("SC_rgb_rle_2frame.dcm")
    dataset = pydicom.dcmread(path)
    with open(path, "rb") as file:
        data = file.read()
    client.stored(data)
    resource = f"studies/{dataset.StudyInstanceUID}"
    found = parts_of(client.get(f"/{resource}/pixeldata"))
    frames = list(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=2))
    assert [value for _, value in found] == frames
    assert found[0][0]["content-type"].startswith(
        "image/dicom-rle; transfer-syntax=1.2.840.10008.1.2.5"
    )
    assert found[1][0]["content-location"].endswith("/frames/2")
    accepted = 'multipart/related; type="image/dicom-rle"'
    assert client.get(f"/{resource}/pixeldata", accepted).status_code == 200
    refused = client.get(f"/{resource}/pixeldata", 'multipart/related; type="image/jp2"')
    assert refused.status_code == 406
    assert "image/dicom-rle" in refused.json["Details"]
