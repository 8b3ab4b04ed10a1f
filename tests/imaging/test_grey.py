"""Grey frames: stored bits, modality, VOI and presentation transformations (PS3.3 C.11)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomweb_server.dicom import DicomError
from dicomweb_server.imaging import Header, View, ViewError, Window
from dicomweb_server.imaging.grey import choose_window
from dicomweb_server.testing.dicom import write_dataset
from tests.imaging.frames import Case, grey, image_of, item, lut

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
EXACT = View(window=Window(128, 256, "linear-exact"))
ALL = View(window=Window(127.5, 255, "linear-exact"))


def column(values, dtype=np.int16):
    return np.array(values, dtype).reshape(-1, 1)


def shown(case, **how):
    return case.render(how=View(**how)).reshape(-1).tolist()


class TestStoredBits:
    def test_bits_above_high_bit_do_not_count(self):
        clean, dirty = (
            column([0, 100, 4095], np.uint16),
            column([0xF000, 0x1064, 0xAFFF], np.uint16),
        )
        window = Window(2047.5, 4095, "linear-exact")
        results = [shown(grey(each, BitsStored=12), window=window) for each in (clean, dirty)]
        assert results[0] == results[1] == [0, 6, 255]

    def test_the_sign_is_bit_high_bit(self):
        # 12 bits, not sign extended: 0x800 is the least value.
        case = grey(column([0x800, 0, 0x7FF], np.uint16), BitsStored=12, PixelRepresentation=1)
        assert shown(case, window=Window(-0.5, 4095, "linear-exact")) == [0, 128, 255]

    def test_values_may_lie_in_high_bits(self):
        case = grey(column([0, 0x7FF7, 0xFFFF], np.uint16), BitsStored=12, HighBit=15)
        assert shown(case, window=Window(2047.5, 4095, "linear-exact")) == [0, 127, 255]

    @pytest.mark.parametrize("dtype", [np.uint32, np.int32])
    def test_32_bits(self, dtype):
        case = grey(column([0, 10**9, 2 * 10**9], dtype))
        assert shown(case, window=Window(10**9, 2 * 10**9, "linear-exact")) == [0, 128, 255]

    def test_one_bit(self):
        bits = np.array([[1, 0, 1, 1, 0, 0, 0, 1]])
        case = image_of(
            np.packbits(bits, bitorder="little").reshape(1, 1),
            SamplesPerPixel=1,
            PhotometricInterpretation="MONOCHROME2",
            Columns=8,
            BitsAllocated=1,
            BitsStored=1,
            HighBit=0,
        )
        assert case.render().tolist() == (bits * 255).tolist()

    @pytest.mark.parametrize(
        ("dtype", "keyword"), [("<f4", "FloatPixelData"), ("<f8", "DoubleFloatPixelData")]
    )
    def test_floats(self, dtype, keyword):
        values = column([0, 0.5, 1, np.nan, np.inf, -np.inf], dtype)
        case = grey(values.astype(dtype), PixelData=b"\0\0", BitsStored=16)
        attributes = dict(case.attributes)
        attributes.pop("7FE00010")
        data_set = case.data_set
        del data_set.PixelData
        setattr(data_set, keyword, values.tobytes())
        data_set.BitsAllocated = 8 * values.itemsize

        case = Case(write_dataset(data_set))
        assert shown(case, window=Window(0.5, 1, "linear-exact")) == [0, 128, 255, 0, 255, 0]
        assert shown(case)[:3] == [0, 128, 255]


class TestModality:
    def test_slope_and_intercept(self):
        case = grey(column([0, 1000, 2000]), RescaleSlope="0.5", RescaleIntercept="-100")
        assert shown(case, window=Window(400, 1000, "linear-exact")) == [0, 128, 255]

    @pytest.mark.parametrize(
        "where", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"]
    )
    def test_functional_groups(self, where):
        rescale = item(RescaleSlope="2", RescaleIntercept="10", RescaleType="US")
        group = item(PixelValueTransformationSequence=[rescale])
        case = grey(column([0, 100]), **{where: [group]})
        assert shown(case, window=Window(110, 200, "linear-exact")) == [0, 255]

    def test_each_frame_has_its_own(self):
        groups = [
            item(
                PixelValueTransformationSequence=[item(RescaleSlope="1", RescaleIntercept=str(n))],
                FrameVOILUTSequence=[
                    item(WindowCenter=str(50 + n), WindowWidth="100", VOILUTFunction="LINEAR_EXACT")
                ],
            )
            for n in (0, 50)
        ]
        frames = np.array([0, 50, 100] * 2, np.int16)
        case = grey(
            frames.reshape(6, 1), Rows=3, NumberOfFrames=2, PerFrameFunctionalGroupsSequence=groups
        )
        for frame in (1, 2):
            assert case.render(frame).reshape(-1).tolist() == [0, 128, 255]

    def test_a_lut_for_intensities_is_not_for_display(self):
        attributes = {
            "SOPClassUID": "1.2.840.10008.5.1.4.1.1.12.1",
            "ModalityLUTSequence": [lut([0] * 256)],
        }
        case = grey(RAMP, PixelIntensityRelationship="LOG", **attributes)
        assert np.array_equal(case.render(how=ALL), RAMP)
        assert not grey(RAMP, PixelIntensityRelationship="LIN", **attributes).render(how=ALL).any()

    def test_65536_entries(self):
        entries = np.arange(65536)
        case = grey(
            column([0, 65535], np.uint16),
            ModalityLUTSequence=[lut(entries, vr="OW", descriptor_vr="US")],
        )
        assert shown(case, window=Window(32767.5, 65535, "linear-exact")) == [0, 255]

    def test_entries_packed_to_bytes(self):
        packed = lut([0] * 256, vr="OW", bits=8)
        packed.LUTData = bytes(range(256))[::-1]
        case = grey(RAMP, ModalityLUTSequence=[packed])
        assert np.array_equal(case.render(how=ALL), 255 - RAMP)

    @pytest.mark.parametrize("cut", [0, 100])
    def test_too_few_entries_are_an_error(self, cut):
        broken = lut(range(256), vr="OW")
        broken.LUTData = broken.LUTData[:cut]
        case = grey(RAMP, ModalityLUTSequence=[broken])
        with pytest.raises(DicomError, match=rf"{cut} bytes.*256"):
            case.render()


class TestWindow:
    def test_the_functions_of_the_standard(self):
        pixels = column([0, 99, 100, 101, 150, 199, 200, 255], np.uint8)
        case = grey(pixels)
        pixels = pixels.astype(float)
        linear = [round(float(np.clip((x - 149.5) / 99 + 0.5, 0, 1)) * 255) for x in pixels.flat]
        exact = [round(float(np.clip((x - 150) / 100 + 0.5, 0, 1)) * 255) for x in pixels.flat]
        sigmoid = [round(255 / (1 + np.exp(-4 * (float(x) - 150) / 100))) for x in pixels.flat]
        assert shown(case, window=Window(150, 100)) == linear
        assert shown(case, window=Window(150, 100, "linear-exact")) == exact
        assert shown(case, window=Window(150, 100, "sigmoid")) == sigmoid

    def test_a_width_of_one_is_a_threshold(self):
        case = grey(column([9, 10, 11], np.uint8))
        assert shown(case, window=Window(10, 1)) == [0, 255, 255]
        assert shown(case, window=Window(10.5, 1)) == [0, 0, 255]

    def test_the_first_window_that_can_be_one(self):
        attributes = {"WindowCenter": ["1", "50"], "WindowWidth": ["0", "100"]}
        case = grey(column([0, 50, 100]), **attributes, VOILUTFunction="LINEAR_EXACT")
        assert shown(case) == [0, 128, 255]

    def test_a_lut_comes_before_a_window(self):
        inverted = lut(range(255, -1, -1), bits=8)
        case = grey(RAMP, VOILUTSequence=[inverted], WindowCenter="10", WindowWidth="10")
        assert np.array_equal(case.render(), 255 - RAMP)
        assert np.array_equal(case.render(how=ALL), RAMP)

    def test_a_small_width_of_the_file_is_meant_exactly(self):
        case = grey(column([0, 1], np.uint8), WindowCenter="0.5", WindowWidth="0.5")
        assert shown(case) == [0, 255]

    def test_a_lut_of_signed_values(self):
        case = grey(
            column([-100, 0, 100]), VOILUTSequence=[lut(range(201), 65436, 8, descriptor_vr="US")]
        )
        assert shown(case) == [0, 100, 200]

    @pytest.mark.parametrize(
        ("numbers", "sentence"),
        [
            ((40, 0, "linear"), "at least 1"),
            ((40, 0, "sigmoid"), "greater than 0"),
            ((40, -5, "linear-exact"), "greater than 0"),
            ((float("nan"), 5, "linear"), "finite"),
            ((40, 5, "cubic"), "linear, linear-exact, sigmoid"),
        ],
    )
    def test_what_cannot_be_is_told(self, numbers, sentence):
        with pytest.raises(ViewError, match=sentence):
            Window(*numbers)

    @settings(deadline=None)
    @given(
        st.floats(-1e12, 1e12),
        st.floats(1, 1e12),
        st.sampled_from(["linear", "linear-exact", "sigmoid"]),
        st.booleans(),
    )
    def test_any_window_rises(self, center, width, function, deep):
        case = grey(column(range(-300, 300, 7)))
        values = case.render(how=View(window=Window(center, width, function), deep=deep)).reshape(
            -1
        )
        assert values.dtype == (np.uint16 if deep else np.uint8)
        assert (np.diff(values.astype(int)) >= 0).all()


class TestPresentation:
    def test_monochrome1(self):
        case = grey(RAMP, PhotometricInterpretation="MONOCHROME1")
        assert np.array_equal(case.render(how=ALL), 255 - RAMP)

    def test_the_shape_inverts_once(self):
        both = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}
        assert np.array_equal(grey(RAMP, **both).render(how=ALL), 255 - RAMP)
        alone = grey(RAMP, PresentationLUTShape="INVERSE")
        assert np.array_equal(alone.render(how=ALL), 255 - RAMP)

    def test_deep(self):
        case = grey(column([0, 1, 2048, 4095], np.uint16), BitsStored=12)
        how = {"window": Window(2047.5, 4095, "linear-exact"), "deep": True}
        assert shown(case, **how) == [0, 16, 32776, 65535]


class TestDefaultWindow:
    def test_8_bits_are_shown_as_they_are(self):
        assert np.array_equal(grey(RAMP[5:9]).render(), RAMP[5:9])

    def test_outliers_and_padding_do_not_count(self):
        pixels = np.full(10000, -2000, np.int16)
        pixels[:4000] = np.arange(4000) // 4
        pixels[4000:4010] = 30000
        case = grey(pixels.reshape(100, 100), PixelPaddingValue=-2000)
        window = choose_window(case.image(), Header(case.attributes), View())
        assert window.center - window.width / 2 == pytest.approx(5, abs=1)
        assert window.center + window.width / 2 == pytest.approx(997, abs=3)

    def test_padding_is_a_range(self):
        pixels = column([-2000, -1990, -1980, 0, 50, 100])
        case = grey(pixels, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1980)
        assert shown(case) == [0, 0, 0, 0, 128, 255]

    def test_ct_is_shown_as_soft_tissue(self):
        pixels = column(range(0, 3000, 10))
        case = grey(pixels, Modality="CT", RescaleSlope="1", RescaleIntercept="-1000")
        assert choose_window(case.image(), Header(case.attributes), View()) == Window(40, 400)

    def test_pet_begins_at_zero(self):
        case = grey(column(range(500, 5000)), Modality="PT", RescaleSlope="2", RescaleIntercept="0")
        window = choose_window(case.image(), Header(case.attributes), View())
        assert window.center - window.width / 2 == 0

    def test_min_max_is_the_range_of_the_frame(self):
        case = grey(column([100, 150, 300]), WindowCenter="10", WindowWidth="1")
        assert shown(case, default_window="MinMax") == [0, 64, 255]

    @pytest.mark.parametrize("rule", ["Standard", "MinMax"])
    def test_a_frame_of_one_value_is_black(self, rule):
        assert not grey(np.full((4, 4), 77, np.int16)).render(how=View(default_window=rule)).any()

    def test_fractional_segmentations_reach_to_their_maximum(self):
        case = grey(
            column([0, 50, 100], np.uint8),
            SegmentationType="FRACTIONAL",
            MaximumFractionalValue=100,
        )
        assert shown(case) == [0, 128, 255]
