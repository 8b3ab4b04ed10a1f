"""Every file of pydicom's wheel that its decoders read, beside what its own functions make of it."""

import warnings
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from pydicom.pixels import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi_lut,
    convert_color_space,
)

from dicomweb_server.dicom import DicomError
from dicomweb_server.imaging import View, Window
from tests.imaging.frames import Case, grey, lut

FOLDER = Path(pydicom.data.__file__).parent / "test_files"
FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}


@cache
def cases():
    """Files with a frame: (name, case, image)."""
    found = []
    for path in sorted(FOLDER.glob("*.dcm")):
        try:
            case = Case(path.read_bytes())
            if case.parsed.pixel_data is not None:
                found.append((path.name, case, case.image()))
        except (DicomError, RuntimeError):
            continue  # damaged on purpose, or no decoder of pydicom is there
    return found


def of(*photometrics):
    return [case for case in cases() if case[2].format.photometric in photometrics]


def windowed(case, array, window):
    """Grey from 0 to 255 by pydicom, from modality values."""
    data_set = deepcopy(case.data_set)
    data_set.WindowCenter, data_set.WindowWidth = window.center, window.width
    data_set.VOILUTFunction = FUNCTIONS[window.function]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shown = apply_voi_lut(apply_modality_lut(array, data_set), data_set)
    bits = data_set.BitsStored
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if data_set.PixelRepresentation == 0:
        low, high = 0, 2**bits - 1
    slope, intercept = data_set.get("RescaleSlope", 1), data_set.get("RescaleIntercept", 0)
    low, high = low * float(slope) + float(intercept), high * float(slope) + float(intercept)
    return (shown - low) / (high - low) * 255


def test_there_are_enough_files():
    assert len(cases()) > 40
    assert len(of("MONOCHROME2")) > 15


@pytest.mark.parametrize("function", FUNCTIONS)
def test_grey(function):
    for name, case, image in of("MONOCHROME2"):
        values = apply_modality_lut(image.pixels, case.data_set)
        window = Window(float(np.median(values)) + 0.3, max(float(np.ptp(values)) / 3, 2), function)
        shown = case.render(how=View(window=window))
        expected = windowed(case, image.pixels, window)
        assert shown.shape == image.pixels.shape, name
        assert np.abs(shown - expected).max() <= 1, name


def test_the_window_of_the_file():
    compared = 0
    for name, case, image in of("MONOCHROME2"):
        data_set = case.data_set
        if "WindowCenter" not in data_set:
            continue
        center, width = data_set.WindowCenter, data_set.WindowWidth
        first = Window(*(float(np.ravel(value)[0]) for value in (center, width)))
        expected = windowed(case, image.pixels, first)
        assert np.abs(case.render() - expected).max() <= 1, name
        compared += 1
    assert compared > 3


def test_colour():
    for name, case, image in of("RGB"):
        expected = image.pixels >> (8 * (image.pixels.dtype.itemsize - 1))
        assert np.array_equal(case.render(), expected), name
    for name, case, image in of("YBR_FULL", "YBR_FULL_422"):
        expected = convert_color_space(image.pixels, "YBR_FULL", "RGB")
        assert np.abs(case.render().astype(int) - expected).max() <= 1, name


def test_palettes():
    for name, case, image in of("PALETTE COLOR"):
        expected = apply_color_lut(image.pixels, case.data_set)
        expected = expected >> (8 if expected.max() > 255 else 0)
        assert np.abs(case.render().astype(int) - expected).max() <= 1, name
    assert of("PALETTE COLOR")


@pytest.mark.parametrize("vr", ["US", "OW"])
@pytest.mark.parametrize(("count", "first", "bits"), [(256, 0, 16), (100, 20, 12), (256, 0, 8)])
def test_voi_luts(count, first, bits, vr):
    entries = [each * 997 % 2**bits for each in range(count)]
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    case = grey(pixels, VOILUTSequence=[lut(entries, first, bits, vr)])
    expected = apply_voi_lut(pixels, case.data_set) / (2**bits - 1) * 255
    assert np.abs(case.render() - expected).max() <= 1


@pytest.mark.parametrize("vr", ["US", "OW"])
def test_modality_luts(vr):
    pixels = np.arange(-200, 200, dtype=np.int16).reshape(20, 20)
    entries = np.arange(300)[::-1] * 10
    case = grey(pixels, ModalityLUTSequence=[lut(entries, -100, 16, vr)])
    made = apply_modality_lut(pixels, case.data_set).astype(float)
    shown = case.render(how=View(window=Window(1500, 3000, "linear-exact")))
    assert np.abs(shown - made / 3000 * 255).max() <= 1
