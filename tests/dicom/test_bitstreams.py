"""Headers of JPEG images that say what none can be."""

import imagecodecs
import numpy as np
import pytest

from dicomweb_server.dicom import DicomError
from dicomweb_server.dicom.bitstreams import read_image_header

from .streams import reader


def test_an_image_without_components():
    data = b"\xff\xd8\xff\xc0\0\x08\x08\0\x10\0\x10\0\xff\xda\0\x06\0\0\x3f\0\xff\xd9"
    with pytest.raises(DicomError, match="no components"):
        read_image_header("image/jpeg", reader(data), 7, len(data))


def test_a_jpeg_2000_image_that_asks_for_what_it_lacks_is_damaged():
    made = imagecodecs.jpeg2k_encode(np.zeros((16, 16), np.uint8), codecformat="J2K", level=0)
    damaged = made[:6] + b"\xfe\xff" + made[8:]  # Rsiz of the marker SIZ
    assert read_image_header("image/jp2", reader(made), 7, len(made)).rows == 16
    with pytest.raises(DicomError, match="SIZ of the JPEG 2000 image is damaged"):
        read_image_header("image/jp2", reader(damaged), 7, len(damaged))
