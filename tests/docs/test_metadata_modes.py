"""What the page about metadata modes says of their answers, with the data of its benchmark."""

import re

import pytest

from benchmarks.metadata_modes import ATTRIBUTES, EXTRAPOLATED, MODES, PATH, slice_of
from dicomweb_server.dicom.tags import STANDARD
from dicomweb_server.testing.apps import temporary_app
from dicomweb_server.testing.dicom import read
from tests.docs.helpers import ROOT

TEXT = (ROOT / "docs" / "metadata-modes.md").read_text(encoding="utf-8")
NAMED = {"SeriesMetadataExtrapolatedTags": list(EXTRAPOLATED)}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """mode -> the metadata of the first of three slices."""
    found = {}
    for mode in MODES:
        config = {"DicomWeb": {"SeriesMetadata": mode, "StudiesMetadata": mode} | NAMED}
        with temporary_app(tmp_path_factory.mktemp(mode), config) as app:
            client = app.test_client()
            for number in (1, 2, 3):
                client.post(
                    "/dicom-web/studies", data=slice_of(number), content_type="application/dicom"
                )
            found[mode] = client.get("/dicom-web" + PATH).json[0]
    return found


def test_the_numbers_of_attributes(answers):
    assert len(read(slice_of(1))) == ATTRIBUTES
    table = re.findall(r"^\| `(\w+)`.*? \| (\d+) \| ", TEXT, re.M)
    assert {mode: len(answer) for mode, answer in answers.items()} == {
        mode: int(number) for mode, number in table
    }


def test_what_is_left_out(answers):
    """The rows of the last table, as far as the header has their attributes."""
    rows = re.findall(
        r"^\| ([A-Z][^|]*) \| [^|]* \| (wrong|right)[^|]* \| (wrong|right)", TEXT, re.M
    )
    assert len(rows) == 7
    for attributes, main, extrapolated in rows:
        tags = [STANDARD.resolve(keyword) for keyword in attributes.split(", ")]
        assert all(tags)
        there = [tag for tag in tags if tag in answers["Full"]]
        assert not any(tag in answers["MainDicomTags"] for tag in there), attributes
        assert main == "wrong"
        named = [tag for tag in there if STANDARD.keyword(tag) in EXTRAPOLATED]
        assert all(tag in answers["Extrapolate"] for tag in named)
        assert bool(named) <= (extrapolated == "right"), attributes


def test_the_command_of_the_page():
    assert "python -m benchmarks.metadata_modes" in TEXT
    assert (ROOT / "benchmarks" / "metadata_modes.py").is_file()
