"""Whole objects in another transfer syntax: pixels stay, headers say what they became."""

import io
import re
from contextlib import ExitStack
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, parse_basic_offsets
from pydicom.pixels import pixel_array

from dicomweb_server.config import ConfigError
from dicomweb_server.dicom import DicomError
from dicomweb_server.testing.apps import temporary_app
from dicomweb_server.testing.dicom import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    UNCOMPRESSED,
    make_dataset,
    make_instance,
    make_picture,
    new_uid,
    path_of,
    read,
    split_multipart,
    write_dataset,
)
from dicomweb_server.testing.frames import make_format, make_image
from tests.conftest import Client, parts
from tests.web.bundled import each_file_of_pydicom

MANY = 'multipart/related; type="application/dicom"'
JPEG, JPEG_LS, JPEG_2000 = (f"1.2.840.10008.1.2.4.{n}" for n in ("50", "80", "90"))
RLE, LOSSLESS_JPEG = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70"
MPEG2 = "1.2.840.10008.1.2.4.100"
JPEG_XL = "1.2.840.10008.1.2.4.110"
LOSSLESS = (RLE, LOSSLESS_JPEG, JPEG_LS, JPEG_2000)


def frames(count=3, stored=12, **kind):
    made = [make_image(make_format(stored, **kind)) for _ in range(count)]
    for number, image in enumerate(made):
        image.pixels[0, 0] = number
    return made


def shown(client, data):
    """The colours of a file as the server shows it."""
    client.stored(data)
    picture = client.get(f"/{path_of(data)}/rendered", "image/png")
    assert picture.status_code == 200, picture.get_data(as_text=True)
    return np.array(Image.open(io.BytesIO(picture.data))).astype(int)


def transcoded(client, data, syntax):
    answer = client.get(f"/{path_of(data)}", f"application/dicom; transfer-syntax={syntax}")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.data


@pytest.mark.parametrize("source", UNCOMPRESSED)
@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("kind", [{}, {"signed": True}, {"stored": 8, "photometric": "RGB"}])
def test_there_and_back_again(client, source, syntax, kind):
    made = frames(**kind)
    data = make_picture(made, source)
    client.stored(data)
    packed = transcoded(client, data, syntax)
    assert read(packed).file_meta.TransferSyntaxUID == syntax
    assert read(packed).SOPInstanceUID == read(data).SOPInstanceUID
    client.call("DELETE", f"/{path_of(data)}")
    client.stored(packed)
    for target in UNCOMPRESSED:
        back = read(transcoded(client, data, target))
        assert back.file_meta.TransferSyntaxUID == target
        assert np.array_equal(back.pixel_array, np.stack([image.pixels for image in made]))


@pytest.mark.parametrize("source", [JPEG, JPEG_2000, "1.2.840.10008.1.2.4.91"])
@pytest.mark.parametrize("syntax", [*LOSSLESS, "1.2.840.10008.1.2.4.110", EXPLICIT])
def test_colours_go_from_one_compression_to_another(client, source, syntax):
    data = make_picture(frames(2, stored=8, photometric="RGB"))
    client.stored(data)
    first = transcoded(client, data, source)
    # YBR_FULL_422, YBR_RCT and YBR_ICT: what only these bit streams have.
    assert read(first).PhotometricInterpretation.startswith("YBR")
    client.call("DELETE", f"/{path_of(data)}")
    client.stored(first)
    native = read(transcoded(client, first, EXPLICIT))
    then = transcoded(client, first, syntax)
    assert read(then).file_meta.TransferSyntaxUID == syntax
    client.call("DELETE", f"/{path_of(first)}")
    client.stored(then)
    back = read(transcoded(client, then, EXPLICIT))
    assert np.array_equal(back.pixel_array, native.pixel_array)


def test_who_names_no_syntax_gets_explicit_little_endian(client):
    data = make_picture(frames())
    client.stored(data)
    packed = transcoded(client, data, JPEG_LS)
    client.call("DELETE", f"/{path_of(data)}")
    client.stored(packed)
    for accept in (None, MANY, "*/*"):
        (only,) = parts(client.get(f"/{path_of(data)}", accept))
        assert read(only).file_meta.TransferSyntaxUID == EXPLICIT
    (same,) = parts(client.get(f"/{path_of(data)}", f"{MANY}; transfer-syntax=*"))
    assert same == packed
    assert transcoded(client, data, JPEG_LS) == packed


def test_the_offset_table_is_right(client):
    data = make_picture(frames(4))
    client.stored(data)
    data_set = read(transcoded(client, data, RLE))
    table = parse_basic_offsets(data_set.PixelData)
    assert len(table) == 4
    start = 8 + 4 * 4
    for offset in table:
        assert data_set.PixelData[start + offset : start + offset + 4] == b"\xfe\xff\x00\xe0"


def test_lossy_is_another_instance_that_says_so(client):
    data = make_picture(frames(2, stored=8, photometric="RGB"), ImageType=["ORIGINAL", "PRIMARY"])
    client.stored(data)
    first, again = (read(transcoded(client, data, JPEG)) for _ in range(2))
    original = read(data)
    assert first.SOPInstanceUID == again.SOPInstanceUID != original.SOPInstanceUID
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID
    assert first.StudyInstanceUID == original.StudyInstanceUID
    assert first.LossyImageCompression == "01"
    assert first.LossyImageCompressionMethod == "ISO_10918_1"
    assert float(first.LossyImageCompressionRatio) > 1
    assert list(first.ImageType) == ["DERIVED", "PRIMARY"]
    assert first.PhotometricInterpretation in ("YBR_FULL_422", "YBR_FULL")
    assert np.abs(first.pixel_array.astype(int) - original.pixel_array).mean() < 4


def test_what_was_lost_before_stays_told(client):
    told = {"ImageType": ["ORIGINAL", "PRIMARY", "", "X"], "LossyImageCompression": "01"}
    made = frames(1, stored=8, photometric="RGB")
    data = make_picture(made, **told, LossyImageCompressionRatio="17.2")
    client.stored(data)
    first = transcoded(client, data, JPEG)
    assert list(read(first).ImageType) == ["DERIVED", "PRIMARY", "", "X"]
    # Which method it was nobody knows, but the new one must not be taken for it.
    assert list(read(first).LossyImageCompressionMethod) == ["", "ISO_10918_1"]
    forgotten = read(first)
    forgotten.LossyImageCompressionMethod = None
    client.call("DELETE", f"/{path_of(data)}")
    client.stored(write_dataset(forgotten, JPEG))
    second = read(transcoded(client, first, "1.2.840.10008.1.2.4.91"))
    assert list(second.LossyImageCompressionMethod) == ["", "ISO_10918_1", "ISO_15444_1"]
    assert len(second.LossyImageCompressionRatio) == 3


def test_files_without_pixel_data_pass_everywhere(client):
    data = make_instance()
    client.stored(data)
    for syntax in (*UNCOMPRESSED, JPEG_LS, JPEG):
        data_set = read(transcoded(client, data, syntax))
        assert data_set.PatientName == read(data).PatientName


def test_what_cannot_be_transcoded_is_named_before_the_first_byte(client):
    study = {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    good = make_picture(frames(1, stored=8), **study)
    bad = make_picture(frames(1, stored=12), **study)
    client.stored(good, bad)
    path = f"/studies/{study['StudyInstanceUID']}"
    answer = client.get(path, f"{MANY}; transfer-syntax={JPEG}")
    assert answer.status_code == 406
    assert read(bad).SOPInstanceUID in answer.json["Details"]
    assert read(good).SOPInstanceUID not in answer.json["Details"]
    either = client.get(path, f"{MANY}; transfer-syntax={JPEG}, {MANY}; transfer-syntax=*;q=0.5")
    assert sorted(syntaxes(either)) == sorted([JPEG, EXPLICIT])
    assert bad in parts(either)


def syntaxes(answer):
    """Those of the parts, which say what they are."""
    assert answer.status_code == 200, answer.get_data(as_text=True)
    found = split_multipart(answer.data, answer.content_type)
    told = [headers["content-type"].rpartition("=")[2] for headers, _ in found]
    assert told == [read(data).file_meta.TransferSyntaxUID for _, data in found]
    return told


def possible(client, data):
    """The transfer syntaxes that a refusal lists for an instance."""
    refused = client.get(f"/{path_of(data)}", "application/dicom; transfer-syntax=1.2.3")
    assert refused.status_code == 406
    listed = refused.json["Details"].partition("Possible:")[2]
    return set(re.findall(r"transfer-syntax=([0-9.]+)", listed))


def damaged(client, data, frame):
    """The file in JPEG-LS, and the end of one of its frames destroyed."""
    client.stored(data)
    packed = bytearray(transcoded(client, data, JPEG_LS))
    client.call("DELETE", f"/{path_of(data)}")
    at = 0
    for _ in range(frame):
        at = packed.index(b"\xff\xd9", at) + 2
    packed[at - 2 : at] = b"\0\0"
    return bytes(packed)


@pytest.fixture
def half_damaged(client):
    """A study of a good instance, a damaged one and a video: its path, and the latter two."""
    uids = {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    damage = damaged(client, make_picture(frames(2), **uids, InstanceNumber=2), 2)
    video = make_dataset(**uids, InstanceNumber=3, Rows=4, Columns=4, SamplesPerPixel=3)
    video.update({"BitsAllocated": 8, "PhotometricInterpretation": "YBR_PARTIAL_420"})
    video.PixelData = encapsulate([b"\0\0\1\xb3"])
    video["PixelData"].VR = "OB"
    stream = write_dataset(video, MPEG2)
    client.stored(make_picture(frames(1), **uids, InstanceNumber=1), damage, stream)
    return f"/studies/{uids['StudyInstanceUID']}", damage, stream


@pytest.mark.parametrize(
    ("accept", "first"),
    [
        (None, EXPLICIT),
        (MANY, EXPLICIT),
        (f"{MANY}; transfer-syntax={JPEG_2000}, {MANY}; transfer-syntax=*", JPEG_2000),
        (f"{MANY}; transfer-syntax={JPEG_2000}, {MANY}; transfer-syntax=*;q=0.1", JPEG_2000),
        (f"{MANY}; transfer-syntax={JPEG_2000}, {MANY};q=0.1", JPEG_2000),
        (f"{MANY}; transfer-syntax={RLE}, */*;q=0.1", RLE),
        (
            f"{MANY}; transfer-syntax={JPEG}, {MANY}; transfer-syntax={RLE};q=0.5, "
            f"{MANY}; transfer-syntax={MPEG2};q=0.4, {MANY}; transfer-syntax={JPEG_LS};q=0.3",
            RLE,
        ),
    ],
)
def test_what_cannot_be_transcoded_does_not_spoil_the_rest(client, half_damaged, accept, first):
    path, *others = half_damaged
    answer = client.get(path, accept)
    assert syntaxes(answer) == [first, JPEG_LS, MPEG2]
    assert parts(answer)[1:] == others


def test_an_archive_holds_as_they_are_stored_what_cannot_be_transcoded(client, half_damaged):
    path, *others = half_damaged
    accept = f"application/zip; transfer-syntax={RLE}, application/zip; transfer-syntax=*;q=0.1"
    with ZipFile(io.BytesIO(client.get(path, accept).data)) as archive:
        files = [archive.read(name) for name in archive.namelist()]
    assert read(files[0]).file_meta.TransferSyntaxUID == RLE
    assert files[1:] == others


def test_who_does_not_take_the_stored_form_is_told_what_is_the_matter(client, half_damaged):
    path, damage, video = half_damaged
    answer = client.get(path, f"{MANY}; transfer-syntax={RLE}")
    assert answer.status_code == 406
    assert read(video).SOPInstanceUID in answer.json["Details"]
    client.call("DELETE", f"/{path_of(video)}")
    few = client.get(path, f"{MANY}; transfer-syntax={RLE}")
    assert few.status_code == 406
    assert read(damage).SOPInstanceUID in few.json["Details"]
    one = client.get(f"/{path_of(damage)}", f"{MANY}; transfer-syntax={RLE}")
    assert one.status_code == 406
    assert read(damage).SOPInstanceUID in one.json["Details"]


def test_a_study_that_breaks_off_does_not_look_complete(client):
    uids = {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    data = make_picture(frames(2, rows=700, columns=700), **uids, InstanceNumber=2)
    damage = damaged(client, data, 2)
    good = make_picture(frames(2, rows=700, columns=700), **uids, InstanceNumber=1)
    client.stored(good, damage)
    accept = f"{MANY}; transfer-syntax={EXPLICIT}"
    answer = client.get(f"/studies/{uids['StudyInstanceUID']}", accept)
    assert answer.status_code == 200
    assert answer.content_length is None
    with pytest.raises(DicomError, match=read(damage).SOPInstanceUID):
        answer.get_data()


@pytest.mark.parametrize("multipart", [True, False])
def test_damage_deep_inside_shows_in_the_status(client_with, multipart):
    kind = MANY if multipart else "application/dicom"
    made = frames(6, rows=1024, columns=1024, allocated=16)  # 12 MiB
    client = client_with()
    data = damaged(client, make_picture(made), 6)
    client.stored(data)
    refused = client.get(f"/{path_of(data)}", f"{kind}; transfer-syntax={EXPLICIT}")
    assert refused.status_code == 406
    answer = client.get(f"/{path_of(data)}", kind)
    assert (parts(answer) if multipart else [answer.data]) == [data]
    bounded = client_with(TranscodingAheadMB=4)
    bounded.stored(data)
    with pytest.raises(DicomError, match=read(data).SOPInstanceUID):
        bounded.get(f"/{path_of(data)}", f"{kind}; transfer-syntax={EXPLICIT}").get_data()


def test_a_refusal_lists_what_can_be_had_of_this_very_object(client):
    data = make_picture([make_image(make_format(20, signed=True))])
    client.stored(data)
    listed = possible(client, data)
    assert {RLE, EXPLICIT, JPEG_2000} < listed
    assert JPEG_LS not in listed
    for syntax in listed:
        assert read(transcoded(client, data, syntax)).file_meta.TransferSyntaxUID == syntax


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_PARTIAL_422"])
@pytest.mark.parametrize("source", [EXPLICIT, BIG_ENDIAN, DEFLATED])
def test_pixels_that_share_their_colour_are_encoded_everywhere(client, photometric, source):
    with open(get_testdata_file("SC_ybr_full_422_uncompressed.dcm"), "rb") as file:
        original = read(file.read())
    original.PhotometricInterpretation = photometric
    data = write_dataset(original, source)
    expected = shown(client, data)
    listed = possible(client, data)
    assert {RLE, JPEG, LOSSLESS_JPEG, JPEG_LS, JPEG_2000, JPEG_XL} < listed
    files = {uid: transcoded(client, data, uid) for uid in listed - set(UNCOMPRESSED)}
    client.call("DELETE", f"/{path_of(data)}")
    for syntax, packed in files.items():
        told = read(packed)
        assert told.PhotometricInterpretation not in ("YBR_PARTIAL", "YBR_PARTIAL_422")
        lossless = told.SOPInstanceUID == original.SOPInstanceUID
        pictures = [shown(client, packed)]
        if syntax in (RLE, JPEG, LOSSLESS_JPEG, JPEG_LS, JPEG_2000):
            pictures.append(pixel_array(told).astype(int))
        for picture in pictures:
            differences = np.abs(picture - expected)
            assert differences.max() <= 2 if lossless else differences.mean() < 2, syntax
        client.call("DELETE", f"/{path_of(packed)}")


def test_unknown_syntaxes_are_refused(client):
    data = make_picture(frames(1))
    client.stored(data)
    answer = client.get(f"/{path_of(data)}", "application/dicom; transfer-syntax=1.2.3")
    assert answer.status_code == 406
    assert JPEG_LS in answer.json["Details"]


@each_file_of_pydicom
def test_every_file_of_pydicom_is_sent_by_default(client, path):
    answer = client.get(client.taken(path))
    assert answer.status_code == 200
    assert len(parts(answer)) == 1


@pytest.fixture
def client_with(tmp_path):
    """Makes clients of applications with a configuration."""
    with ExitStack() as stack:

        def make(**config):
            folder = tmp_path / new_uid()
            app = stack.enter_context(temporary_app(folder, config))
            return Client(app.test_client())

        yield make


def test_what_arrives_is_stored_in_the_syntax_of_ingest_transcoding(client_with):
    made = frames()
    client = client_with(IngestTranscoding=JPEG_LS)
    data = make_picture(made)
    document = client.stored(data, make_instance())
    assert "00081196" not in str(document)
    kept = client.original(data).data
    assert read(kept).file_meta.TransferSyntaxUID == JPEG_LS
    back = read(transcoded(client, data, IMPLICIT)).pixel_array
    assert np.array_equal(back, np.stack([image.pixels for image in made]))


@pytest.mark.parametrize(
    ("option", "compressed"),
    [("IngestTranscodingOfUncompressed", False), ("IngestTranscodingOfCompressed", True)],
)
def test_ingest_transcoding_may_be_for_some_only(client_with, option, compressed):
    data = make_picture(frames())
    other = client_with(IngestTranscoding=RLE)
    other.stored(data)
    sent = other.original(data).data if compressed else data
    client = client_with(**{"IngestTranscoding": JPEG_LS, option: False})
    client.stored(sent)
    assert client.original(data).data == sent


def test_a_syntax_that_nothing_encodes_stops_the_start(client_with):
    with pytest.raises(ConfigError, match="IngestTranscoding"):
        client_with(IngestTranscoding="1.2.3")
