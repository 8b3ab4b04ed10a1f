"""Studies and series rendered: by what stands for all, or a part of each instance."""

from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate

from dicomweb_server.testing.dicom import (
    make_dataset,
    make_instance,
    make_picture,
    new_uid,
    path_of,
    read,
    split_multipart,
    uids_of,
    write_dataset,
)
from dicomweb_server.testing.frames import make_format, make_image

JPEG_LS = "1.2.840.10008.1.2.4.80"
MANY = 'multipart/related; type="image/jpeg"'
PDF = b"%PDF-1.4 " + bytes(5000)
MPEG4 = "1.2.840.10008.1.2.4.102"


def grey(count=1, stored=12, **attributes):
    return make_picture([make_image(make_format(stored)) for _ in range(count)], **attributes)


def short(**attributes):
    """Pixel data that ends within its only frame."""
    data_set = read(grey(**attributes))
    data_set.PixelData = data_set.PixelData[:20]
    return write_dataset(data_set)


def without_size(**attributes):
    data_set = read(grey(**attributes))
    data_set.Rows = 0
    return write_dataset(data_set)


def wide(**attributes):
    data_set = read(grey(**attributes))
    data_set.Columns = 65535
    return write_dataset(data_set)


def undecodable(**attributes):
    data_set = read(grey(**attributes))
    data_set.PixelData = encapsulate([b"\xff\xd8 nothing more"])
    return write_dataset(data_set, JPEG_LS)


DAMAGED = (short, without_size, wide, undecodable)


def pdf(**attributes):
    data_set = make_dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1",
        MIMETypeOfEncapsulatedDocument="application/pdf",
        **attributes,
    )
    data_set.EncapsulatedDocument = PDF + b"\0"
    data_set.EncapsulatedDocumentLength = len(PDF)
    return write_dataset(data_set)


def report(**attributes):
    data_set = read(Path(get_testdata_file("reportsi.dcm")).read_bytes())
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    return write_dataset(data_set)


def video(**attributes):
    data_set = read(grey(**attributes))
    data_set.PixelData = encapsulate([b"a stream of a film"], has_bot=False)
    return write_dataset(data_set, MPEG4)


def parts_of(answer):
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return split_multipart(answer.data, answer.content_type)


def test_a_study_is_shown_by_the_middle_of_its_longest_series(client):
    study = {"StudyInstanceUID": new_uid()}
    series = [
        [
            grey(
                StudyInstanceUID=study["StudyInstanceUID"],
                SeriesInstanceUID=uid,
                InstanceNumber=number,
                Modality=modality,
                WindowCenter=number,
                WindowWidth=100,
            )
            for number in range(1, count + 1)
        ]
        for uid, count, modality in (
            (new_uid(), 2, "CT"),
            (new_uid(), 3, "CT"),
            (new_uid(), 5, "SEG"),
        )
    ]
    client.stored(*(file for files in series for file in files))
    middle = series[1][1]
    path, of_series, _ = uids_of(middle)
    expected = client.get(f"/{path_of(middle)}/rendered").data
    assert client.get(f"/studies/{path}/rendered").data == expected
    assert client.get(f"/studies/{path}/series/{of_series}/rendered").data == expected
    thumbnail = client.get(f"/studies/{path}/thumbnail")
    assert thumbnail.data == client.get(f"/{path_of(middle)}/thumbnail").data
    answer = client.get(f"/studies/{path}/rendered", MANY)
    assert len(split_multipart(answer.data, answer.content_type)) == 10


def test_a_damaged_instance_does_not_stand_for_its_series(client):
    uids = {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    files = [
        grey(**uids, InstanceNumber=number, WindowCenter=100 * number, WindowWidth=100)
        for number in range(1, 8)
    ]
    middle, beside = files[3], files[2]
    damage = read(middle)
    damage.PixelData = encapsulate([b"\xff\xd8 nothing more"])
    client.stored(*files[:3], write_dataset(damage, JPEG_LS), *files[4:])
    refused = client.get(f"/{path_of(middle)}/rendered")
    assert refused.status_code == 406
    study, series, _ = uids_of(middle)
    for below in ("rendered", "thumbnail"):
        expected = client.get(f"/{path_of(beside)}/{below}").data
        for path in (f"/studies/{study}", f"/studies/{study}/series/{series}"):
            answer = client.get(f"{path}/{below}")
            assert (answer.status_code, answer.data) == (200, expected)
            again = client.get(f"{path}/{below}", If_None_Match=answer.headers["ETag"])
            assert again.status_code == 304


def test_pictures_are_tried_a_few_times_only(client):
    uids = {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    damage = read(grey(**uids))
    damage.PixelData = encapsulate([b"\xff\xd8 nothing more"])
    for number in range(20):
        damage.SOPInstanceUID = damage.file_meta.MediaStorageSOPInstanceUID = new_uid()
        damage.InstanceNumber = number
        client.stored(write_dataset(damage, JPEG_LS))
    for below in ("rendered", "thumbnail"):
        answer = client.get(f"/studies/{uids['StudyInstanceUID']}/{below}")
        assert answer.status_code == 406
        assert "JPEG" in answer.json["Details"]


def test_a_rendered_study_tells_how_many_instances_have_no_picture(client):
    study = {"StudyInstanceUID": new_uid()}
    client.stored(grey(**study), make_instance(**study), make_instance(**study), grey(**study))
    answer = client.get(f"/studies/{study['StudyInstanceUID']}/rendered", MANY)
    assert len(split_multipart(answer.data, answer.content_type)) == 2
    assert "2 instances have no pictures" in answer.headers["Warning"]
    nothing = make_instance()
    client.stored(nothing)
    assert client.get(f"/studies/{uids_of(nothing)[0]}/rendered", MANY).status_code == 406


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_frame_that_should_be_there_is_not_acceptable_rather_than_unknown(client, damage):
    data = damage()
    client.stored(data)
    for below in ("rendered", "thumbnail", "frames/1/rendered", "frames/1/thumbnail"):
        answer = client.get(f"/{path_of(data)}/{below}")
        assert (answer.status_code, answer.json["HttpStatus"]) == (406, 406)
    assert client.get(f"/{path_of(data)}/frames/2/rendered").status_code == 404


@pytest.mark.parametrize("damage", DAMAGED)
def test_another_instance_stands_in_for_any_damaged_one(client, damage):
    uids = {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    files = [grey(**uids, InstanceNumber=1), damage(**uids, InstanceNumber=2)]
    client.stored(*files)
    study, series, _ = uids_of(files[0])
    for below in ("rendered", "thumbnail"):
        expected = client.get(f"/{path_of(files[0])}/{below}").data
        for path in (f"/studies/{study}", f"/studies/{study}/series/{series}"):
            answer = client.get(f"{path}/{below}")
            assert (answer.status_code, answer.data) == (200, expected)


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_instances_are_left_out_of_the_parts_and_counted(client, damage):
    study = {"StudyInstanceUID": new_uid()}
    files = [grey(**study), damage(**study), grey(**study)]
    client.stored(*files)
    answer = client.get(f"/studies/{study['StudyInstanceUID']}/rendered", MANY)
    places = [headers["content-location"] for headers, _ in parts_of(answer)]
    assert sorted(place.partition("/dicom-web")[2] for place in places) == sorted(
        f"/{path_of(each)}/rendered" for each in (files[0], files[2])
    )
    assert "1 instances cannot be rendered" in answer.headers["Warning"]


def test_a_study_of_damaged_instances_alone_says_what_is_the_matter(client):
    study = {"StudyInstanceUID": new_uid()}
    client.stored(*(damage(**study) for damage in DAMAGED))
    answer = client.get(f"/studies/{study['StudyInstanceUID']}/rendered", MANY)
    assert answer.status_code == 406
    assert "there is nothing" not in answer.json["Details"]


def test_who_takes_no_picture_gets_the_documents_of_a_study(client):
    study = {"StudyInstanceUID": new_uid()}
    files = [grey(**study), pdf(**study), pdf(**study), report(**study), video(**study)]
    client.stored(*files)
    path = f"/studies/{study['StudyInstanceUID']}/rendered"
    assert client.get(path).content_type == "image/jpeg"
    assert client.get(path, "application/pdf").data == PDF
    assert client.get(path, "text/html").content_type == "text/html; charset=utf-8"
    assert "Enter text" in client.get(path, "text/plain").get_data(as_text=True)
    assert client.get(path, "video/mp4").data.startswith(b"a stream of a film")
    assert client.get(f"{path}?accept=application/pdf", "*/*").data == PDF
    assert client.get(path, "application/pdf, image/png;q=0.2").data == PDF
    assert client.get(path, "application/pdf;q=0.2, image/png").content_type == "image/png"
    browser = "text/html,application/xml;q=0.9,image/webp,*/*;q=0.8"
    assert client.get(path, browser).content_type == "image/webp"
    answer = client.get(path, 'multipart/related; type="application/pdf"')
    found = parts_of(answer)
    assert [data for _, data in found] == [PDF, PDF]
    assert {headers["content-type"] for headers, _ in found} == {"application/pdf"}
    places = {headers["content-location"].partition("/dicom-web")[2] for headers, _ in found}
    assert places == {f"/{path_of(each)}/rendered" for each in files[1:3]}
    again = client.get(
        path, 'multipart/related; type="application/pdf"', If_None_Match=answer.headers["ETag"]
    )
    assert again.status_code == 304
    refused = client.get(path, "model/stl")
    assert refused.status_code == 406
    for possible in ("image/jpeg", "application/pdf", "text/html", "video/mp4"):
        assert possible in refused.json["Details"]


@pytest.mark.parametrize(
    ("make", "media_type"),
    [(pdf, "application/pdf"), (report, "text/html"), (video, "video/mp4")],
)
def test_a_study_without_pictures_is_shown_by_what_it_has(client, make, media_type):
    data = make(StudyInstanceUID=new_uid(), SeriesInstanceUID=new_uid())
    client.stored(data)
    alone = client.get(f"/{path_of(data)}/rendered")
    study, series, _ = uids_of(data)
    for path in (f"/studies/{study}/rendered", f"/studies/{study}/series/{series}/rendered"):
        answer = client.get(path)
        assert answer.content_type.partition(";")[0] == media_type
        assert answer.data == alone.data
        for wanted in (f'multipart/related; type="{media_type}"', "multipart/related"):
            assert [part for _, part in parts_of(client.get(path, wanted))] == [alone.data]
        assert client.get(path, "image/jpeg").status_code == 406
