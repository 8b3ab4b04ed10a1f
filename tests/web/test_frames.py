"""Retrieve Frames: as stored, decoded, encoded; what is asked for decides."""

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames

from dicomweb_server.imaging import pack
from dicomweb_server.testing.dicom import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    make_dataset,
    make_picture,
    path_of,
    read,
    split_multipart,
    write_dataset,
)
from dicomweb_server.testing.frames import make_format, make_image

OCTETS = "application/octet-stream"
MANY = f'multipart/related; type="{OCTETS}"'
STORED = "application/dicom; transfer-syntax=*"
JPEG_LS, JPEG_2000, RLE = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"


def images(count=3, **kind):
    made = [make_image(make_format(12, **kind)) for _ in range(count)]
    for number, image in enumerate(made):
        image.pixels[0, 0] = number
    return made


@pytest.fixture
def stored(client):
    """Stores a picture; gives the path of its frames and the native bytes of each."""

    def store(transfer_syntax=EXPLICIT, count=3, target=None, **kind):
        made = images(count, **kind)
        data = make_picture(made, transfer_syntax)
        client.stored(data)
        if target is not None:
            answer = client.get(f"/{path_of(data)}", f"application/dicom; transfer-syntax={target}")
            assert answer.status_code == 200, answer.json
            assert client.call("DELETE", f"/{path_of(data)}").status_code == 204
            client.stored(answer.data)
        return f"/{path_of(data)}/frames", [pack(image) for image in made]

    return store


def with_frames(data_set, transfer_syntax, *frames):
    """A file whose compressed frames are made up."""
    data_set.PixelData = encapsulate(list(frames))
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    return write_dataset(data_set, transfer_syntax)


def listed(answer):
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return split_multipart(answer.data, answer.content_type)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED])
def test_native_frames_are_little_endian_whatever_is_stored(client, stored, syntax):
    path, frames = stored(syntax)
    for headers, data in listed(client.get(f"{path}/2", MANY)):
        assert data == frames[1]
        assert headers["content-type"] == f"{OCTETS}; transfer-syntax={EXPLICIT}"
        assert headers["content-location"].endswith(f"{path}/2")
    answer = client.get(f"{path}/3", OCTETS)
    assert (answer.data, answer.content_type) == (
        frames[2],
        f"{OCTETS}; transfer-syntax={EXPLICIT}",
    )


def test_who_takes_any_image_gets_one_that_most_clients_know(client, stored):
    path, _ = stored()
    answer = client.get(f"{path}/1", "image/*")
    assert answer.content_type == "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.70"


def test_order_and_repetitions_are_kept(client, stored):
    path, frames = stored()
    answer = client.get(f"{path}/3,1,1")
    assert [data for _, data in listed(answer)] == [frames[2], frames[0], frames[0]]
    assert answer.content_length == len(answer.data)
    assert [data for _, data in listed(client.get(f"{path}/2%2C1"))] == [frames[1], frames[0]]


def test_without_a_list_all_frames_come(client, stored):
    path, frames = stored()
    answer = client.get(path)
    assert [data for _, data in listed(answer)] == frames
    assert answer.headers["Content-Location"].endswith(path)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("0", 400),
        ("-1", 400),
        ("x", 400),
        ("1,", 400),
        ("4", 404),
        ("1,9", 404),
        ("1.5", 400),
        ("9" * 40, 404),
    ],
)
def test_frames_that_cannot_be(client, stored, text, status):
    path, _ = stored()
    answer = client.get(f"{path}/{text}")
    assert answer.status_code == status
    assert answer.json["HttpStatus"] == status


def test_an_instance_without_pixel_data_has_no_frames(client):
    data = write_dataset(make_dataset())
    client.stored(data)
    answer = client.get(f"/{path_of(data)}/frames/1")
    assert answer.status_code == 404
    assert "no pixel data" in answer.json["Details"]


@pytest.mark.parametrize("syntax", [JPEG_LS, JPEG_2000, RLE])
class TestCompressed:
    def test_who_takes_anything_gets_native_frames(self, client, stored, syntax):
        path, frames = stored(target=syntax)
        for accept in (None, "*/*", MANY, "multipart/related", OCTETS):
            answer = client.get(f"{path}/2", accept)
            data = answer.data if accept == OCTETS else listed(answer)[0][1]
            assert data == frames[1], accept

    def test_who_takes_the_stored_form_gets_it(self, client, stored, syntax):
        path, _ = stored(target=syntax)
        media_type = {JPEG_LS: "image/jls", JPEG_2000: "image/jp2", RLE: "image/dicom-rle"}[syntax]
        expected = f"{media_type}; transfer-syntax={syntax}"
        for accept in (
            f"{MANY}; transfer-syntax=*",
            f'multipart/related; type="{media_type}"',
            f"{MANY}; transfer-syntax={syntax}",
            f'{MANY}, multipart/related; type="{media_type}"',
        ):
            headers, _ = listed(client.get(f"{path}/1", accept))[0]
            assert headers["content-type"] == expected, accept
        assert client.get(f"{path}/1", media_type).content_type == expected

    def test_who_takes_any_image_gets_the_stored_one(self, client, stored, syntax):
        path, _ = stored(target=syntax)
        for accept in ("image/*", 'multipart/related; type="image/*"'):
            answer = client.get(f"{path}/1", accept)
            single = accept == "image/*"
            sent = answer.content_type if single else listed(answer)[0][0]["content-type"]
            assert sent.endswith(f"transfer-syntax={syntax}"), accept

    def test_the_stored_form_is_not_sent_to_who_refuses_it(self, client, stored, syntax):
        path, frames = stored(target=syntax)
        media_type = {JPEG_LS: "image/jls", JPEG_2000: "image/jp2", RLE: "image/dicom-rle"}[syntax]
        accept = f'multipart/related; type="{media_type}"; q=0, {MANY}; transfer-syntax={EXPLICIT}'
        assert listed(client.get(f"{path}/1", accept))[0][1] == frames[0]

    def test_native_frames_are_encoded_when_that_is_asked(self, client, stored, syntax):
        path, frames = stored()
        answer = client.get(f"{path}/2", f"{MANY}; transfer-syntax={syntax}")
        ((_, encoded),) = listed(answer)
        assert len(encoded) < len(frames[1])
        again, _ = stored(target=syntax)
        ((_, same),) = listed(client.get(f"{again}/2", f"{MANY}; transfer-syntax=*"))
        assert len(same) in (len(encoded), len(encoded) + 1)  # an even number in a file

    def test_what_cannot_be_had_is_refused_with_what_can(self, client, stored, syntax):
        path, _ = stored(target=syntax)
        answer = client.get(
            f"{path}/1",
            'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50',
        )
        assert answer.status_code == 406
        assert "Possible" in answer.json["Details"]
        assert client.get(f"{path}/1", "text/html").status_code == 406


def test_answers_can_be_conditional(client, stored):
    path, _ = stored()
    tag = client.get(f"{path}/1", OCTETS).headers["ETag"]
    assert client.get(f"{path}/1", OCTETS, If_None_Match=tag).status_code == 304
    assert client.get(f"{path}/2", OCTETS, If_None_Match=tag).status_code == 200


def test_a_single_frame_can_be_had_in_ranges(client, stored):
    path, frames = stored()
    answer = client.get(f"{path}/1", OCTETS, Range="bytes=10-19")
    assert (answer.status_code, answer.data) == (206, frames[0][10:20])


def test_one_bit_frames_that_do_not_begin_with_a_byte(client):
    form = make_format(1, rows=3, columns=3)
    made = [make_image(form, noise=True) for _ in range(3)]
    made[1].pixels[:] = 1 - made[0].pixels
    data_set = read(make_picture(made))
    bits = np.concatenate([image.pixels.reshape(-1) for image in made])
    packed = np.packbits(bits, bitorder="little").tobytes()
    data_set.PixelData = packed + b"\0" * (len(packed) % 2)
    data = write_dataset(data_set)
    client.stored(data)
    for number, image in enumerate(made, 1):
        answer = client.get(f"/{path_of(data)}/frames/{number}", OCTETS)
        assert answer.data == pack(image)


def test_what_was_decoded_is_kept_until_the_instance_is_deleted(client, stored, tmp_path):
    path, frames = stored(target=JPEG_LS)
    assert client.get(f"{path}/1", OCTETS).data == frames[0]
    kept = [file for file in tmp_path.rglob("cache/frames/*/*/*") if file.is_file()]
    assert kept
    assert client.get(f"{path}/1", OCTETS).data == frames[0]
    client.call("DELETE", path.removesuffix("/frames"))
    assert not any(file.exists() for file in kept)


def test_videos_have_no_single_frames(client):
    data_set = make_dataset(
        Rows=16,
        Columns=16,
        SamplesPerPixel=3,
        BitsAllocated=8,
        NumberOfFrames=5,
        PhotometricInterpretation="YBR_PARTIAL_420",
    )
    data = with_frames(data_set, "1.2.840.10008.1.2.4.102", b"\0\0\1\xb3" + bytes(60))
    client.stored(data)
    for path in ("/frames/1", "/frames/1/rendered"):
        answer = client.get(f"/{path_of(data)}{path}")
        assert answer.status_code == 406
        assert f"{path_of(data)}/rendered" in answer.json["Details"]
    video = client.get(f"/{path_of(data)}/rendered", Range="bytes=0-3")
    assert (video.status_code, video.data) == (206, b"\0\0\1\xb3")
    assert video.content_type == "video/mp4"


def test_a_damaged_frame_is_a_sentence_and_no_failure(client):
    file = get_testdata_file("JPEG2000.dcm")
    data_set = dcmread(file)
    data_set.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(300)])
    data = write_dataset(data_set, str(data_set.file_meta.TransferSyntaxUID))
    client.stored(data)
    answer = client.get(f"/{path_of(data)}/frames/1")
    assert answer.status_code == 406
    assert client.get(f"/{path_of(data)}/frames/1", f"{MANY}; transfer-syntax=*").status_code == 200


def test_a_bomb_is_refused_before_it_is_decoded(client):
    data_set = make_dataset(
        Rows=65535,
        Columns=65535,
        SamplesPerPixel=1,
        BitsAllocated=16,
        BitsStored=16,
        HighBit=15,
        PixelRepresentation=0,
        PhotometricInterpretation="MONOCHROME2",
    )
    data = with_frames(data_set, JPEG_LS, bytes(100))
    client.stored(data)
    for path in ("frames/1", "rendered", "thumbnail"):
        answer = client.get(f"/{path_of(data)}/{path}")
        assert answer.status_code == 406
        assert "MaximumFrameSizeMB" in answer.json["Details"]


def test_more_frames_are_declared_than_there_are(client):
    data = make_picture(images(2), NumberOfFrames=2**31 - 1)
    client.stored(data)
    path = f"/{path_of(data)}"
    for way, accept in (
        ("/frames", MANY),
        ("/rendered", "image/gif"),
        ("/rendered", 'multipart/related; type="image/jpeg"'),
        ("", f"application/dicom; transfer-syntax={JPEG_LS}"),
    ):
        answer = client.get(path + way, accept)
        assert answer.status_code == 406
        assert "2147483647" in answer.json["Details"]
    assert client.get(f"{path}/frames/2", OCTETS).status_code == 200


def test_a_damaged_frame_behind_a_good_one_is_no_broken_answer(client, stored):
    path, _ = stored(target=JPEG_LS)
    data_set = read(client.get(path.removesuffix("/frames"), STORED).data)
    good = next(generate_frames(data_set.PixelData, number_of_frames=3))
    data_set.PixelData = encapsulate([good, good[: len(good) // 2], good])
    client.call("DELETE", path.removesuffix("/frames"))
    client.stored(write_dataset(data_set, JPEG_LS))
    for listed_, accept in (("", MANY), ("/1,2", MANY), ("/3,2,1", MANY)):
        assert client.get(f"{path}{listed_}", accept).status_code == 406
    instance = path.removesuffix("/frames")
    assert client.get(instance, f"application/dicom; transfer-syntax={EXPLICIT}").status_code == 406
    assert client.get(instance).status_code == 200
