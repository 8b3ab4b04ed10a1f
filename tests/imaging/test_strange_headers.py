"""Whatever stands in a header, a frame is shown, or a sentence says why not."""

import copy
import random

import numpy as np
import pytest

from dicomweb_server.dicom import DicomError
from dicomweb_server.imaging import View
from dicomweb_server.imaging.cine import seconds_per_frame
from dicomweb_server.imaging.presentation import present
from dicomweb_server.imaging.rendering import icc_profile, render
from tests.imaging.frames import colour, grey, item, lut
from tests.imaging.test_colour import RAMP, palette
from tests.imaging.test_geometry import overlaid, overlay
from tests.imaging.test_presentation import DARK, area, graphic, state_of

STRANGE = [None, "", 0, -1, 1, 65535, -32768, 2**40, 10**400, 1e308, -1e308, 1.5, "abc", "1e400"]
STRANGE += ["nan", "-inf", "0.0000001", "12\\3", [], {}, {"Alphabetic": "x"}, "LINEAR", True]
EYE = np.eye(10, 20, dtype=bool)


def images():
    pixels = np.arange(-200, 200, dtype=np.int16).reshape(20, 20)
    group = item(
        PixelValueTransformationSequence=[item(RescaleSlope="1", RescaleIntercept="0")],
        FrameVOILUTSequence=[item(WindowCenter="5", WindowWidth="9")],
        PixelMeasuresSequence=[item(PixelSpacing=["1", "2"])],
    )
    luts = {"ModalityLUTSequence": [lut(range(100))], "VOILUTSequence": [lut(range(200))]}
    segments = [[0, 5, 1, 2, 3, 4, 5, 1, 251, 77]] * 3
    return [
        overlaid(pixels, overlay(EYE), BitsStored=12, PixelPaddingValue=-5, **luts),
        grey(
            pixels,
            PerFrameFunctionalGroupsSequence=[group],
            VOILUTFunction="SIGMOID",
            Modality="CT",
        ),
        grey(pixels, WindowCenter="3", WindowWidth="4", RescaleSlope="2", FrameTime="3"),
        grey(RAMP, PhotometricInterpretation="PALETTE COLOR", **palette(segments, segmented=True)),
        grey(RAMP, PixelPresentation="COLOR", **palette([range(200)] * 3)),
        colour(np.stack([RAMP] * 3, -1), ICCProfile=b"none", ColorSpace="ADOBERGB"),
    ]


def state(case):
    elements = overlay(EYE) | {(0x6000, 0x1001): ("CS", "ONE"), (0x18, 0x1623): ("US", 0x6000)}
    points = (1, 2, 3, 4, 5, 6, 7, 8)
    graphics = [graphic(kind, *points) for kind in ("ELLIPSE", "INTERPOLATED", "CIRCLE")]
    label = item(
        UnformattedTextValue="x", BoundingBoxAnnotationUnits="DISPLAY", AnchorPoint=[1.0, 2.0],
        BoundingBoxTopLeftHandCorner=[0.5, 0.5], BoundingBoxBottomRightHandCorner=[0.9, 0.9],
    )  # fmt: skip
    annotation = item(
        GraphicLayer="ONE", GraphicObjectSequence=graphics, TextObjectSequence=[label]
    )
    return state_of(
        case,
        elements,
        SoftcopyVOILUTSequence=[item(WindowCenter="3", WindowWidth="5")],
        PresentationLUTSequence=[lut([0] * 256)],
        ImageRotation=90,
        DisplayedAreaSelectionSequence=[area(1, 1, 20, 10, PresentationPixelSpacing=["2", "1"])],
        GraphicLayerSequence=[item(GraphicLayer="ONE", GraphicLayerOrder="1")],
        GraphicAnnotationSequence=[annotation],
        ShutterShape=["CIRCULAR", "RECTANGULAR", "POLYGONAL", "BITMAP"],
        CenterOfCircularShutter=["5", "10"],
        RadiusOfCircularShutter="30",
        ShutterLeftVerticalEdge="2",
        VerticesOfThePolygonalShutter=["1", "1", "1", "10", "10", "1"],
        ShutterPresentationValue=5,
    )


def elements_in(attributes):
    for element in attributes.values():
        if isinstance(element, dict) and "vr" in element:
            yield element
            for inner in element.get("Value") or ():
                if element["vr"] == "SQ" and isinstance(inner, dict):
                    yield from elements_in(inner)


def changed(attributes, chance):
    """A copy with one to three values that nobody expects."""
    attributes = copy.deepcopy(attributes)
    for _ in range(chance.randint(1, 3)):
        element = chance.choice(list(elements_in(attributes)))
        values = element.get("Value")
        if values and chance.random() < 0.7:
            values[chance.randrange(len(values))] = chance.choice(STRANGE)
        elif values and chance.random() < 0.5:
            element["Value"] = values[: chance.randrange(len(values))]
        elif "BulkDataURI" not in element:
            element["Value"] = [chance.choice(STRANGE) for _ in range(chance.randint(0, 3))]
    return attributes


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_images():
    chance, shown = random.Random(7), 0
    for case in images():
        image = case.image()
        for _ in range(80):
            view = View(
                overlays=True, icc_profile=chance.choice((None, "srgb", "yes")),
                deep=chance.random() < 0.3, annotation=frozenset({"patient", "technique"}),
            )  # fmt: skip
            attributes = changed(case.attributes, chance)
            assert seconds_per_frame(attributes) > 0
            try:
                pixels = render(image, attributes, 1, view, case.load)
                icc_profile(pixels, attributes, 1, view, case.load)
                shown += 1
            except DicomError:
                continue
    assert shown > 200


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_presentation_states():
    chance, shown = random.Random(7), 0
    case = grey(DARK)
    image, presentation = case.image(), state(case)
    for _ in range(200):
        attributes = changed(presentation.attributes, chance)
        try:
            present(image, case.attributes, 1, attributes, View(), case.load, presentation.load)
            shown += 1
        except DicomError:
            continue
    assert shown > 50
