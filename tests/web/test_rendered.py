"""Rendered resources and thumbnails: pictures of everything that has some."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from pydicom.data import get_testdata_file

from dicomweb_server.config import ConfigError
from dicomweb_server.testing.apps import temporary_app
from dicomweb_server.testing.dicom import (
    make_dataset,
    make_instance,
    make_picture,
    path_of,
    split_multipart,
    uids_of,
    write_dataset,
)
from dicomweb_server.testing.frames import make_format, make_image
from tests.conftest import Client
from tests.web.bundled import each_file_of_pydicom

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
JPEG_LS = "1.2.840.10008.1.2.4.80"
FONTS = sorted(Path("/usr/share/fonts").rglob("*Serif*.ttf"))
MANY = 'multipart/related; type="image/jpeg"'


def picture(answer):
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return Picture.open(io.BytesIO(answer.data))


def grey(count=1, stored=12, **attributes):
    return make_picture([make_image(make_format(stored)) for _ in range(count)], **attributes)


@pytest.fixture
def ct(client):
    with open(get_testdata_file("CT_small.dcm"), "rb") as file:
        data = file.read()
    client.stored(data)
    return f"/{path_of(data)}"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "image/jpeg"),
        ("*/*", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("image/jpg", "image/jpeg"),
        ("image/png", "image/png"),
        ("image/png;q=0.9", "image/png"),
        ("image/gif", "image/gif"),
        ("image/webp", "image/webp"),
        (CHROME, "image/webp"),
        ("application/json, image/png;q=0.5, */*;q=0.1", "image/png"),
    ],
)
def test_the_media_type_is_negotiated(client, ct, accept, media_type):
    for path in ("/rendered", "/frames/1/rendered", "/thumbnail", "/frames/1/thumbnail"):
        answer = client.get(ct + path, accept)
        assert answer.content_type == media_type
        assert picture(answer).size == (128, 128)


def test_impossible_types_are_refused_with_what_is_possible(client, ct):
    for accept in ("application/pdf", "text/html", "image/tiff"):
        answer = client.get(f"{ct}/rendered", accept)
        assert answer.status_code == 406
        assert "image/jpeg" in answer.json["Details"]


def test_the_accept_parameter_works_in_a_link(client, ct):
    assert client.get(f"{ct}/rendered?accept=image/png").content_type == "image/png"


def test_a_window_is_applied(client, ct):
    wide, narrow = (
        np.array(picture(client.get(f"{ct}/rendered?window=40,{width},linear", "image/png")))
        for width in (2000, 50)
    )
    assert np.unique(narrow).size < np.unique(wide).size
    assert set(np.unique(narrow)) >= {0, 255}


def test_a_viewport_has_exactly_its_size(client, ct):
    answer = client.get(f"{ct}/rendered?viewport=200,100")
    assert picture(answer).size == (200, 100)
    part = client.get(f"{ct}/rendered?viewport=64,64,0,0,64,64", "image/png")
    whole = client.get(f"{ct}/rendered", "image/png")
    assert np.array_equal(np.array(picture(part)), np.array(picture(whole))[:64, :64])


@pytest.mark.dicomweb_config({"ViewportPadding": False})
def test_a_picture_may_fit_into_its_viewport(client, ct):
    assert picture(client.get(f"{ct}/rendered?viewport=200,100")).size == (100, 100)


def test_png_can_have_16_bits(client, ct):
    deep = picture(client.get(f"{ct}/rendered?bitdepth=16", "image/png"))
    assert deep.mode.startswith("I;16")
    assert client.get(f"{ct}/rendered?bitdepth=16").status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "window=1,2",
        "window=a,b,linear",
        "window=1,0,linear",
        "window=1,2,cubic",
        "window=nan,2,linear",
        "viewport=1",
        "viewport=0,0",
        "viewport=-1,5",
        "viewport=1e9,1e9",
        "viewport=1,2,3",
        "viewport=10,10,5000,5000,1,x",
        "quality=0",
        "quality=101",
        "quality=x",
        "annotation=everything",
        "annotation=",
        "annotation=,",
        "iccprofile=maybe",
        "bitdepth=12",
    ],
)
def test_bad_parameters_are_named(client, ct, query):
    answer = client.get(f"{ct}/rendered?{query}")
    assert answer.status_code == 400, answer.status
    assert query.partition("=")[0] in answer.json["Details"].replace("viewport", "viewport")


@pytest.mark.skipif(not FONTS, reason="no fonts are installed")
def test_texts_are_in_the_configured_font(tmp_path):
    made = set()
    for number, font in enumerate(("", *map(str, FONTS[:2]))):
        with temporary_app(tmp_path / str(number), {"AnnotationFont": font}) as app:
            client = Client(app.test_client())
            data = grey(PatientName="Frame^Font", Rows=37)
            client.stored(data)
            query = "annotation=patient&viewport=400,400"
            made.add(client.get(f"/{path_of(data)}/rendered?{query}", "image/png").data)
    assert len(made) >= 2


def test_a_font_that_is_none_stops_the_start(tmp_path):
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    for font, words in ((broken, "as a font"), (tmp_path / "missing.ttf", "does not exist")):
        with pytest.raises(ConfigError, match=words):
            temporary_app(tmp_path / "data", {"AnnotationFont": str(font)}).__enter__()


def test_quality_makes_smaller_files(client, ct):
    small, large = (len(client.get(f"{ct}/rendered?quality={q}").data) for q in (10, 100))
    assert small < large


def test_a_multi_frame_image_is_an_animation_parts_or_its_first_frame(client):
    data = grey(3, FrameTime="40")
    client.stored(data)
    path = f"/{path_of(data)}"
    animation = picture(client.get(f"{path}/rendered", "image/gif"))
    assert animation.n_frames == 3
    assert animation.info["duration"] == 40
    answer = client.get(f"{path}/rendered", MANY)
    assert len(split_multipart(answer.data, answer.content_type)) == 3
    assert client.get(f"{path}/rendered").data == client.get(f"{path}/frames/1/rendered").data
    listed = client.get(f"{path}/frames/3,1/rendered", MANY)
    found = split_multipart(listed.data, listed.content_type)
    assert [h["content-location"].rpartition("/frames/")[2] for h, _ in found] == [
        "3/rendered",
        "1/rendered",
    ]
    assert client.get(f"{path}/frames/1,2/rendered", "image/jpeg").status_code == 406
    assert client.get(f"{path}/frames/9/rendered").status_code == 404
    assert client.get(f"{path}/frames/0/rendered").status_code == 400
    assert client.get(f"{path}/frames/1,2/thumbnail").status_code == 400


def test_an_animation_has_limits(client):
    data = grey(5)
    client.stored(data)
    path = f"/{path_of(data)}/rendered"
    assert client.get(f"{path}?viewport=100,100", "image/gif").status_code == 200
    answer = client.get(f"{path}?viewport=8000,8000", "image/gif")
    assert answer.status_code == 406
    assert "5 frames of 8000 x 8000 pixels" in answer.json["Details"]
    listed = ",".join("1" for _ in range(1001))
    answer = client.get(f"/{path_of(data)}/frames/{listed}/rendered", "image/gif")
    assert "1000 frames" in answer.json["Details"]


def test_thumbnails_are_small_and_keep_the_proportions(client):
    data = make_picture([make_image(make_format(8, rows=300, columns=600))])
    client.stored(data)
    assert picture(client.get(f"/{path_of(data)}/thumbnail")).size == (128, 64)
    assert picture(client.get(f"/{path_of(data)}/thumbnail?viewport=32,32")).size == (32, 32)


def test_a_pdf_is_sent_as_one(client):
    data_set = make_dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1",
        MIMETypeOfEncapsulatedDocument="application/pdf",
    )
    document = b"%PDF-1.4 " + bytes(5000)
    data_set.EncapsulatedDocument = document + b"\0"
    data_set.EncapsulatedDocumentLength = len(document)
    data = write_dataset(data_set)
    client.stored(data)
    for accept in (None, "application/pdf", "text/html, application/pdf;q=0.2"):
        answer = client.get(f"/{path_of(data)}/rendered", accept)
        assert answer.content_type == "application/pdf"
        assert answer.data == document
    assert client.get(f"/{path_of(data)}/rendered", "image/jpeg").status_code == 406
    assert picture(client.get(f"/{path_of(data)}/thumbnail")).size == (128, 128)


def test_what_could_be_a_script_is_not_sent_as_a_page(client):
    data_set = make_dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.9", MIMETypeOfEncapsulatedDocument="text/html"
    )
    data_set.EncapsulatedDocument = b"<script>alert(1)</script>" + bytes(5000)
    data = write_dataset(data_set)
    client.stored(data)
    answer = client.get(f"/{path_of(data)}/rendered")
    assert answer.content_type == "application/octet-stream"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_report_is_a_page_or_a_text(client):
    with open(get_testdata_file("reportsi.dcm"), "rb") as file:
        data = file.read()
    client.stored(data)
    page = client.get(f"/{path_of(data)}/rendered")
    assert page.content_type == "text/html; charset=utf-8"
    assert "<script" not in page.get_data(as_text=True)
    text = client.get(f"/{path_of(data)}/rendered", "text/plain")
    assert text.content_type == "text/plain; charset=utf-8"
    assert "Report Text: Enter text" in text.get_data(as_text=True)
    assert "Enter text" in page.get_data(as_text=True)


def test_what_a_report_says_cannot_become_markup(client):
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ValueType = "TEXT"
    item.RelationshipType = "CONTAINS"
    item.TextValue = "<img src=x onerror=alert(1)>"
    data_set = make_dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", ValueType="CONTAINER")
    data_set.ContentSequence = [item]
    data = write_dataset(data_set)
    client.stored(data)
    page = client.get(f"/{path_of(data)}/rendered").get_data(as_text=True)
    assert "<img" not in page
    assert "&lt;img" in page


def test_instances_without_anything_to_show(client):
    data = make_instance()
    client.stored(data)
    assert client.get(f"/{path_of(data)}/rendered").status_code == 406
    assert client.get(f"/{path_of(data)}/frames/1/rendered").status_code == 404
    assert picture(client.get(f"/{path_of(data)}/thumbnail")).size == (128, 128)
    assert client.get(f"/studies/{uids_of(data)[0]}/rendered").status_code == 406
    assert client.get("/studies/1.2.3/rendered").status_code == 404
    assert client.get("/studies/1.2.3/thumbnail").status_code == 404


def test_answers_can_be_conditional(client, ct):
    for path in ("rendered", "thumbnail"):
        tag = client.get(f"{ct}/{path}").headers["ETag"]
        assert client.get(f"{ct}/{path}", If_None_Match=tag).status_code == 304
        assert client.get(f"{ct}/{path}", "image/png", If_None_Match=tag).status_code == 200


@each_file_of_pydicom
def test_every_file_of_pydicom_is_shown_or_refused_with_a_sentence(client, path):
    answer = client.get(f"{client.taken(path)}/rendered")
    assert answer.status_code in (200, 406)
    if answer.content_type.startswith("image/"):
        picture(answer).load()
    if answer.status_code == 406:
        assert len(answer.json["Details"]) > 20
