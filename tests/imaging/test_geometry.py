"""Sizes, regions, overlays and texts (PS3.18 8.3.5.1, PS3.3 C.9.2)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from dicomweb_server.dicom import DicomError
from dicomweb_server.imaging import View, ViewError, Viewport, Window
from dicomweb_server.imaging.fonts import writable
from dicomweb_server.testing.dicom import write_dataset
from tests.imaging.frames import Case, colour, grey, item

RAMP = np.tile(np.arange(0, 200, 10, dtype=np.uint8), (10, 1))
FLAT = np.full((10, 20), 100, np.uint8)


def through(pixels, *numbers, **attributes):
    return grey(pixels, **attributes).render(how=View(viewport=Viewport(*numbers)))


class TestSquarePixels:
    @pytest.mark.parametrize(
        ("attributes", "shape"),
        [
            ({}, (10, 20)),
            ({"PixelSpacing": ["2", "1"]}, (20, 20)),
            ({"PixelSpacing": ["0.5", "1"]}, (10, 40)),
            ({"ImagerPixelSpacing": ["3", "1"]}, (30, 20)),
            ({"PixelAspectRatio": ["1", "2"]}, (10, 40)),
            ({"PixelSpacing": ["0", "1"]}, (10, 20)),
            ({"PixelSpacing": ["1000", "1"]}, (10, 20)),
        ],
    )
    def test_the_shorter_side_is_enlarged(self, attributes, shape):
        assert grey(FLAT, **attributes).render().shape == shape

    def test_of_each_frame(self):
        group = item(PixelMeasuresSequence=[item(PixelSpacing=["2", "1"])])
        case = grey(FLAT, PixelSpacing=["1", "1"], PerFrameFunctionalGroupsSequence=[group])
        assert case.render().shape == (20, 20)

    def test_thumbnails_become_smaller_only(self):
        assert grey(FLAT).render(how=View(size=8)).shape == (4, 8)
        assert grey(FLAT).render(how=View(size=100)).shape == (10, 20)

    def test_smaller_ones_are_antialiased(self):
        stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
        shown = grey(stripes).render(how=View(size=16))
        assert np.abs(shown[:, 2:-2].astype(int) - 127).max() < 20


class TestViewport:
    def test_the_whole_in_the_middle_of_black(self):
        shown = through(FLAT, 20, 20)
        assert shown.shape == (20, 20)
        assert (shown[5:15] == 100).all()
        assert not shown[:5].any()
        assert not shown[15:].any()

    def test_a_region(self):
        assert np.array_equal(through(RAMP, 5, 4, 3, 2, 5, 4), RAMP[2:6, 3:8])

    def test_negative_sizes_mirror(self):
        assert np.array_equal(through(RAMP, 20, 10, 0, 0, -20, 10), RAMP[:, ::-1])
        high = RAMP.T.copy()
        assert np.array_equal(through(high, 10, 20, 0, 0, 10, -20), high[::-1])

    def test_what_is_outside_is_clipped(self):
        assert np.array_equal(through(RAMP, 10, 10, 10, 0, 500, 500), RAMP[:, 10:])
        assert not through(RAMP, 7, 5, 100, 100, 10, 10).any()

    def test_signs_of_the_corner_mean_nothing(self):
        assert np.array_equal(through(RAMP, 5, 4, -3, -2, 5, 4), RAMP[2:6, 3:8])

    def test_empty_sizes_are_those_of_the_frame(self):
        assert np.array_equal(through(RAMP, None, None), RAMP)
        assert through(RAMP, None, 4).shape == (4, 20)

    def test_pixels_are_square_in_it(self):
        shown = through(FLAT, 40, 20, PixelSpacing=["2", "1"])
        assert (shown[:, 10:30] == 100).all()
        assert not shown[:, :10].any()

    @pytest.mark.parametrize(
        "numbers", [(0, 5), (5, 0), (-1, 5), (70000, 1), (60000, 60000), (5, 5, float("nan"))]
    )
    def test_what_cannot_be_is_told(self, numbers):
        with pytest.raises(ViewError):
            Viewport(*numbers)

    @settings(deadline=None)
    @given(
        st.integers(1, 60),
        st.integers(1, 60),
        st.floats(-30, 30),
        st.floats(-30, 30),
        st.none() | st.floats(-30, 30),
        st.none() | st.floats(-30, 30),
        st.booleans(),
        st.sampled_from(["1", "3", "0.3"]),
    )
    def test_any_has_the_size_that_was_asked_for(self, vw, vh, sx, sy, sw, sh, deep, ratio):
        case = grey(RAMP, PixelSpacing=[ratio, "1"])
        shown = case.render(how=View(viewport=Viewport(vw, vh, sx, sy, sw, sh), deep=deep))
        assert shown.shape == (vh, vw)
        assert shown.dtype == (np.uint16 if deep else np.uint8)

    def test_colour(self):
        rgb = np.zeros((10, 20, 3), np.uint8)
        rgb[..., 1] = 200
        shown = colour(rgb).render(how=View(viewport=Viewport(10, 10)))
        assert shown.shape == (10, 10, 3)
        assert shown[5, 5].tolist() == [0, 200, 0]


def overlay(mask, group=0x6000, **attributes):
    """Elements of an overlay plane, by tag."""
    mask = np.asarray(mask, bool)
    packed = np.packbits(mask.reshape(-1), bitorder="little").tobytes()
    elements = {
        0x0010: ("US", mask.shape[-2]),
        0x0011: ("US", mask.shape[-1]),
        0x0040: ("CS", "G"),
        0x0050: ("SS", [1, 1]),
        0x0100: ("US", 1),
        0x0102: ("US", 0),
        0x3000: ("OW", packed + b"\0" * (len(packed) % 2)),
    }
    elements |= {int(key[1:], 16): value for key, value in attributes.items()}
    return {(group, element): value for element, value in elements.items() if value}


def overlaid(pixels, elements, **attributes):

    case = grey(pixels, **attributes)
    for tag, (vr, value) in elements.items():
        case.data_set.add_new(tag, vr, value)
    return Case(write_dataset(case.data_set))


class TestOverlays:
    MASK = np.eye(10, 20, dtype=bool)
    SHOWN = View(overlays=True)

    def test_white_when_asked_for(self):
        case = overlaid(FLAT, overlay(self.MASK))
        assert (case.render() == 100).all()
        shown = case.render(how=self.SHOWN)
        assert (shown[self.MASK] == 255).all()
        assert (shown[~self.MASK] == 100).all()

    def test_white_in_colour_and_in_16_bits(self):
        case = overlaid(FLAT, overlay(self.MASK))
        deep = case.render(how=View(overlays=True, deep=True))
        assert (deep[self.MASK] == 65535).all()

    @pytest.mark.parametrize("origin", [(3, 5), (-2, -3), (9, 19), (500, 500)])
    def test_its_origin(self, origin):
        mask = np.ones((4, 4), bool)
        shown = overlaid(FLAT, overlay(mask, x0050=("SS", list(origin)))).render(how=self.SHOWN)
        expected = FLAT.copy()
        row, column = origin[0] - 1, origin[1] - 1
        expected[max(row, 0) : max(row + 4, 0), max(column, 0) : max(column + 4, 0)] = 255
        assert np.array_equal(shown, expected)

    def test_several(self):
        other = np.zeros((10, 20), bool)
        other[9, 19] = True
        case = overlaid(FLAT, overlay(self.MASK) | overlay(other, 0x601E))
        assert (case.render(how=self.SHOWN)[self.MASK | other] == 255).all()

    def test_frames_of_its_own(self):
        frames = np.zeros((2, 10, 20), bool)
        frames[0, 0, 0] = frames[1, 1, 1] = True
        elements = overlay(frames, x0015=("IS", "2"), x0051=("US", 2))
        pixels = np.concatenate([FLAT] * 3)
        case = overlaid(pixels, elements, Rows=10, NumberOfFrames=3)
        lit = [np.argwhere(case.render(n, self.SHOWN) == 255).tolist() for n in (1, 2, 3)]
        assert lit == [[], [[0, 0]], [[1, 1]]]

    def test_in_bits_that_no_value_uses(self):
        pixels = np.full((10, 20), 2048, np.uint16)
        pixels[self.MASK] |= 0x4000
        elements = {(0x6000, 0x0100): ("US", 16), (0x6000, 0x0102): ("US", 14)}
        case = overlaid(pixels, elements, BitsStored=12)
        how = {"window": Window(2047.5, 4095, "linear-exact")}
        assert (case.render(how=View(**how)) == 128).all()
        assert (case.render(how=View(**how, overlays=True))[self.MASK] == 255).all()

    @pytest.mark.parametrize("changed", [{"x0010": None}, {"x0010": ("US", 5000)}])
    def test_what_cannot_be_drawn_is_told(self, changed):
        case = overlaid(FLAT, overlay(self.MASK, **changed))
        with pytest.raises(DicomError, match="6000,3000"):
            case.render(how=self.SHOWN)


class TestAnnotation:
    PIXELS = np.zeros((200, 200), np.uint8)

    @pytest.mark.parametrize("deep", [False, True])
    def test_patient_at_the_top_technique_at_the_bottom(self, deep):
        case = grey(self.PIXELS, SeriesDescription="Thorax", KVP="120")
        patient = case.render(how=View(annotation=frozenset({"patient"}), deep=deep))
        technique = case.render(how=View(annotation=frozenset({"technique"}), deep=deep))
        top = 65535 if deep else 255
        assert min(patient[:100].max(), technique[100:].max()) > top / 2
        assert not patient[100:].any()
        assert not technique[:100].any()
        assert not case.render().any()

    def test_it_can_be_read_on_white(self):
        white = np.full((200, 200), 255, np.uint8)
        shown = grey(white).render(how=View(annotation=frozenset({"patient"})))
        assert shown.min() < 50

    def test_in_colour_and_without_anything_to_say(self):
        rgb = np.zeros((50, 50, 3), np.uint8)
        how = View(annotation=frozenset({"patient"}))
        assert colour(rgb).render(how=how).any()
        assert not colour(rgb, PatientName=None, PatientID=None).render(how=how).any()

    def test_numbers_are_written_as_people_do(self):
        how = View(annotation=frozenset({"technique"}))
        found = [grey(self.PIXELS, KVP=kvp).render(how=how) for kvp in ("1.2E+02", "120.0")]
        assert np.array_equal(*found)

    def test_letters_that_the_font_has_not_are_replaced(self):
        own = ImageFont.load_default(12)
        assert writable("Müller Ærø 山", own) == "Muller ?r? ?"

    def test_others_are_told(self):
        with pytest.raises(ViewError, match="patient, technique"):
            View(annotation=frozenset({"weather"}))
