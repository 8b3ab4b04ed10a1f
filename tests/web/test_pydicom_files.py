"""Every file that pydicom ships goes in, comes back byte-identical, and says what pydicom says."""

import json
import warnings

import pytest

from dicomweb_server.testing.apps import context_of, temporary_app
from dicomweb_server.testing.dicom import DEFLATED, read
from tests.conftest import Client
from tests.dicom.helpers import bundled, judged, ours

REFUSED = {
    "MR_truncated.dcm": "ends",
    "rtplan_truncated.dcm": "ends",
    "no_meta.dcm": "",
    "meta_missing_tsyntax.dcm": "",
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """One archive for all of them; they are many."""
    with temporary_app(tmp_path_factory.mktemp("archive")) as app:
        yield Client(app.test_client())


@pytest.fixture
def client(archive):
    """The archive while it is empty: many files are variants of one instance."""
    yield archive
    for study in archive.found():
        answer = archive.call("DELETE", f"/studies/{study['0020000D']['Value'][0]}")
        assert answer.status_code == 204


def count(client):
    return context_of(client.flask.application).index.statistics().instances


def relative(attributes):
    """Metadata with links as the reader has them: without the URL of the server."""
    found = {}
    for tag, element in attributes.items():
        changed = dict(element)
        if "BulkDataURI" in element:
            changed["BulkDataURI"] = element["BulkDataURI"].partition("/bulk/")[2]
        elif element["vr"] == "SQ" and "Value" in element:
            changed["Value"] = [relative(item) for item in element["Value"]]
        found[tag] = changed
    return found


@pytest.mark.parametrize("path", bundled(), ids=lambda path: path.name)
def test_a_bundled_file(client, path):
    data = path.read_bytes()
    answer = client.store(data)
    if answer.status_code != 200:
        assert answer.status_code in (400, 409)
        assert "Warning" in answer.headers
        assert count(client) == 0
        data_set = read(data)
        named = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
        whole = all(data_set.get(name) for name in named)
        assert not whole or path.name in REFUSED
        return
    assert path.name not in REFUSED or not REFUSED[path.name]
    (item,) = answer.json["00081199"]["Value"]
    url = item["00081190"]["Value"][0]
    assert (
        client.flask.get(url, headers={"Accept": "application/dicom; transfer-syntax=*"}).data
        == data
    )
    (metadata,) = json.loads(client.flask.get(f"{url}/metadata").data)
    if path.name == "badVR.dcm":
        return  # pydicom refuses its IS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_set = read(data)
        assert ours(relative(metadata)) == judged(data_set)
    if "PixelData" in data_set and data_set.file_meta.get("TransferSyntaxUID") != DEFLATED:
        stored = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
        bulk = client.flask.get(f"{url}/bulk/7fe00010", headers=stored)
        assert bulk.status_code == 200
