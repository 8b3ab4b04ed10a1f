"""Negotiation: the headers of real clients, and the rules of RFC 9110 and PS3.18, 8.7.8."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.ps318.accept import ANY, Match, Offer, accepted_ranges, negotiate
from dicomweb_server.ps318.errors import BadRequest, NotAcceptable, Ps318Error
from tests.ps318 import outcome

JPEG_LS = "1.2.840.10008.1.2.4.80"
EXPLICIT = "1.2.840.10008.1.2.1"
J2K = "1.2.840.10008.1.2.4.90"

JSON = Offer("application/dicom+json")
XML = Offer("application/dicom+xml", multipart=True)
QIDO = (JSON, XML)
METADATA = QIDO
DICOM = Offer("application/dicom", multipart=True, transfer_syntaxes=ANY)
ZIP = Offer("application/zip")
STUDY = (DICOM, ZIP)
OCTETS = Offer("application/octet-stream", multipart=True, transfer_syntaxes=frozenset({EXPLICIT}))
STORED = Offer("image/jls", True, frozenset({JPEG_LS}), as_stored=True)
ONE_FRAME = Offer("application/octet-stream", False, frozenset({EXPLICIT}))
FRAMES = (OCTETS, STORED, ONE_FRAME)
BULK = (Offer("application/octet-stream", multipart=True), Offer("application/octet-stream"))
JPG, PNG, GIF = Offer("image/jpeg"), Offer("image/png"), Offer("image/gif")
RENDERED = (JPG, PNG, GIF)

CHROME_PAGE = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
    "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
)
CHROME_IMAGE = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX_IMAGE = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
SAFARI_IMAGE = "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
OHIF_METADATA = (
    "application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*"
)

CLIENTS = [
    ("qido, no header", None, QIDO, JSON, None),
    ("qido, empty header", "", QIDO, JSON, None),
    ("qido, curl and requests", "*/*", QIDO, JSON, None),
    ("qido, dicomweb-client", "application/dicom+json, application/json", QIDO, JSON, None),
    ("qido, axios", "application/json, text/plain, */*", QIDO, JSON, None),
    ("qido, browser", CHROME_PAGE, QIDO, JSON, None),
    ("qido, xml", 'multipart/related; type="application/dicom+xml"', QIDO, XML, None),
    ("qido, weasis", "multipart/related; type=application/dicom+xml", QIDO, XML, None),
    ("qido, application/xml", "application/xml", QIDO, XML, None),
    ("qido, text/xml", "text/xml, application/xml;q=0.5", QIDO, XML, None),
    ("qido, multipart/*", "multipart/*", QIDO, XML, None),
    ("qido, upper case", "Application/DICOM+JSON", QIDO, JSON, None),
    ("metadata, OHIF", OHIF_METADATA, METADATA, JSON, None),
    ("metadata, application/*", "application/*", METADATA, JSON, None),
    ("metadata, mixed", "application/dicom+xml, application/json", METADATA, JSON, None),
    ("study, curl", "*/*", STUDY, DICOM, None),
    ("study, quoted", 'multipart/related; type="application/dicom"', STUDY, DICOM, None),
    ("study, unquoted", "multipart/related;type=application/dicom", STUDY, DICOM, None),
    ("study, spaces", 'multipart/related ; type = "application/dicom" ;', STUDY, DICOM, None),
    ("study, no type", "multipart/related", STUDY, DICOM, None),
    ("study, shouting", 'MULTIPART/Related; TYPE="APPLICATION/DICOM"', STUDY, DICOM, None),
    (
        "study, as stored",
        'multipart/related; type="application/dicom"; transfer-syntax=*',
        STUDY,
        DICOM,
        "*",
    ),
    (
        "study, as stored, quoted star",
        'multipart/related; type="application/dicom"; transfer-syntax="*"',
        STUDY,
        DICOM,
        "*",
    ),
    (
        "study, syntax inside the quotes",
        f'multipart/related; type="application/dicom; transfer-syntax={J2K}"',
        STUDY,
        DICOM,
        J2K,
    ),
    (
        "study, syntax sent twice: the first counts",
        f"multipart/related; type=application/dicom; transfer-syntax={J2K}; transfer-syntax=*",
        STUDY,
        DICOM,
        J2K,
    ),
    ("study, zip", "application/zip", STUDY, ZIP, None),
    (
        "study, list of syntaxes by q",
        f"multipart/related; type=application/dicom; transfer-syntax={J2K}; q=0.5,"
        f' multipart/related; type="application/dicom"; transfer-syntax={JPEG_LS}',
        STUDY,
        DICOM,
        JPEG_LS,
    ),
    (
        "study, order decides between equals",
        f"multipart/related; type=application/dicom; transfer-syntax={J2K},"
        f" multipart/related; type=application/dicom; transfer-syntax=*",
        STUDY,
        DICOM,
        J2K,
    ),
    (
        "frames, cornerstone",
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
        FRAMES,
        STORED,
        "*",
    ),
    ("frames, octets", 'multipart/related; type="application/octet-stream"', FRAMES, OCTETS, None),
    ("frames, dicomweb-client default", 'multipart/related; type="*/*"', FRAMES, OCTETS, None),
    ("frames, unquoted wildcard", "multipart/related; type=*/*", FRAMES, OCTETS, None),
    ("frames, application/*", 'multipart/related; type="application/*"', FRAMES, OCTETS, None),
    ("frames, image/*", 'multipart/related; type="image/*"', FRAMES, STORED, None),
    (
        "frames, any as stored",
        'multipart/related; type="*/*"; transfer-syntax=*',
        FRAMES,
        STORED,
        "*",
    ),
    (
        "frames, dicomweb-client with syntaxes",
        f'multipart/related; type="image/jp2"; transfer-syntax={J2K},'
        f' multipart/related; type="image/jls"; transfer-syntax={JPEG_LS}',
        FRAMES,
        STORED,
        JPEG_LS,
    ),
    (
        "frames, octets in a syntax",
        f"multipart/related; type=application/octet-stream; transfer-syntax={JPEG_LS}",
        FRAMES,
        STORED,
        JPEG_LS,
    ),
    (
        "frames, the name of 2014",
        'multipart/related; type="image/dicom+jpeg-ls"',
        FRAMES,
        STORED,
        None,
    ),
    ("frames, x-name", "multipart/related; type=image/x-jls", FRAMES, STORED, None),
    ("frames, a list with */*", "text/html, */*", FRAMES, OCTETS, None),
    ("frames, single part", "application/octet-stream", FRAMES, ONE_FRAME, None),
    (
        "bulk data, OHIF",
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
        BULK,
        BULK[0],
        None,
    ),
    ("rendered, img in Chrome", CHROME_IMAGE, RENDERED, JPG, None),
    ("rendered, img in Firefox", FIREFOX_IMAGE, RENDERED, PNG, None),
    ("rendered, img in Safari", SAFARI_IMAGE, RENDERED, PNG, None),
    ("rendered, page in Chrome", CHROME_PAGE, RENDERED, JPG, None),
    ("rendered, Java", JAVA, RENDERED, GIF, None),
    ("rendered, image/jpg", "image/jpg", RENDERED, JPG, None),
    ("rendered, weighted", "image/png;q=0.9", RENDERED, PNG, None),
    ("rendered, image/*", "image/*", RENDERED, JPG, None),
    ("rendered, png before all", "image/png, */*", RENDERED, PNG, None),
    ("rendered, not jpeg", "image/jpeg;q=0, image/*", RENDERED, PNG, None),
    (
        "rendered, anything but png and jpeg",
        "*/*, image/jpeg;q=0, image/png;q=0",
        RENDERED,
        GIF,
        None,
    ),
    ("a bad element is skipped", "nonsense, image/png", RENDERED, PNG, None),
    ("the specific q counts", "application/dicom+json;q=0.1, */*;q=0.5", QIDO, XML, None),
    ("unknown parameters do not matter", "application/json; charset=utf-8", QIDO, JSON, None),
]


@pytest.mark.parametrize(
    ("header", "offers", "offer", "syntax"),
    [pytest.param(*case[1:], id=case[0]) for case in CLIENTS],
)
def test_clients_get_what_they_mean(header, offers, offer, syntax):
    match = negotiate(header, offers)
    assert (match.offer, match.transfer_syntax) == (offer, syntax)


REFUSED = [
    ("no such image", "image/tiff", RENDERED),
    ("single part of a study", "application/dicom", STUDY),
    ("xml as single part", "application/dicom+xml", QIDO),
    ("a syntax nobody offers", f"multipart/related; type=image/jls; transfer-syntax={J2K}", FRAMES),
    (
        "octets in a syntax nobody offers",
        f"multipart/related; type=*/*; transfer-syntax={J2K}",
        FRAMES,
    ),
    ("a syntax where there is none", f"application/dicom+json; transfer-syntax={J2K}", QIDO),
    ("all refused", "*/*;q=0", RENDERED),
    ("only offer refused", "application/zip;q=0", (ZIP,)),
    ("other multipart", "multipart/form-data", STUDY),
    (
        "octets are no study",
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
        STUDY,
    ),
]


@pytest.mark.parametrize(
    ("header", "offers"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED]
)
def test_406_lists_what_is_possible(header, offers):
    with pytest.raises(NotAcceptable) as caught:
        negotiate(header, offers)
    assert caught.value.status == 406
    assert all(str(offer) in caught.value.details for offer in offers)


def test_406_speaks_the_syntax_of_accept():
    with pytest.raises(NotAcceptable) as caught:
        negotiate("image/tiff", (*STUDY, STORED))
    assert caught.value.details.endswith(
        'Possible: multipart/related; type="application/dicom"; transfer-syntax=*, application/zip,'
        f' multipart/related; type="image/jls"; transfer-syntax={JPEG_LS}.'
    )


@pytest.mark.parametrize("q", ["2", "-1", "x", "1.0.1", "", "nan", "1e0"])
def test_a_wrong_weight_is_a_bad_request(q):
    with pytest.raises(BadRequest, match="q="):
        negotiate(f"image/png;q={q}", RENDERED)


@pytest.mark.parametrize("header", [",", "nonsense", '"', "image", "/png", "image/", "a b/c"])
def test_nothing_readable_is_a_bad_request(header):
    with pytest.raises(BadRequest, match="media type"):
        negotiate(header, RENDERED)


class TestQueryParameter:
    def test_it_beats_the_header(self):
        assert negotiate("image/jpeg", RENDERED, query_accept="image/png").offer == PNG

    def test_the_header_is_asked_if_it_names_nothing_possible(self):
        assert negotiate("image/png", RENDERED, query_accept="image/tiff").offer == PNG

    def test_without_header_there_is_nothing_to_fall_back_to(self):
        with pytest.raises(NotAcceptable):
            negotiate(None, RENDERED, query_accept="image/tiff")

    def test_an_empty_one_is_none(self):
        assert negotiate("image/png", RENDERED, query_accept=" ").offer == PNG

    def test_a_plus_that_became_a_space(self):
        assert negotiate("*/*", (XML, JSON), query_accept="application/dicom json").offer == JSON


def test_the_deciding_element_is_told():
    match = negotiate("text/html, image/*;q=0.5", RENDERED)
    assert isinstance(match, Match)
    assert (match.media_range.essence, match.media_range.q) == ("image/*", 0.5)
    assert [str(each) for each in accepted_ranges("a/b;c=d;q=0.25, */*")] == [
        "a/b; c=d;q=0.25",
        "*/*",
    ]


def test_common_headers_are_answered_from_a_cache():
    header = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    negotiate(header, STUDY)
    start = time.perf_counter()
    for _ in range(1000):
        negotiate(header, STUDY)
    assert time.perf_counter() - start < 0.05  # 5 µs each on a slow machine is 0.005


def test_a_long_header_takes_no_long_time():
    start = time.perf_counter()
    many = ",".join(f"*/*;transfer-syntax={n};q={n % 2}" for n in range(300))
    for header in (
        many,
        '"' * 8000,
        "a/b;" * 2000,
        'a/b;c="' + "\\\\" * 8000,
        "," * 8000,
        "a/b," * 2000,
    ):
        with pytest.raises(Ps318Error):
            negotiate(header, RENDERED)
    assert time.perf_counter() - start < 1


pieces = st.sampled_from(
    ["*/*", "image/png", "image/", "*", ";", ",", "q=", "0.5", "1", '"', "\\", "=", " ", "type=",
     "multipart/related", "application/dicom", "transfer-syntax=", "é", "\n", "\0"]
)  # fmt: skip


@given(st.one_of(st.lists(pieces).map("".join), st.text()), st.one_of(st.none(), st.text()))
def test_any_text_gets_an_offer_or_a_sentence(header, query):
    offers = (*STUDY, *FRAMES, *QIDO)
    answer = outcome(lambda: negotiate(header, offers, query_accept=query))
    if isinstance(answer, Match):
        assert answer.offer in offers
        assert answer.media_range.q > 0
    else:
        assert answer.details.endswith(".")
        assert answer.status in (400, 406)
