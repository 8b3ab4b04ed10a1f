"""What viewers and clients ask for, word for word, and what each must get to show a picture.

Each line was seen on the wire, or stands in the source of the program.
"""

from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from dicomweb_server.testing.dicom import (
    EXPLICIT,
    make_picture,
    path_of,
    split_multipart,
)
from dicomweb_server.testing.frames import make_format, make_image

OCTETS, MANY = "application/octet-stream", 'multipart/related; type="application/octet-stream"'
JPEG, JPEG_2000 = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"
RLE = "1.2.840.10008.1.2.5"
CHROME_IMG = "image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX_IMG = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
JAVA = "text/html, image/gif, image/jpeg, */*; q=0.2"


def ranges(*pairs):
    """As dicomweb-client in JavaScript writes pairs of media type and transfer syntax."""
    return ", ".join(
        f'multipart/related; type="{kind}"; transfer-syntax={uid}' for kind, uid in pairs
    )


NATIVE_PART, STORED_PART = f"{OCTETS}; transfer-syntax={EXPLICIT}", "the stored one"
FRAMES = [
    (
        "OHIF and Cornerstone",
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
        STORED_PART,
    ),
    (
        "OHIF, quoted",
        'multipart/related; type="application/octet-stream"; transfer-syntax="*"',
        STORED_PART,
    ),
    ("dicomweb-client in JavaScript, default", MANY, NATIVE_PART),
    (
        "the same, with what it can decode",
        ranges(
            ("image/jp2", JPEG_2000),
            ("image/jp2", "1.2.840.10008.1.2.4.91"),
            ("image/jpeg", JPEG),
            (OCTETS, EXPLICIT),
        ),
        STORED_PART,
    ),
    ("dicomweb-client in Python, default", 'multipart/related; type="*/*"', NATIVE_PART),
    ("the same, any image", 'multipart/related; type="image/*"', STORED_PART),
    ("the same, as stored", f"{MANY}; transfer-syntax=*", STORED_PART),
    ("the same, native", f"{MANY}; transfer-syntax={EXPLICIT}", NATIVE_PART),
    (
        "the same, several",
        'multipart/related; type="image/jp2", multipart/related; type="image/jpeg", ' + MANY,
        STORED_PART,
    ),
    (
        "dicomweb-client in JavaScript, RLE",
        'multipart/related; type="image/x-dicom-rle"',
        f"image/dicom-rle; transfer-syntax={RLE}",
    ),
    ("curl", "*/*", NATIVE_PART),
]


@pytest.fixture(params=[JPEG, JPEG_2000])
def compressed(client, request):
    """The path of an instance of two compressed colour frames, and the type of its parts."""
    images = [make_image(make_format(8, photometric="RGB")) for _ in range(2)]
    data = make_picture(images, PatientID="V")
    client.stored(data)
    answer = client.get(f"/{path_of(data)}", f"application/dicom; transfer-syntax={request.param}")
    client.call("DELETE", f"/{path_of(data)}")
    client.stored(answer.data)
    kind = "image/jpeg" if request.param == JPEG else "image/jp2"
    return f"/{path_of(answer.data)}", f"{kind}; transfer-syntax={request.param}"


@pytest.mark.parametrize(("who", "accept", "expected"), FRAMES, ids=[each[0] for each in FRAMES])
def test_frames(client, compressed, who, accept, expected):
    path, stored = compressed
    answer = client.get(f"{path}/frames/2", accept)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    ((headers, data),) = split_multipart(answer.data, answer.content_type)
    assert headers["content-type"] == (stored if expected == STORED_PART else expected)
    native = f"transfer-syntax={EXPLICIT}" in headers["content-type"]
    form = make_format(8, photometric="RGB")
    assert not native or len(data) == form.frame_bits // 8


RENDERED = [
    ("OHIF, thumbnailDirect", "/thumbnail?accept=image/jpeg", CHROME_IMG, "image/jpeg"),
    ("OHIF, thumbnail", "/thumbnail?accept=image/jpeg", MANY, "image/jpeg"),
    ("OHIF, rendered", "/rendered?accept=image/jpeg", "*/*", "image/jpeg"),
    ("Chrome", "/rendered", CHROME_IMG, "image/jxl"),
    ("Firefox", "/rendered", FIREFOX_IMG, "image/webp"),
    ("Java's own client", "/rendered", JAVA, "image/gif"),
    ("Weasis", "/thumbnail?viewport=256%2C256", "image/jpeg", "image/jpeg"),
    ("dicomweb-client", "/rendered", "image/png", "image/png"),
    (
        "dicomweb-client, parameters",
        "/rendered?viewport=128%2C128&quality=70&window=100%2C200%2Clinear&iccprofile=srgb"
        "&annotation=patient%2Ctechnique",
        "image/jpeg",
        "image/jpeg",
    ),
    ("dicomweb-client, frames", "/frames/1/rendered", "image/png, image/jpeg", "image/png"),
    ("dicomweb-client, no Accept", "/frames/2/rendered", None, "image/jpeg"),
]


@pytest.mark.parametrize(
    ("who", "path", "accept", "expected"), RENDERED, ids=[each[0] for each in RENDERED]
)
def test_rendered(client, compressed, who, path, accept, expected):
    answer = client.get(f"{compressed[0]}{path}", accept)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert answer.content_type == expected


OBJECTS = [
    ("Weasis", 'multipart/related;type="application/dicom";transfer-syntax=*', True),
    ("Weasis, accept-ext=;", 'multipart/related;type="application/dicom";;', False),
    ("3D Slicer and dicomweb-client", 'multipart/related; type="application/dicom"', False),
    (
        "dicomweb-client, as stored",
        'multipart/related; type="application/dicom"; transfer-syntax=*',
        True,
    ),
    ("curl", "*/*", False),
]


@pytest.mark.parametrize(("who", "accept", "as_stored"), OBJECTS, ids=[each[0] for each in OBJECTS])
@pytest.mark.parametrize("level", [2, 4, 6])
def test_objects(client, compressed, who, accept, as_stored, level):
    path, stored = compressed
    path = "/".join(path.split("/")[: level + 1])
    answer = client.get(path, accept)
    ((headers, _),) = split_multipart(answer.data, answer.content_type)
    syntax = stored.partition("=")[2] if as_stored else EXPLICIT
    assert headers["content-type"] == f"application/dicom; transfer-syntax={syntax}"


def test_ohif_reads_palettes_out_of_parts(client):
    """It asks for anything, and unpacks multipart itself."""
    data = Path(get_testdata_file("examples_palette.dcm")).read_bytes()
    client.stored(data)
    answer = client.get(f"/{path_of(data)}/bulk/00281201", "*/*")
    ((headers, table),) = split_multipart(answer.data, answer.content_type)
    assert headers["content-type"] == OCTETS
    assert len(table) == 512


STUDY_LIST = "limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060"
WEASIS_STUDY = (
    "&includefield=00080020,00080030,00080050,00080061,00080090,00081030,00100010,00100020,"
    "00100021,00100030,00100040,0020000D,00200010"
)


def test_study_lists(client, compressed):
    study = compressed[0].split("/")[2]
    for query in (
        f"/studies?{STUDY_LIST}",
        f"/studies?00100020=V&{STUDY_LIST}",
        f"/studies?0020000D={study}{WEASIS_STUDY}",
        f"/studies?00100020=V{WEASIS_STUDY}",
    ):
        (found,) = client.get(query, "application/dicom+json").json
        assert found["0020000D"]["Value"] == [study]
    series = client.get(f"/studies/{study}/series?includefield=00080021%2C0008103E").json
    assert len(series) == 1
    weasis = client.get(f"/series?0020000D={study}&includefield=0008103E,00080060,00081190")
    assert weasis.json[0]["00081190"]["Value"][0].endswith(
        f"/studies/{study}/series/{compressed[0].split('/')[4]}"
    )
