"""Presentation states: what they replace, hide, turn and draw (PS3.3 A.33.1, C.10, PS3.4 N.2)."""

import numpy as np
import pytest

from dicomweb_server.dicom import DicomError
from dicomweb_server.imaging import View, Viewport, Window
from dicomweb_server.imaging.presentation import present
from dicomweb_server.testing.dicom import make_dataset, write_dataset
from tests.imaging.frames import Case, colour, grey, item, lut
from tests.imaging.test_geometry import overlay

GSPS = "1.2.840.10008.5.1.4.1.1.11.1"
RAMP = np.arange(200, dtype=np.uint8).reshape(10, 20)
DARK = np.zeros((100, 200), np.uint8)


def reference(case, frames=None):
    made = item(ReferencedSOPClassUID="1.2", ReferencedSOPInstanceUID=case.parsed.sop_uid)
    if frames:
        made.ReferencedFrameNumber = frames
    return made


def state_of(case, elements=None, frames=None, **attributes):
    """A presentation state that references an image."""
    series = item(SeriesInstanceUID="1.2.3", ReferencedImageSequence=[reference(case, frames)])
    described = {"SOPClassUID": GSPS, "PresentationLUTShape": "IDENTITY"} | attributes
    data_set = make_dataset(ReferencedSeriesSequence=[series], **described)
    for tag, (vr, value) in (elements or {}).items():
        data_set.add_new(tag, vr, value)
    return Case(write_dataset(data_set))


def presented(case, state, frame=1, **how):
    image = case.image(frame)
    return present(
        image, case.attributes, frame, state.attributes, View(**how), case.load, state.load
    )


def shown(case, elements=None, **attributes):
    return presented(case, state_of(case, elements, **attributes))


def area(left, top, right, bottom, **more):
    described = {"PresentationSizeMode": "SCALE TO FIT"} | more
    return item(
        DisplayedAreaTopLeftHandCorner=[left, top],
        DisplayedAreaBottomRightHandCorner=[right, bottom],
        **described,
    )


class TestTransformations:
    def test_what_the_state_does_not_name_is_the_identity(self):
        case = grey(
            RAMP, RescaleSlope="3", RescaleIntercept="-50", WindowCenter="5", WindowWidth="2",
            PhotometricInterpretation="MONOCHROME1",
        )  # fmt: skip
        assert np.array_equal(shown(case), RAMP)

    def test_its_own_take_their_place(self):
        case = grey(RAMP, RescaleSlope="3", RescaleIntercept="-50")
        window = item(WindowCenter="200", WindowWidth="400", VOILUTFunction="LINEAR_EXACT")
        found = shown(
            case,
            RescaleSlope="2",
            RescaleIntercept="0",
            RescaleType="US",
            SoftcopyVOILUTSequence=[window],
        )
        assert np.abs(found - RAMP * (255 / 200)).max() <= 1

    def test_the_window_of_the_frame(self):
        case = grey(np.concatenate([RAMP, RAMP]), Rows=10, NumberOfFrames=2)
        dark = item(
            WindowCenter="1000", WindowWidth="10", ReferencedImageSequence=[reference(case, [1])]
        )
        bright = item(
            WindowCenter="-1000", WindowWidth="10", ReferencedImageSequence=[reference(case, [2])]
        )
        state = state_of(case, SoftcopyVOILUTSequence=[dark, bright])
        assert not presented(case, state, 1).any()
        assert (presented(case, state, 2) == 255).all()

    def test_the_window_that_was_asked_for_comes_first(self):
        case = grey(RAMP)
        state = state_of(case, SoftcopyVOILUTSequence=[item(WindowCenter="1000", WindowWidth="10")])
        assert presented(case, state, window=Window(-50, 2)).min() == 255

    def test_inverse(self):
        assert np.array_equal(shown(grey(RAMP), PresentationLUTShape="INVERSE"), 255 - RAMP)

    def test_a_presentation_lut(self):
        table = lut([0] * 128 + [4095] * 128, bits=12)
        found = shown(grey(RAMP), PresentationLUTShape=None, PresentationLUTSequence=[table])
        assert np.array_equal(found, np.where(RAMP < 128, 0, 255))

    def test_deep(self):
        case = grey(RAMP)
        assert np.array_equal(presented(case, state_of(case), deep=True), RAMP * np.uint16(257))

    def test_colours_stay(self):
        rgb = np.stack([RAMP, RAMP[::-1], RAMP], axis=-1)
        case = colour(rgb)
        assert np.array_equal(shown(case), rgb)


class TestReferences:
    @pytest.mark.parametrize("frame", [1, 3])
    def test_other_frames_are_refused(self, frame):
        case = grey(np.concatenate([RAMP] * 3), Rows=10, NumberOfFrames=3)
        state = state_of(case, frames=[2])
        assert presented(case, state, 2).shape == (10, 20)
        with pytest.raises(DicomError, match=f"frame {frame}"):
            presented(case, state, frame)

    def test_other_images_are_refused(self):
        with pytest.raises(DicomError, match="does not reference"):
            presented(grey(RAMP), state_of(grey(RAMP)))

    def test_masks_are_refused(self):
        case = grey(RAMP)
        with pytest.raises(DicomError, match="mask"):
            shown(case, MaskSubtractionSequence=[item(MaskOperation="AVG_SUB")])


class TestDisplayedArea:
    def test_a_part(self):
        found = shown(grey(RAMP), DisplayedAreaSelectionSequence=[area(3, 2, 7, 5)])
        assert np.array_equal(found, RAMP[1:5, 2:7])

    def test_beyond_the_frame_it_is_black(self):
        found = shown(grey(RAMP), DisplayedAreaSelectionSequence=[area(-4, 1, 20, 12)])
        assert found.shape == (12, 25)
        assert np.array_equal(found[:10, 5:], RAMP)
        assert not found[10:].any()

    def test_magnified_and_with_square_pixels(self):
        magnified = area(
            1, 1, 20, 10, PresentationSizeMode="MAGNIFY", PresentationPixelMagnificationRatio=2.0
        )
        assert shown(grey(RAMP), DisplayedAreaSelectionSequence=[magnified]).shape == (20, 40)
        spaced = area(1, 1, 20, 10, PresentationPixelSpacing=["2", "1"])
        assert shown(grey(RAMP), DisplayedAreaSelectionSequence=[spaced]).shape == (20, 20)

    @pytest.mark.parametrize("rotation", [0, 90, 180, 270])
    @pytest.mark.parametrize("flip", ["N", "Y"])
    def test_turned_clockwise_then_flipped(self, rotation, flip):
        expected = np.rot90(RAMP, -rotation // 90)
        expected = expected[:, ::-1] if flip == "Y" else expected
        found = shown(grey(RAMP), ImageRotation=rotation, ImageHorizontalFlip=flip)
        assert np.array_equal(found, expected)

    def test_a_turned_corner(self):
        # Turned by 180 degrees, the top left corner is the lower right pixel of the frame.
        turned = area(20, 10, 11, 6)
        found = shown(grey(RAMP), ImageRotation=180, DisplayedAreaSelectionSequence=[turned])
        assert np.array_equal(found, RAMP[5:, 10:][::-1, ::-1])

    def test_viewport_and_thumbnail_come_last(self):
        case = grey(RAMP)
        state = state_of(case, ImageRotation=90)
        assert presented(case, state, size=10).shape == (10, 5)
        assert presented(case, state, viewport=Viewport(30, 40)).shape == (40, 30)

    def test_a_magnification_that_cannot_be_is_none(self):
        for factor in (0.0, -2.0, 1e30):
            magnified = area(
                1,
                1,
                20,
                10,
                PresentationSizeMode="MAGNIFY",
                PresentationPixelMagnificationRatio=factor,
            )
            found = shown(grey(RAMP), DisplayedAreaSelectionSequence=[magnified])
            assert np.array_equal(found, RAMP)

    def test_areas_that_are_too_large_are_refused(self):
        with pytest.raises(DicomError, match="at most"):
            shown(grey(RAMP), DisplayedAreaSelectionSequence=[area(1, 1, 10**6, 10**6)])


class TestShutters:
    BRIGHT = grey(np.full((10, 20), 200, np.uint8))

    def hidden(self, elements=None, **attributes):
        found = shown(self.BRIGHT, elements, ShutterPresentationValue=0, **attributes)
        return found == 0

    def test_rectangular(self):
        hidden = self.hidden(
            ShutterShape="RECTANGULAR", ShutterLeftVerticalEdge="3", ShutterRightVerticalEdge="10",
            ShutterUpperHorizontalEdge="2", ShutterLowerHorizontalEdge="5",
        )  # fmt: skip
        expected = np.ones((10, 20), bool)
        expected[1:5, 2:10] = False
        assert np.array_equal(hidden, expected)

    def test_circular(self):
        hidden = self.hidden(
            ShutterShape="CIRCULAR",
            CenterOfCircularShutter=["5", "10"],
            RadiusOfCircularShutter="3",
        )
        assert not hidden[4, 9]
        assert not hidden[4, 12]
        assert hidden[4, 13]
        assert hidden[0, 9]

    def test_polygonal(self):
        hidden = self.hidden(
            ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=["1", "1", "1", "10", "10", "1"]
        )
        assert not hidden[0, 0]
        assert not hidden[2, 2]
        assert hidden[9, 19]

    def test_bitmap(self):
        mask = np.zeros((10, 20), bool)
        mask[:, :5] = True
        elements = overlay(mask) | {(0x0018, 0x1623): ("US", 0x6000)}
        assert np.array_equal(self.hidden(elements, ShutterShape="BITMAP"), mask)

    def test_several_at_once_in_another_grey(self):
        found = shown(
            self.BRIGHT, ShutterShape=["CIRCULAR", "RECTANGULAR"], CenterOfCircularShutter=["5", "10"],
            RadiusOfCircularShutter="30", ShutterLeftVerticalEdge="2", ShutterPresentationValue=32768,
        )  # fmt: skip
        assert (found[:, 0] == 128).all()
        assert (found[:, 1:] == 200).all()

    def test_a_radius_beyond_all_bounds_hides_nothing(self):
        hidden = self.hidden(
            ShutterShape="CIRCULAR",
            CenterOfCircularShutter=["5", "10"],
            RadiusOfCircularShutter="1",
        )
        assert hidden.any()
        case = self.BRIGHT
        state = state_of(case, ShutterShape="CIRCULAR", CenterOfCircularShutter=["5", "10"])
        state.attributes["00181612"] = {"vr": "IS", "Value": [10**200]}
        assert (presented(case, state) == 200).all()


def annotated(graphics=(), texts=(), layer=None, **attributes):
    """A dark frame of 100 x 200 with annotations."""
    annotation = item(GraphicLayer="ONE")
    if graphics:
        annotation.GraphicObjectSequence = list(graphics)
    if texts:
        annotation.TextObjectSequence = list(texts)
    layers = item(GraphicLayer="ONE", GraphicLayerOrder="1", **(layer or {}))
    return shown(
        grey(DARK),
        GraphicAnnotationSequence=[annotation],
        GraphicLayerSequence=[layers],
        **attributes,
    )


def graphic(kind, *points, units="PIXEL", filled="N"):
    return item(
        GraphicAnnotationUnits=units, GraphicDimensions=2, NumberOfGraphicPoints=len(points) // 2,
        GraphicData=list(map(float, points)), GraphicType=kind, GraphicFilled=filled,
    )  # fmt: skip


class TestGraphics:
    def test_a_line(self):
        found = annotated([graphic("POLYLINE", 20, 50, 180, 50)])
        assert (found[50, 20:180] == 255).all()
        assert not found[:45].any()

    def test_in_fractions_of_what_is_displayed(self):
        found = annotated([graphic("POLYLINE", 0.1, 0.5, 0.9, 0.5, units="DISPLAY")])
        assert (found[50, 25:175] == 255).all()

    def test_it_turns_with_the_frame(self):
        line = [graphic("POLYLINE", 20, 10, 180, 10)]
        plain, turned = annotated(line), annotated(line, ImageRotation=90)
        assert turned.shape == (200, 100)
        rows, columns = np.nonzero(np.rot90(plain, -1))
        found_rows, found_columns = np.nonzero(turned)
        assert abs(columns.mean() - found_columns.mean()) <= 1.5
        assert abs(rows.mean() - found_rows.mean()) <= 1.5

    def test_circle_and_ellipse(self):
        found = annotated([graphic("CIRCLE", 100, 50, 130, 50)])
        for x, y in ((130, 50), (70, 50), (100, 20), (100, 80)):
            assert found[y - 1 : y + 2, x - 1 : x + 2].max() > 100
        assert not found[45:55, 95:105].any()
        tilted = annotated([graphic("ELLIPSE", 70, 50, 130, 50, 100, 40, 100, 60)])
        for x, y in ((130, 50), (70, 50), (100, 40), (100, 60)):
            assert tilted[y - 1 : y + 2, x - 1 : x + 2].max() > 100

    def test_a_curve_goes_through_its_points(self):
        points = (20, 50, 60, 20, 100, 70, 150, 40)
        found = annotated([graphic("INTERPOLATED", *points)])
        for x, y in zip(points[::2], points[1::2], strict=True):
            assert found[y - 1 : y + 2, x - 1 : x + 2].max() > 100

    def test_filled_points_and_the_grey_of_a_layer(self):
        square = graphic("POLYLINE", 10, 10, 30, 10, 30, 30, 10, 30, 10, 10, filled="Y")
        found = annotated(
            [square, graphic("POINT", 100, 50)],
            layer={"GraphicLayerRecommendedDisplayGrayscaleValue": 32768},
        )
        assert (found[12:28, 12:28] == 128).all()
        assert found[50, 100] == 128

    @pytest.mark.parametrize(
        "kind", ["POLYLINE", "CIRCLE", "ELLIPSE", "INTERPOLATED", "POINT", "STAR"]
    )
    @pytest.mark.parametrize("points", [(5, 5), (5, 5, 5, 5), (1e30, -1e30, 3, 3, 1e9, 1e9, 2, 2)])
    def test_strange_ones_break_nothing(self, kind, points):
        assert annotated([graphic(kind, *points)]).shape == (100, 200)

    def test_texts(self):
        boxed = item(
            BoundingBoxAnnotationUnits="DISPLAY", UnformattedTextValue="one\r\ntwo",
            BoundingBoxTopLeftHandCorner=[0.5, 0.5], BoundingBoxBottomRightHandCorner=[0.9, 0.9],
            BoundingBoxTextHorizontalJustification="LEFT",
        )  # fmt: skip
        found = annotated(texts=[boxed])
        assert found[50:, 100:].max() > 128
        assert not found[:45].any()
        anchored = item(
            AnchorPointAnnotationUnits="PIXEL",
            UnformattedTextValue="here",
            AnchorPoint=[20.0, 20.0],
            AnchorPointVisibility="Y",
        )
        found = annotated(texts=[anchored])
        assert found[20, 20] == 255
        assert found[10:30, 25:60].max() > 128

    def test_overlays_of_activated_layers(self):
        mask = np.eye(10, 20, dtype=bool)
        case = grey(np.zeros((10, 20), np.uint8))
        layers = item(GraphicLayer="ONE", GraphicLayerOrder="1")
        activated = overlay(mask) | {(0x6000, 0x1001): ("CS", "ONE")}
        assert np.array_equal(shown(case, activated, GraphicLayerSequence=[layers]) > 0, mask)
        assert not shown(case, overlay(mask)).any()
