"""The speed of frames (PS3.3 C.7.6.5)."""

import pytest

from dicomweb_server.imaging.cine import seconds_per_frame
from dicomweb_server.testing.dicom import make_instance
from tests.imaging.frames import Case


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        ({}, 0.1),
        ({"FrameTime": "40"}, 0.04),
        ({"FrameTimeVector": ["0", "20", "40"]}, 0.03),
        ({"CineRate": "25"}, 0.04),
        ({"CineRate": "25", "FrameTime": "50"}, 0.05),
        ({"RecommendedDisplayFrameRate": "20", "FrameTime": "33"}, 0.05),
        ({"FrameTime": "0", "CineRate": "0"}, 0.1),
        ({"FrameTime": "-5"}, 0.1),
        ({"FrameTime": "0.001"}, 0.01),
        ({"FrameTime": "1e9"}, 60),
    ],
)
def test_seconds_from_frame_to_frame(attributes, seconds):
    assert seconds_per_frame(Case(make_instance(**attributes)).attributes) == pytest.approx(seconds)
