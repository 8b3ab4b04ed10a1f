"""Compressed Pixel Data as bulk data (PS3.18 8.7.3.3): frames in their media type, or decoded."""

import pytest
from pydicom.encaps import encapsulate, generate_frames

from dicomweb_server.imaging import pack
from dicomweb_server.testing.dicom import (
    EXPLICIT,
    make_dataset,
    make_instance,
    make_picture,
    path_of,
    read,
    split_multipart,
    write_dataset,
)
from dicomweb_server.testing.frames import make_format, make_image

OCTETS = "application/octet-stream"
MANY = f'multipart/related; type="{OCTETS}"'
STORED = f"{MANY}; transfer-syntax=*"
RLE, JPEG_LS, VIDEO = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.102"
UIDS = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}


def compressed(client, syntax, count):
    """Stores a picture in a transfer syntax; its file, and the native bytes of its frames."""
    made = [make_image(make_format(12)) for _ in range(count)]
    for number, image in enumerate(made):
        image.pixels[0, 0] = number
    native = make_picture(made, EXPLICIT)
    client.stored(native)
    answer = client.get(f"/{path_of(native)}", f"application/dicom; transfer-syntax={syntax}")
    assert client.call("DELETE", f"/{path_of(native)}").status_code == 204
    client.stored(answer.data)
    return answer.data, [pack(image) for image in made]


def frames_of(data):
    file = read(data)
    return list(
        generate_frames(file.PixelData, number_of_frames=int(file.get("NumberOfFrames", 1)))
    )


def parts(answer):
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return split_multipart(answer.data, answer.content_type)


@pytest.mark.parametrize("where", ["bulk/7fe00010", "bulkdata"])
@pytest.mark.parametrize(
    ("syntax", "media_type"), [(RLE, "image/dicom-rle"), (JPEG_LS, "image/jls")]
)
def test_a_part_for_each_frame_in_its_media_type(client, where, syntax, media_type):
    data, _ = compressed(client, syntax, 3)
    for accept in (STORED, f'multipart/related; type="{media_type}"'):
        found = parts(client.get(f"/{path_of(data)}/{where}", accept))
        assert [value for _, value in found] == frames_of(data)
        for number, (headers, value) in enumerate(found, 1):
            assert headers["content-type"] == f"{media_type}; transfer-syntax={syntax}"
            path = headers["content-location"].partition("/dicom-web")[2]
            assert path == f"/{path_of(data)}/frames/{number}"
            ((_, alone),) = parts(client.get(path, accept))
            assert alone == value


@pytest.mark.parametrize("where", ["bulk/7fe00010", "bulkdata"])
@pytest.mark.parametrize("accept", [MANY, "*/*", None])
def test_without_a_transfer_syntax_octets_are_native(client, where, accept):
    data, native = compressed(client, RLE, 3)
    ((headers, value),) = parts(client.get(f"/{path_of(data)}/{where}", accept))
    assert value == b"".join(native)
    assert headers["content-type"] == OCTETS
    assert headers["content-location"].endswith("/bulk/7fe00010")


def test_native_octets_have_ranges(client):
    data, native = compressed(client, RLE, 3)
    whole, path = b"".join(native), f"/{path_of(data)}/bulk/7fe00010"
    answer = client.get(path, OCTETS)
    assert (answer.data, answer.content_type) == (whole, OCTETS)
    start, end = len(native[0]) - 3, len(native[0]) * 2 + 4
    answer = client.get(path, OCTETS, Range=f"bytes={start}-{end}")
    assert (answer.status_code, answer.data) == (206, whole[start : end + 1])
    again = client.get(path, OCTETS, If_None_Match=answer.headers["ETag"])
    assert again.status_code == 304
    assert client.get(path, MANY).headers["ETag"] != answer.headers["ETag"]


def test_one_frame_may_be_a_single_part(client):
    data, _ = compressed(client, JPEG_LS, 1)
    answer = client.get(f"/{path_of(data)}/bulk/7fe00010", "image/jls")
    assert answer.data == frames_of(data)[0]
    assert answer.content_type == f"image/jls; transfer-syntax={JPEG_LS}"


def test_other_values_stay_octets(client):
    data, _ = compressed(client, RLE, 2)
    uids = {key: str(read(data)[key].value) for key in UIDS}
    document = make_dataset(**uids, PatientID=read(data).PatientID)
    document.add_new(0x00420011, "OB", b"document")
    client.stored(write_dataset(document))
    study = f"/studies/{uids['StudyInstanceUID']}/bulkdata"
    found = parts(client.get(study, STORED))
    assert sorted(value for _, value in found) == sorted([*frames_of(data), b"document"])
    refused = client.get(study, 'multipart/related; type="image/dicom-rle"')
    assert refused.status_code == 406
    assert OCTETS in refused.json["Details"]


@pytest.mark.parametrize("where", ["bulk/7fe00010", "bulkdata"])
def test_what_cannot_be_had_names_what_can(client, where):
    data, _ = compressed(client, RLE, 2)
    refused = client.get(f"/{path_of(data)}/{where}", 'multipart/related; type="image/jp2"')
    assert refused.status_code == 406
    assert "image/dicom-rle" in refused.json["Details"]
    assert OCTETS in refused.json["Details"]


def test_a_video_is_one_stream(client):
    data_set = make_dataset(**UIDS, Rows=4, Columns=4, NumberOfFrames=9)
    data_set.PixelData = encapsulate([b"begin ", b"middle", b"ending"], has_bot=False)
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    data = write_dataset(data_set, VIDEO)
    client.stored(data)
    path = f"/{path_of(data)}/bulk/7fe00010"
    ((headers, value),) = parts(client.get(path))
    assert value == b"begin middleending"
    assert headers["content-type"] == f"video/mp4; transfer-syntax={VIDEO}"
    answer = client.get(path, "video/mp4", Range="bytes=4-13")
    assert (answer.status_code, answer.data) == (206, b"n middleen")
    for found in (parts(client.get(f"/{path_of(data)}/bulkdata")), parts(client.get(path))):
        assert [value for _, value in found] == [b"begin middleending"]
        location = found[0][0]["content-location"]
        assert client.get(location.partition("/dicom-web")[2]).status_code == 200


def test_native_pixel_data_are_as_ever(client):
    data = make_instance(pixels=bytes(range(100)))
    client.stored(data)
    ((headers, value),) = parts(client.get(f"/{path_of(data)}/bulkdata", MANY))
    assert (headers["content-type"], value) == (OCTETS, bytes(range(100)))
