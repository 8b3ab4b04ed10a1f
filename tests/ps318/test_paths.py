"""Paths of resources, UIDs and frame lists."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.ps318.errors import BadRequest
from dicomweb_server.ps318.paths import Resource, is_uid, parse_frame_list
from tests.ps318 import outcome


def test_paths():
    instance = Resource("1.2", "3.4", "5.6")
    assert Resource("1.2").path == "studies/1.2"
    assert Resource("1.2", "3.4").metadata() == "studies/1.2/series/3.4/metadata"
    assert instance.path == "studies/1.2/series/3.4/instances/5.6"
    assert instance.frames([2, 1]) == instance.path + "/frames/2,1"
    assert instance.frames() == instance.path + "/frames"
    assert instance.rendered() == instance.path + "/rendered"
    assert instance.rendered(3) == instance.path + "/frames/3/rendered"
    assert instance.thumbnail() == instance.path + "/thumbnail"
    assert instance.thumbnail(1) == instance.path + "/frames/1/thumbnail"
    assert instance.bulk(["60031010", 2, "6003101A"]) == instance.path + "/bulk/60031010/2/6003101a"
    for base in ("http://h/dicom-web", "http://h/dicom-web/"):
        assert Resource("1.2").url(base) == "http://h/dicom-web/studies/1.2"


def test_an_instance_needs_its_series():
    with pytest.raises(ValueError, match="series"):
        Resource("1.2", None, "5.6")


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(names, names)
def test_odd_uids_stay_one_segment(study, series):
    study, series = (
        study.encode("utf-8", "replace").decode(),
        series.encode("utf-8", "replace").decode(),
    )
    parts = Resource(study, series).path.split("/")
    assert [unquote(part) for part in parts] == ["studies", study, "series", series]
    assert not {".", ".."} & set(parts)
    assert all("?" not in part and "#" not in part for part in parts)


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.1", "1", "1.02.3", "1" * 64])
def test_uids(uid):
    assert is_uid(uid)


@pytest.mark.parametrize(
    "text", ["", ".", "1.", ".1", "1..2", "1.a", "nope", "1" * 65, "1.2 ", "1.2\n", "١.٢"]
)
def test_no_uids(text):
    assert not is_uid(text)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1", (1,)),
        ("1,3", (1, 3)),
        ("2,1,1", (2, 1, 1)),
        ("1, 2", (1, 2)),
        ("007", (7,)),
        ("9" * 30, (10**30 - 1,)),
    ],
)
def test_frame_lists(text, numbers):
    assert parse_frame_list(text) == numbers


@pytest.mark.parametrize(
    "text", ["", ",", "1,", "0", "-1", "a", "1;2", "1.5", "²", "9" * 1001, "1-3"]
)
def test_no_frame_lists(text):
    with pytest.raises(BadRequest, match="frame"):
        parse_frame_list(text)


@given(st.text())
def test_any_frame_list_is_read_or_refused(text):
    answer = outcome(lambda: parse_frame_list(text))
    assert isinstance(answer, BadRequest) or all(number > 0 for number in answer)
