"""Headers of JPEG images that say what none can be."""

import pytest

from dicomweb_server.dicom import DicomError
from dicomweb_server.dicom.bitstreams import read_image_header

from .streams import reader


def test_an_image_without_components():
    data = b"\xff\xd8\xff\xc0\0\x08\x08\0\x10\0\x10\0\xff\xda\0\x06\0\0\x3f\0\xff\xd9"
    with pytest.raises(DicomError, match="no components"):
        read_image_header("image/jpeg", reader(data), 7, len(data))
