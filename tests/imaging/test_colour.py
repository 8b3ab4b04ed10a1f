"""Palettes, colour spaces and ICC profiles (PS3.3 C.7.6.3.1.2, C.7.9, C.11.15)."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageCms
from pydicom.pixels import apply_color_lut
from pydicom.pixels.processing import _expand_segmented_lut

from dicomweb_server.dicom import DicomError
from dicomweb_server.imaging import Image, ImageFormat, View, Window
from dicomweb_server.imaging.icc_profiles import profile_named
from dicomweb_server.imaging.palette import expand
from dicomweb_server.imaging.rendering import icc_profile, render
from tests.imaging.frames import colour, grey, item

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLORS = ("Red", "Green", "Blue")
RGB = np.random.default_rng(7).integers(0, 256, (5, 6, 3), np.uint8)


def palette(tables, first=0, bits=16, segmented=False, vr="US"):
    """Attributes of a palette."""
    attributes = {}
    for name, table in zip(COLORS, tables, strict=True):
        count = len(table) if not segmented else 256
        word = "<u2" if bits == 16 else "u1"
        data = np.array(table, word).tobytes()
        prefix = "Segmented" if segmented else ""
        attributes[f"{name}PaletteColorLookupTableDescriptor"] = [count & 0xFFFF, first, bits]
        attributes[f"{prefix}{name}PaletteColorLookupTableData"] = data + b"\0" * (len(data) % 2)
    return attributes


def paletted(pixels, *args, **kwargs):
    return grey(pixels, PhotometricInterpretation="PALETTE COLOR", **palette(*args, **kwargs))


class TestPalettes:
    @pytest.mark.parametrize("bits", [8, 16])
    @pytest.mark.parametrize("first", [0, 10])
    def test_as_pydicom_has_it(self, bits, first):
        step = 1 if bits == 8 else 257
        tables = [np.arange(200) * step, np.arange(200)[::-1] * step, np.full(200, 17 * step)]
        case = paletted(RAMP, tables, first, bits)
        expected = apply_color_lut(RAMP, case.data_set) >> (bits - 8)
        assert np.array_equal(case.render(), expected)

    def test_65536_entries(self):
        pixels = np.array([[0, 256, 65535]], np.uint16)
        case = paletted(pixels, [np.arange(65536)] * 3)
        assert case.render()[0, :, 0].tolist() == [0, 1, 255]

    def test_a_first_value_below_zero(self):
        case = paletted(np.array([[-3, -2, -1]], np.int16), [[10, 20, 30]] * 3, -3, 8)
        assert case.render()[0, :, 0].tolist() == [10, 20, 30]

    def test_entries_of_8_bits_in_words(self):
        tables = [np.arange(256)] * 3
        assert np.array_equal(paletted(RAMP, tables, bits=16).render()[..., 0], RAMP)

    @pytest.mark.parametrize("bits", [8, 16])
    def test_segmented(self, bits):
        # 10 entries as they are, 118 on a line, then both again: 256.
        top = 2**bits - 1
        plain = [0, 10, *range(10), 1, 118, top]
        offset = [0, 0, 0, 0] if bits == 8 else [0, 0]
        case = paletted(RAMP, [[*plain, 2, 2, *offset]] * 3, bits=bits, segmented=True)
        red = case.render()[..., 0].reshape(-1)
        assert np.array_equal(red[:128], red[128:])
        assert red[9] == (9 if bits == 8 else 0)
        assert red[127] == 255
        assert np.abs(np.diff(red[9:128].astype(int))).max() <= 3

    @settings(deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.lists(st.integers(0, 65535), min_size=1, max_size=9).map(
                    lambda v: [0, len(v), *v]
                ),
                st.tuples(st.integers(1, 50), st.integers(0, 65535)).map(lambda v: [1, *v]),
            ),
            max_size=8,
        )
    )
    def test_segments_as_pydicom_expands_them(self, segments):
        flat = [0, 1, 5, *(word for segment in segments for word in segment)]
        expected = _expand_segmented_lut(tuple(flat), "<H")
        made = expand(np.array(flat, "<u2").tobytes(), 16, len(expected))
        assert np.abs(made.astype(int) - expected).max() <= 1

    @pytest.mark.parametrize("segments", [[], [1, 5, 9], [7, 1, 1], [0, 3, 1, 2, 3], [2, 1, 0, 0]])
    def test_segments_that_cannot_be_are_told(self, segments):
        case = paletted(RAMP, [segments] * 3, segmented=True)
        with pytest.raises(DicomError, match="palette"):
            case.render()

    @settings(deadline=None)
    @given(st.binary(max_size=60), st.sampled_from([8, 16]))
    def test_any_segments_end(self, data, bits):
        with contextlib.suppress(DicomError):
            assert len(expand(data, bits, 500)) == 500

    def test_no_palette_is_told(self):
        with pytest.raises(DicomError, match=r"0028,1101"):
            grey(RAMP, PhotometricInterpretation="PALETTE COLOR").render()

    def test_a_supplemental_palette_colours_some_values(self):
        tables = palette([[255, 0], [0, 255], [0, 0]], first=100, bits=8)
        pixels = np.array([[0, 50, 99, 100, 101]], np.uint8)
        case = grey(pixels, PixelPresentation="COLOR", **tables)
        shown = case.render(how=View(window=Window(50, 100, "linear-exact")))
        assert shown[0].tolist() == [[0] * 3, [128] * 3, [252] * 3, [255, 0, 0], [0, 255, 0]]


class TestColourSpaces:
    def test_rgb_is_as_it_is(self):
        assert np.array_equal(colour(RGB).render(), RGB)

    @pytest.mark.parametrize("planar", [0, 1])
    def test_planes(self, planar):
        stored = np.moveaxis(RGB, -1, 0).tobytes() if planar else RGB.tobytes()
        case = colour(RGB, PlanarConfiguration=planar, PixelData=stored)
        assert np.array_equal(case.render(), RGB)

    def test_16_bits_become_8(self):
        assert np.array_equal(colour(RGB.astype(np.uint16) * 257).render(), RGB)
        twelve = colour(RGB.astype(np.uint16) * 16, BitsStored=12)
        assert np.array_equal(twelve.render(), RGB)

    def test_a_window_is_for_grey(self):
        assert np.array_equal(colour(RGB).render(how=View(window=Window(5, 10))), RGB)

    def test_ybr_partial(self):
        black_white_red = np.array([[[16, 128, 128], [235, 128, 128], [81, 90, 240]]], np.uint8)
        form = ImageFormat(1, 3, 3, photometric="YBR_PARTIAL_420")
        shown = render(Image(black_white_red, form), {}, 1, View())
        expected = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0]]])
        assert np.abs(shown.astype(int) - expected).max() <= 2

    @pytest.mark.parametrize("name", ["YBR_ICT", "YBR_RCT"])
    def test_what_its_decoder_has_made_rgb(self, name):
        image = Image(RGB, ImageFormat(5, 6, 3, photometric=name))
        assert np.array_equal(render(image, {}, 1, View()), RGB)

    @pytest.mark.parametrize(
        ("samples", "name"), [(3, "MONOCHROME2"), (1, "RGB"), (3, "HSV"), (4, "RGB")]
    )
    def test_what_is_no_colour_is_told(self, samples, name):
        pixels = np.zeros((2, 2) if samples == 1 else (2, 2, samples), np.uint8)
        with pytest.raises(DicomError, match="possible are"):
            render(Image(pixels, ImageFormat(2, 2, samples, photometric=name)), {}, 1, View())


class TestProfiles:
    @pytest.mark.parametrize("name", ["srgb", "adobergb", "rommrgb"])
    def test_ours_are_profiles(self, name):
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile_named(name)))
        assert opened.profile.xcolor_space.strip() == "RGB"
        # White stays white whatever the space.
        srgb = ImageCms.createProfile("sRGB")
        white = Pillow.new("RGB", (1, 1), "white")
        there = ImageCms.profileToProfile(white, opened, srgb)
        assert there.getpixel((0, 0)) == (255, 255, 255)

    def test_srgb_is_what_others_take_for_it(self):
        ours = ImageCms.ImageCmsProfile(io.BytesIO(profile_named("srgb")))
        picture = Pillow.fromarray(RGB)
        there = ImageCms.profileToProfile(picture, ours, ImageCms.createProfile("sRGB"))
        assert np.abs(np.asarray(there).astype(int) - RGB).max() <= 1

    def profiled(self, how, **attributes):
        case = colour(RGB, **attributes)
        view = View(icc_profile=how)
        shown = case.render(how=view)
        return shown, icc_profile(shown, case.attributes, 1, view, case.load)

    def test_its_own_is_embedded_unless_unwanted(self):
        own = profile_named("adobergb")
        for how in (None, "yes"):
            shown, profile = self.profiled(how, ICCProfile=own)
            assert np.array_equal(shown, RGB)
            assert profile == own
        assert self.profiled("no", ICCProfile=own)[1] == b""

    def test_without_one_yes_means_srgb(self):
        assert self.profiled("yes")[1] == profile_named("srgb")
        assert self.profiled(None)[1] == b""

    def test_colours_are_transformed(self):
        shown, profile = self.profiled("srgb", ICCProfile=profile_named("adobergb"))
        assert profile == profile_named("srgb")
        assert np.abs(shown.astype(int) - RGB).max() > 5
        again, profile = self.profiled("rommrgb")
        assert profile == profile_named("rommrgb")
        assert np.abs(again.astype(int) - RGB).max() > 5

    def test_the_profile_of_the_optical_path(self):
        paths = [
            item(OpticalPathIdentifier="1", ICCProfile=b"other "),
            item(OpticalPathIdentifier="2", ICCProfile=profile_named("rommrgb")),
        ]
        group = item(OpticalPathIdentificationSequence=[item(OpticalPathIdentifier="2")])
        _, profile = self.profiled(
            "yes", OpticalPathSequence=paths, PerFrameFunctionalGroupsSequence=[group]
        )
        assert profile == profile_named("rommrgb")

    def test_a_broken_profile_is_told_when_it_is_needed(self):
        assert np.array_equal(self.profiled(None, ICCProfile=b"broken")[0], RGB)
        assert self.profiled("yes", ICCProfile=b"broken")[1] == profile_named("srgb")
        with pytest.raises(DicomError, match="ICC profile"):
            self.profiled("srgb", ICCProfile=b"broken")

    def test_grey_has_none(self):
        case = grey(RAMP, ICCProfile=profile_named("srgb"))
        view = View(icc_profile="srgb")
        assert icc_profile(case.render(how=view), case.attributes, 1, view, case.load) == b""
