"""Which parts of a message a BulkDataURI means."""

from itertools import islice

import pytest

from dicomweb_server.ps318.locations import frame_locations, resolved

BASE = "http://host/dicom-web/studies"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("bulk/1", "http://host/dicom-web/bulk/1"),
        (" <bulk/1> ", "http://host/dicom-web/bulk/1"),
        ("/x", "http://host/x"),
        ("http://other/x?a=b", "http://other/x?a=b"),
        ("urn:uuid:1", "urn:uuid:1"),
        ("x#part", "http://host/dicom-web/x"),
        ("http://[", "http://["),
    ],
)
def test_locations_are_resolved(location, expected):
    assert resolved(BASE, location) == expected


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("http://h/i/frames/3,1", ["http://h/i/frames/3", "http://h/i/frames/1"]),
        ("http://h/i/frames/2", ["http://h/i/frames/2"]),
        ("http://h/i", ["http://h/i/frames/1", "http://h/i/frames/2", "http://h/i/frames/3"]),
        ("http://h/i/", ["http://h/i/frames/1", "http://h/i/frames/2", "http://h/i/frames/3"]),
    ],
)
def test_locations_of_frames(location, expected):
    assert list(islice(frame_locations(location), 3)) == expected
