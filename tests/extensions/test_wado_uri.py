"""WADO-URI (PS3.18 chapter 9): one instance by query parameters, as a picture or as a file."""

import io
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import Dataset
from pydicom.data import get_testdata_file

from dicomweb_server.config import ConfigError
from dicomweb_server.http.access import action_of
from dicomweb_server.interfaces.auth import Action
from dicomweb_server.testing.apps import temporary_app
from dicomweb_server.testing.dicom import EXPLICIT, make_instance, make_picture, write_dataset
from dicomweb_server.testing.frames import make_format, make_image
from tests.dicom.helpers import read

UIDS = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", "SOPInstanceUID": "1.2.3.4"}
JPEG_2000 = "1.2.840.10008.1.2.4.90"
IMPLICIT = "1.2.840.10008.1.2"
SECRET = "Secret^Name"


def image_of(frames=1, rows=20, columns=40, **attributes):
    """A grey image whose columns go from 0 to 195; each frame is darker by 1."""
    line = np.arange(columns, dtype=np.uint8) * 5
    pixels = [np.clip(np.tile(line, (rows, 1)).astype(int) - n, 0, 255) for n in range(frames)]
    values = {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "WindowCenter": "128",
        "WindowWidth": "256",
        "PixelData": np.stack(pixels).astype(np.uint8).tobytes(),
        "PatientName": SECRET,
        "BurnedInAnnotation": "NO",
    }
    if frames > 1:
        values["NumberOfFrames"] = frames
    return make_instance(**(UIDS | values | attributes))


def sample(name):
    with open(get_testdata_file(name), "rb") as file:
        return file.read()


@pytest.fixture
def wado(client):
    """Asks for the instance 1.2.3.4, or for another one; None leaves a parameter out."""

    def call(headers=None, method="GET", path="/wado", **parameters):
        query = {"requestType": "WADO", "objectUID": "1.2.3.4"} | parameters
        given = [(name, value) for name, value in query.items() if value is not None]
        return client.flask.open(path, method=method, query_string=given, headers=headers)

    call.client = client
    return call


@pytest.fixture
def grey(wado):
    wado.client.stored(image_of())
    return wado


def pixels(answer):
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return np.asarray(Image.open(io.BytesIO(answer.data)))


def refused(answer, status, *words):
    assert answer.status_code == status, answer.get_data(as_text=True)
    details = answer.json["Details"]
    assert all(word in details for word in words), details


# --- which instance ------------------------------------------------------------------------


def test_a_picture_is_jpeg_by_default(grey):
    answer = grey()
    assert answer.content_type == "image/jpeg"
    assert Image.open(io.BytesIO(answer.data)).format == "JPEG"
    assert pixels(answer).shape[:2] == (20, 40)
    assert answer.headers["Content-Location"].endswith(
        "/dicom-web/studies/1.2/series/1.2.3/instances/1.2.3.4/rendered"
    )


@pytest.mark.parametrize(
    "uids",
    [
        {"studyUID": "1.2", "seriesUID": "1.2.3"},
        {"studyUID": "1.2"},
        {"seriesUID": "1.2.3"},
        {"studyUID": "", "seriesUID": ""},
    ],
)
def test_study_and_series_may_be_named(grey, uids):
    assert grey(**uids).status_code == 200


@pytest.mark.parametrize(
    "uids",
    [
        {"studyUID": "1.9"},
        {"seriesUID": "1.9"},
        {"studyUID": "1.2", "seriesUID": "1.9"},
        {"studyUID": "1.9", "seriesUID": "1.2.3"},
        {"objectUID": "1.9"},
        {"objectUID": "*"},
        {"objectUID": "1.2.3.4\0"},
        {"objectUID": "1.2.3.4", "studyUID": "x" * 5000},
    ],
)
def test_what_is_not_there_is_404(grey, uids):
    refused(grey(**uids), 404, "there is no instance")


@pytest.mark.parametrize("kind", [None, "", "wado", "WADO ", "XDS"])
def test_other_request_types_are_400(grey, kind):
    refused(grey(requestType=kind), 400, "requestType", "WADO")


@pytest.mark.parametrize("uid", [None, ""])
def test_an_instance_must_be_named(grey, uid):
    refused(grey(objectUID=uid), 400, "objectUID")


def test_a_parameter_that_stands_twice(grey):
    query = "requestType=WADO&objectUID=1.2.3.4&objectUID=1.2.3.5"
    refused(grey.client.flask.get(f"/wado?{query}"), 400, "objectUID", "2")


def test_instances_of_two_patients_are_a_conflict(wado):
    wado.client.stored(image_of(PatientID="A"), image_of(PatientID="B"))
    refused(wado(), 409, "'A'", "'B'")
    refused(wado(studyUID="1.2", seriesUID="1.2.3"), 409, "'A'", "'B'")


def test_ignored_parameters_are_told(grey):
    assert "Warning" not in grey(charset="utf-8").headers
    assert "transferSyntax, vendor" in grey(transferSyntax=EXPLICIT, vendor="1").headers["Warning"]
    answer = grey(contentType="application/dicom", rows="10", annotation="patient")
    assert answer.status_code == 200
    assert "rows, annotation" in answer.headers["Warning"]


# --- media types ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ("image/png", "image/png"),
        ("image/jpg", "image/jpeg"),
        ("image/tiff,image/png", "image/png"),
        ("image/png,image/jpeg", "image/png"),
        ("image/png;q=0.5,image/jpeg", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("*/*", "image/jpeg"),
        ("application/dicom", "application/dicom"),
        ("image/tiff, application/dicom;q=0.1", "application/dicom"),
    ],
)
def test_content_types_are_heeded(grey, wanted, sent):
    assert grey(contentType=wanted).content_type.partition(";")[0] == sent
    assert grey({"Accept": wanted}).content_type.partition(";")[0] == sent


def test_accept_counts_where_no_content_type_is(grey):
    assert grey({"Accept": "image/png"}).content_type == "image/png"
    assert grey({"Accept": "text/html,*/*;q=0.8"}).content_type == "image/jpeg"
    assert grey({"Accept": "image/png"}, contentType="image/jpeg").content_type == "image/jpeg"
    refused(grey({"Accept": "*/*"}, contentType="image/tiff"), 406, "contentType", "image/jpeg")
    refused(grey({"Accept": "text/html"}), 406, "Accept", "application/dicom")


@pytest.mark.parametrize("wanted", ["", "jpeg", "image/jpeg,", "image/jpeg;q=7", "a b/c", "/"])
def test_what_is_no_media_type_is_400(grey, wanted):
    refused(grey(contentType=wanted), 400, "")


@pytest.mark.parametrize("wanted", ["transfer-syntax=*", "charset=utf-8"])
def test_parameters_of_media_types_are_forbidden(grey, wanted):
    refused(grey(contentType=f"application/dicom;{wanted}"), 400, "transferSyntax")
    refused(grey({"Accept": f"application/dicom;{wanted}"}), 400, "transferSyntax")


def test_a_report_is_a_page(wado):
    wado.client.stored(sample("reportsi.dcm"))
    uid = str(read(sample("reportsi.dcm")).SOPInstanceUID)
    page = wado(objectUID=uid)
    assert page.content_type == "text/html; charset=utf-8"
    assert "sandbox" in page.headers["Content-Security-Policy"]
    assert wado(objectUID=uid, contentType="text/plain").content_type.startswith("text/plain")
    refused(wado(objectUID=uid, contentType="image/png"), 406, "text/html", "application/dicom")
    refused(wado(objectUID=uid, charset="latin1"), 400, "utf-8")
    assert wado({"Accept-Charset": "utf-8"}, objectUID=uid).status_code == 200
    refused(wado(objectUID=uid, anonymize="yes"), 406, "application/dicom")


def test_a_document_is_what_it_is(wado):
    pdf = b"%PDF-1.4 is here "
    wado.client.stored(
        make_instance(
            **UIDS | {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"},
            MIMETypeOfEncapsulatedDocument="application/pdf",
            EncapsulatedDocument=pdf + b" ",
        )
    )
    answer = wado()
    assert answer.content_type == "application/pdf"
    assert answer.data.startswith(pdf)
    anonymous = read(wado(contentType="application/dicom", anonymize="yes").data)
    assert anonymous.EncapsulatedDocument == b"\0\0"


def test_what_cannot_be_seen_can_be_had(wado):
    wado.client.stored(make_instance(**UIDS))
    refused(wado(), 406, "application/dicom")
    refused(wado({"Accept": "*/*"}), 406, "application/dicom")
    assert wado(contentType="application/dicom").status_code == 200


# --- pictures ------------------------------------------------------------------------------


def png(wado, **parameters):
    return pixels(wado(contentType="image/png", **parameters))


def test_without_parameters_every_pixel_is_there(grey):
    assert (png(grey)[0] == np.arange(40) * 5).all()


@pytest.mark.parametrize(
    ("asked", "shape"),
    [
        ({"rows": "10", "columns": "10"}, (5, 10)),
        ({"rows": "10"}, (10, 20)),
        ({"columns": "80"}, (40, 80)),
        ({"rows": "40", "columns": "400"}, (40, 80)),
        ({"region": "0,0,0.5,1"}, (20, 20)),
        ({"region": "0.25,0.25,0.75,0.75"}, (10, 20)),
        ({"region": "0,0,0.5,1", "columns": "10"}, (10, 10)),
    ],
)
def test_sizes_and_regions(grey, asked, shape):
    assert png(grey, **asked).shape == shape


def test_a_region_is_where_it_is(grey):
    assert (png(grey, region="0.5,0,1,1")[0] == np.arange(20, 40) * 5).all()


def test_a_window(grey):
    found = png(grey, windowCenter="50.5", windowWidth="1")[0]
    assert found[0] == 0
    assert found[-1] == 255
    assert set(found) == {0, 255}


def test_quality(grey):
    rough, fine = (grey(imageQuality=quality).data for quality in ("5", "100"))
    assert len(rough) < len(fine)


def test_annotations_are_burned_in(grey):
    plain = png(grey, rows="200")
    for name in ("annotation", "imageAnnotation"):
        assert (png(grey, rows="200", **{name: "patient,technique"}) != plain).any()
    answer = grey(contentType="image/png", rows="200", annotation="patient", anonymize="yes")
    assert (pixels(answer) == plain).all()
    assert "annotation" in answer.headers["Warning"]


def test_frames(wado):
    wado.client.stored(image_of(3))
    for number in (1, 2, 3):
        assert png(wado, frameNumber=str(number))[0, -1] == 195 - number + 1
    assert png(wado)[0, -1] == 195
    answer = wado(frameNumber="2")
    assert answer.headers["Content-Location"].endswith("/frames/2/rendered")
    refused(wado(frameNumber="4"), 400, "frameNumber", "1 to 3")
    moving = Image.open(io.BytesIO(wado(contentType="image/gif").data))
    assert moving.n_frames == 3


def test_a_frame_of_a_single_image(grey):
    refused(grey(frameNumber="1"), 400, "frameNumber")


WRONG = [
    *({"frameNumber": each} for each in ("0", "-1", "a", "1,2", "", "9" * 30, "1.0", "٣")),
    *({"rows": each} for each in ("0", "-1", "a", "", "99999", "1e3")),
    *({"columns": each} for each in ("0", "70000")),
    {"rows": "60000", "columns": "60000"},
    *(
        {"region": each}
        for each in ("", "0,0,1", "0,0,1,1,1", "0.5,0,0.5,1", "-0.1,0,1,1", "0,0,1.1,1", "a,0,1,1")
    ),
    {"region": "nan,0,1,1"},
    *({"imageQuality": each} for each in ("0", "101", "x", "")),
    {"annotation": "everything"},
    {"annotation": ""},
    {"imageAnnotation": ""},
    {"windowCenter": "1"},
    {"windowWidth": "1"},
    {"windowCenter": "a", "windowWidth": "1"},
    {"windowCenter": "1", "windowWidth": "0"},
    {"windowCenter": "1", "windowWidth": "inf"},
    {"windowCenter": "1\\2", "windowWidth": "1\\2"},
    {"presentationUID": "1.2"},
    {"presentationSeriesUID": "1.2"},
    {"anonymize": "no"},
    {"anonymize": ""},
]
STATE = {"presentationUID": "1.2.5.1", "presentationSeriesUID": "1.2.5"}
WRONG += [STATE | {"windowCenter": "1", "windowWidth": "2"}, STATE | {"frameNumber": "1"}]
WRONG += [STATE | {"region": "0,0,1,1"}, STATE]


@pytest.mark.parametrize("asked", WRONG, ids=str)
def test_what_cannot_be_is_400_and_named(grey, asked):
    answer = grey(**asked)
    refused(answer, 400)
    assert any(name in answer.json["Details"] for name in (*asked, "frame", "width", "height"))


def state_of(**attributes):
    """A presentation state that turns the image by 90 degrees."""
    image = Dataset()
    image.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    image.ReferencedSOPInstanceUID = "1.2.3.4"
    series = Dataset()
    series.SeriesInstanceUID = "1.2.3"
    series.ReferencedImageSequence = [image]
    values = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1",
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "1.2.5",
        "SOPInstanceUID": "1.2.5.1",
        "ReferencedSeriesSequence": [series],
        "PresentationLUTShape": "INVERSE",
        "ImageRotation": 90,
        "ImageHorizontalFlip": "N",
    }
    return make_instance(**values | attributes)


def test_an_image_by_a_presentation_state(grey):
    grey.client.stored(state_of())
    shown = png(grey, **STATE)
    assert shown.shape == (40, 20)
    assert shown[0, 0] == 255
    assert png(grey, **STATE, rows="20", imageQuality="50").shape == (20, 10)
    assert (png(grey, **STATE, annotation="patient", rows="200") != 0).any()
    assert grey(**STATE).headers["ETag"] != grey().headers["ETag"]
    refused(grey(**STATE, anonymize="yes"), 406, "presentationUID")


@pytest.mark.parametrize(("referenced", "shown"), [(None, 1), ([2], 2), ([3, 2], 2)])
def test_the_frame_that_a_presentation_state_is_for(wado, referenced, shown):
    frames = [make_image(make_format(8, rows=20, columns=20)) for _ in range(3)]
    for number, image in enumerate(frames, 1):
        image.pixels[...] = 50 * number
    uids = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", "SOPInstanceUID": "1.2.3.4"}
    wado.client.stored(make_picture(frames, **uids))
    state = read(state_of())
    image = state.ReferencedSeriesSequence[0].ReferencedImageSequence[0]
    image.ReferencedFrameNumber = referenced
    wado.client.stored(write_dataset(state, EXPLICIT))
    picture = png(wado, objectUID="1.2.3.4", **STATE)
    assert abs(int(picture[5, 5]) - (255 - 50 * shown)) < 2
    refused(wado(objectUID="1.2.3.4", frameNumber="1", **STATE), 400, "frameNumber")


def test_a_presentation_state_for_a_frame_that_is_not_there(grey):
    state = read(state_of())
    image = state.ReferencedSeriesSequence[0].ReferencedImageSequence[0]
    image.ReferencedFrameNumber = 7
    grey.client.stored(write_dataset(state, EXPLICIT))
    assert "7" in grey(**STATE).json["Details"]
    assert grey(**STATE).status_code in (404, 406)


@pytest.mark.parametrize(
    "attributes",
    [{"SOPInstanceUID": "1.2.5.9"}, {"SeriesInstanceUID": "1.2.9"}, {"StudyInstanceUID": "1.9"}],
    ids=str,
)
def test_a_presentation_state_that_is_not_there(grey, attributes):
    grey.client.stored(state_of(**attributes))
    refused(grey(**STATE), 400, "presentationUID")


def test_what_is_no_presentation_state(grey):
    grey.client.stored(image_of(SeriesInstanceUID="1.2.5", SOPInstanceUID="1.2.5.1"))
    refused(grey(**STATE), 400, "presentationUID")


def test_a_presentation_state_of_another_image(grey):
    grey.client.stored(state_of(ReferencedSeriesSequence=[]))
    refused(grey(**STATE), 406, "presentation state")


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_query_is_answered_or_refused_with_a_sentence(grey, data):
    names = (
        *("requestType", "studyUID", "seriesUID", "objectUID", "contentType", "charset"),
        *("frameNumber", "annotation", "imageQuality", "rows", "columns", "region"),
        *("windowCenter", "windowWidth", "presentationUID", "anonymize", "transferSyntax"),
    )
    values = st.one_of(
        st.sampled_from(
            ["", "1", "0", "-1", "yes", "1.2", "0,0,1,1", "image/png", "application/dicom", "*"]
        ),
        st.text(max_size=12),
    )
    asked = data.draw(st.dictionaries(st.sampled_from(names), values, max_size=5))
    answer = grey(**asked)
    assert answer.status_code in (200, 400, 404, 406)
    if answer.status_code != 200:
        assert answer.json["Details"]


# --- files ---------------------------------------------------------------------------------


def file(wado, **parameters):
    answer = wado(contentType="application/dicom", **parameters)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer


def test_the_default_is_explicit_little_endian(wado):
    wado.client.stored(image_of(transfer_syntax=IMPLICIT))
    answer = file(wado)
    assert answer.content_type == f"application/dicom; transfer-syntax={EXPLICIT}"
    assert read(answer.data).file_meta.TransferSyntaxUID == EXPLICIT
    assert answer.headers["Content-Location"].endswith("/instances/1.2.3.4")


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, "1.2.840.10008.1.2.1.99", JPEG_2000])
def test_another_transfer_syntax(grey, syntax):
    assert read(file(grey, transferSyntax=syntax).data).file_meta.TransferSyntaxUID == syntax


def test_the_stored_bytes(wado):
    data = image_of(transfer_syntax=IMPLICIT)
    wado.client.stored(data)
    assert file(wado, transferSyntax="*").data == data


def test_what_is_compressed_is_decoded(wado):
    data = sample("JPEG2000.dcm")
    wado.client.stored(data)
    uid = str(read(data).SOPInstanceUID)
    assert read(file(wado, objectUID=uid).data).file_meta.TransferSyntaxUID == EXPLICIT
    assert file(wado, objectUID=uid, transferSyntax="*").data == data


def test_transfer_syntaxes_that_cannot_be(grey):
    for syntax in ("", "abc", f"{EXPLICIT},{IMPLICIT}"):
        refused(grey(contentType="application/dicom", transferSyntax=syntax), 400, "transferSyntax")
    for syntax in ("1.2.3", "1.2.840.10008.1.2.4.103"):
        answer = grey(contentType="application/dicom", transferSyntax=syntax)
        refused(answer, 406, EXPLICIT, "*")


def test_a_window_means_nothing_for_a_file(grey):
    answer = grey(contentType="application/dicom", windowCenter="1", windowWidth="2")
    refused(answer, 400, "windowCenter")


# --- anonymize -----------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [None, IMPLICIT, "1.2.840.10008.1.2.1.99", JPEG_2000, "*"])
def test_nobody_is_in_the_file(grey, syntax):
    answer = file(grey, anonymize="yes", transferSyntax=syntax)
    found = read(answer.data)
    assert found.PatientName == ""
    assert found.PatientIdentityRemoved == "YES"
    assert found.file_meta.TransferSyntaxUID == (EXPLICIT if syntax in (None, "*") else syntax)
    assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID != "1.2.3.4"
    assert "Content-Location" not in answer.headers
    assert "Warning" not in answer.headers
    text = answer.data + str(answer.headers).encode()
    assert b"Secret" not in text
    assert b"1.2.3.4" not in text


def test_instances_of_a_study_stay_together(wado):
    second = image_of(SOPInstanceUID="1.2.3.5")
    wado.client.stored(image_of(), second)
    found = [read(file(wado, objectUID=f"1.2.3.{n}", anonymize="yes").data) for n in (4, 5)]
    assert found[0].StudyInstanceUID == found[1].StudyInstanceUID != "1.2"
    assert found[0].SOPInstanceUID != found[1].SOPInstanceUID


def test_the_key_is_kept_and_can_be_configured(tmp_path):
    uids = {}
    for name, key in (("random", ""), ("again", ""), ("set", "0123456789abcdef")):
        config = {"WadoAnonymizationKey": key} if key else {}
        with temporary_app(tmp_path, config) as app:
            flask = app.test_client()
            flask.post("/dicom-web/studies", data=image_of(), content_type="application/dicom")
            answer = flask.get(
                "/wado?requestType=WADO&objectUID=1.2.3.4&anonymize=yes"
                "&contentType=application/dicom"
            )
            uids[name] = read(answer.data).SOPInstanceUID, answer.headers["ETag"]
    assert uids["random"] == uids["again"]
    assert not set(uids["random"]) & set(uids["set"])


def test_burned_in_names_are_not_called_anonymous(wado):
    wado.client.stored(image_of(BurnedInAnnotation="YES"))
    for wanted in ("application/dicom", "image/png"):
        refused(wado(contentType=wanted, anonymize="yes"), 406, "Burned In Annotation")
    assert wado().status_code == 200


def test_nobody_looked_at_the_pixels(wado):
    wado.client.stored(image_of(BurnedInAnnotation=None))
    for wanted in ("application/dicom", "image/png"):
        assert "pixels" in wado(contentType=wanted, anonymize="yes").headers["Warning"]


# --- as every route ------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["image/jpeg", "application/dicom"])
def test_tags_and_ranges(grey, wanted):
    whole = grey(contentType=wanted)
    tag = whole.headers["ETag"]
    assert grey({"If-None-Match": tag}, contentType=wanted).status_code == 304
    assert grey({"If-Match": '"other"'}, contentType=wanted).status_code == 412
    part = grey({"Range": "bytes=10-19"}, contentType=wanted)
    assert (part.status_code, part.data) == (206, whole.data[10:20])
    head = grey(method="HEAD", contentType=wanted)
    assert head.headers["Content-Length"] == str(len(whole.data))
    assert whole.headers["Cache-Control"] == "private, no-cache"


def test_another_view_has_another_tag(grey):
    tags = {
        grey(**each).headers["ETag"]
        for each in (
            {},
            {"rows": "10"},
            {"imageQuality": "50"},
            {"contentType": "application/dicom"},
            {"contentType": "application/dicom", "anonymize": "yes"},
        )
    }
    assert len(tags) == 5


def test_other_methods_are_405(grey):
    assert grey(method="POST").status_code == 405
    assert grey(method="OPTIONS").status_code == 200


@pytest.mark.dicomweb_config({"CorsAllowedOrigins": ["https://viewer.example"]})
def test_pages_of_other_sites_that_are_allowed(grey):
    answer = grey({"Origin": "https://viewer.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://viewer.example"


def test_it_asks_for_the_permission_to_read(dicomweb_app):
    assert action_of(dicomweb_app.view_functions["wado_uri.wado"]) is Action.READ


RULES = [
    {"Users": ["north"], "Actions": ["read"], "Studies": {"InstitutionName": "North"}},
    {"Users": ["all"], "Actions": ["*"]},
]


@pytest.mark.dicomweb_config(
    {
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"north": "secret", "all": "secret", "none": "secret"},
        "Authorization": {"Type": "rules", "Rules": RULES},
    }
)
def test_what_one_may_not_see_is_not_there(dicomweb_client):
    data = image_of(InstitutionName="South")
    stored = dicomweb_client.post(
        "/dicom-web/studies",
        data=data,
        content_type="application/dicom",
        auth=("all", "secret"),
    )
    assert stored.status_code == 200
    for around in ("", "&studyUID=1.2&seriesUID=1.2.3"):
        path = f"/wado?requestType=WADO&objectUID=1.2.3.4{around}"
        statuses = [
            dicomweb_client.get(path, auth=auth).status_code
            for auth in (("all", "secret"), ("north", "secret"), ("none", "secret"), None)
        ]
        assert statuses == [200, 404, 403, 401]


def test_it_is_written_in_the_audit_log(tmp_path):
    log = tmp_path / "audit.log"
    with temporary_app(tmp_path, {"Audit": {"Path": str(log)}}) as app:
        flask = app.test_client()
        flask.post("/dicom-web/studies", data=image_of(), content_type="application/dicom")
        flask.get("/wado?requestType=WADO&objectUID=1.2.3.4")
    line = json.loads(log.read_text().splitlines()[-1])
    assert "1.2.3.4" in json.dumps(line)
    assert "P1" in json.dumps(line)


ALICE = {"AuthenticationEnabled": True, "RegisteredUsers": {"alice": "secret"}}


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("objectUID=1.2.9", {"instance": "1.2.9"}),
        (
            "objectUID=1.2.9&studyUID=1.2&seriesUID=1.2.3",
            {"study": "1.2", "series": "1.2.3", "instance": "1.2.9"},
        ),
        ("objectUID=1.2.9&studyUID=Jones", {"instance": "1.2.9"}),
        ("objectUID=Jones", None),
        ("objectUID=" + "1" * 65, None),
        ("studyUID=1.2", None),
    ],
)
@pytest.mark.parametrize("password", ["secret", "wrong"])
def test_what_was_refused_or_is_not_there_is_named_in_the_audit_log(
    tmp_path, query, named, password
):
    log = tmp_path / "audit.log"
    with temporary_app(tmp_path, ALICE | {"Audit": {"Path": str(log)}}) as app:
        path = f"/wado?requestType=WADO&{query}"
        status = app.test_client().get(path, auth=("alice", password)).status_code
    (line,) = map(json.loads, log.read_text().splitlines())
    assert line["status"] == status >= 400
    assert line.get("touched") == (None if named is None else [named])


# --- options -------------------------------------------------------------------------------


@pytest.mark.parametrize("root", ["archive/wado", "/archive//wado/", "/archive/wado"])
def test_the_path_is_configured(tmp_path, root):
    with temporary_app(tmp_path, {"DicomWeb": {"WadoRoot": root}}) as app:
        flask = app.test_client()
        assert flask.get("/archive/wado").status_code == 400
        assert flask.get("/archive/wado/?requestType=WADO").status_code == 400
        assert flask.get("/wado").status_code == 404


def test_it_can_be_off(tmp_path):
    with temporary_app(tmp_path, {"DicomWeb": {"EnableWado": False}}) as app:
        assert app.test_client().get("/wado?requestType=WADO").status_code == 404


def test_it_stays_when_the_studies_service_is_off(tmp_path):
    with temporary_app(tmp_path) as app:
        app.test_client().post(
            "/dicom-web/studies", data=image_of(), content_type="application/dicom"
        )
    with temporary_app(tmp_path, {"DicomWeb": {"Enable": False}}) as app:
        answer = app.test_client().get("/wado?requestType=WADO&objectUID=1.2.3.4")
        assert answer.status_code == 200
        assert "Content-Location" not in answer.headers


@pytest.mark.parametrize(
    "config",
    [
        {"DicomWeb": {"WadoRoot": "/"}},
        {"DicomWeb": {"WadoRoot": "/<path:all>"}},
        {"DicomWeb": {"WadoRoot": 7}},
        {"DicomWeb": {"WadoRoot": "/dicom-web/studies"}},
        {"DicomWeb": {"WadoRoot": "/metrics"}},
        {"WadoAnonymizationKey": "short"},
    ],
)
def test_wrong_options_stop_the_start(tmp_path, config):
    with pytest.raises(ConfigError, match="Wado"), temporary_app(tmp_path, config):
        pass


def test_an_instance_that_lies(wado):
    wado.client.stored(image_of(Rows=200))
    refused(wado(), 406, "transferSyntax=*")
