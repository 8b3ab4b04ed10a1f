"""The codec `imagecodecs` keeps its contract, and sees what pydicom's decoders see."""

import warnings
from dataclasses import replace
from pathlib import Path
from struct import pack

import imagecodecs
import numpy as np
import pydicom
import pydicom.data
import pytest
from dicomweb_codecs_imagecodecs import ImagecodecsCodec
from pydicom.encaps import generate_frames
from pydicom.pixels import convert_color_space, get_decoder, pixel_array

from dicomweb_server.imaging import Image, ImageFormat
from dicomweb_server.interfaces.codecs import CodecError
from dicomweb_server.testing.contracts import CodecContract
from dicomweb_server.testing.frames import make_format, make_image
from dicomweb_server.testing.providers import build_provider

FAMILY = "1.2.840.10008.1.2.4."
JPEG, LOSSLESS_JPEG, JPEG_LS, J2K, HTJ2K = (FAMILY + n for n in ("50", "70", "80", "90", "201"))
RLE = "1.2.840.10008.1.2.5"
KEEP_WORDS = {RLE, "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"}


@pytest.fixture
def codec(tmp_path):
    return build_provider(ImagecodecsCodec, tmp_path)


class TestImagecodecs(CodecContract):
    @pytest.fixture
    def codec(self, tmp_path):
        return build_provider(ImagecodecsCodec, tmp_path)


# --- pydicom is the judge --------------------------------------------------------------------

# Nobody decodes the first; of the others no permissive decoder of pydicom knows 12 bits.
BROKEN = {"JPEG2000-embedded-sequence-delimiter.dcm"}
TWELVE_BITS = {"JPEG-lossy.dcm", "JPGExtended.dcm"}


def compressed_files():
    found = []
    for path in sorted(Path(pydicom.__file__).parent.glob("data/test_files/**/*.dcm")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                data_set = pydicom.dcmread(path)
            except Exception:
                continue
        syntax = getattr(getattr(data_set, "file_meta", None), "TransferSyntaxUID", "")
        if syntax in ImagecodecsCodec.decodes and "PixelData" in data_set:
            found.append(path)
    return found


def form_of(data_set):
    def nothing(_element):
        return ""

    return ImageFormat.of(data_set.to_json_dict(10, nothing))


@pytest.mark.parametrize("path", compressed_files(), ids=lambda path: path.name)
@pytest.mark.filterwarnings("ignore")
def test_files_of_pydicom(codec, path):
    data_set = pydicom.dcmread(path)
    syntax = data_set.file_meta.TransferSyntaxUID
    form = form_of(data_set)
    count = int(data_set.get("NumberOfFrames") or 1)
    frames = list(generate_frames(data_set.PixelData, number_of_frames=count))
    if path.name in BROKEN:
        with pytest.raises(CodecError):
            codec.decode(frames[0], syntax, form)
        return
    for number, frame in enumerate(frames[:3]):
        found = codec.decode(frame, syntax, form)
        if path.name in TWELVE_BITS:
            assert found.pixels.max() < 4096
            continue
        right, meta = get_decoder(syntax).as_array(data_set, index=number, raw=False)
        assert found.format.photometric == meta["photometric_interpretation"]
        assert found.pixels.dtype == right.dtype
        allowed = 2 if syntax.startswith(FAMILY + "5") and syntax != FAMILY + "57" else 0
        assert np.abs(found.pixels.astype(int) - right).max() <= allowed


@pytest.mark.parametrize(
    ("syntax", "form"),
    [
        (RLE, make_format(16, signed=True)),
        (RLE, make_format(16, photometric="RGB")),
        (JPEG_LS, make_format(12)),
        (J2K, make_format(12, signed=True)),
        (J2K, make_format(8, photometric="RGB")),
        (HTJ2K, make_format(12)),
        (HTJ2K, make_format(10, signed=True)),
        (FAMILY + "202", make_format(12, photometric="RGB")),
    ],
)
def test_others_read_what_was_encoded(codec, syntax, form):
    image = make_image(form, noise=True)
    made = codec.encode(image, syntax)
    data_set = pydicom.Dataset()
    data_set.Rows, data_set.Columns = form.rows, form.columns
    data_set.SamplesPerPixel, data_set.BitsAllocated = form.samples, form.allocated
    data_set.BitsStored, data_set.HighBit = made.format.stored, made.format.high_bit
    data_set.PixelRepresentation = int(form.signed)
    data_set.PhotometricInterpretation = made.format.photometric
    if form.samples == 3:
        data_set.PlanarConfiguration = 0
    frame = made.frame + b"\0" * (len(made.frame) % 2)
    data_set.PixelData = pydicom.encaps.encapsulate([frame])
    data_set["PixelData"].VR = "OB"
    data_set.file_meta = pydicom.dataset.FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    decoder = get_decoder(data_set.file_meta.TransferSyntaxUID)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, _ = decoder.as_array(data_set, raw=False)
    assert np.array_equal(found, image.pixels)


def test_rpcl_is_what_its_transfer_syntax_asks_for(codec):
    """PS3.5, 10.18: progression RPCL, TLM, and at most 64 rows or columns at the lowest."""
    form = make_format(12, rows=300, columns=5000)
    frame = codec.encode(make_image(form), FAMILY + "202").frame
    header = frame[: frame.index(b"\xff\x90")]
    coding = header.index(b"\xff\x52")
    assert header[coding + 5] == 2
    assert 5000 >> header[coding + 9] <= 64
    assert b"\xff\x55" in header


# --- colours ---------------------------------------------------------------------------------

COLOUR = make_format(photometric="RGB", rows=32, columns=32)
PLAIN = {"colorspace": "RGB", "outcolorspace": "RGB"}
RED = np.full((32, 32, 3), (200, 30, 60), "u1")


def ycbcr():
    return bytes(imagecodecs.jpeg8_encode(RED, 95))


def rgb():
    return bytes(imagecodecs.jpeg8_encode(RED, 95, **PLAIN))


def without(frame, marker):
    """The frame less one segment."""
    at = frame.index(marker)
    size = int.from_bytes(frame[at + 2 : at + 4], "big")
    return frame[:at] + frame[at + 2 + size :]


def numbered(frame):
    """Component identifiers 1, 2 and 3 instead of R, G and B, in the frame and in the scan."""
    at = frame.index(b"\xff\xc0") + 10
    scan = frame.index(b"\xff\xda") + 5
    data = bytearray(frame)
    for number in range(3):
        data[at + 3 * number] = data[scan + 2 * number] = number + 1
    return bytes(data)


@pytest.mark.parametrize("declared", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(ycbcr(), id="JFIF"),
        pytest.param(rgb(), id="RGB and Adobe 0"),
        pytest.param(without(rgb(), b"\xff\xee"), id="RGB"),
        pytest.param(numbered(rgb()), id="Adobe 0"),
    ],
)
def test_marks_of_a_jpeg_image_are_believed(codec, frame, declared):
    found = codec.decode(frame, JPEG, replace(COLOUR, photometric=declared))
    assert found.format.photometric == "RGB"
    assert np.abs(found.pixels.astype(int) - RED).max() <= 3


@pytest.mark.parametrize(
    ("declared", "frame"),
    [
        ("RGB", without(numbered(rgb()), b"\xff\xee")),
        ("YBR_FULL_422", without(ycbcr(), b"\xff\xe0")),
        ("YBR_FULL", without(ycbcr(), b"\xff\xe0")),
    ],
)
def test_without_marks_the_data_set_is_believed(codec, frame, declared):
    found = codec.decode(frame, JPEG, replace(COLOUR, photometric=declared))
    assert np.abs(found.pixels.astype(int) - RED).max() <= 3


@pytest.mark.parametrize("syntax", [LOSSLESS_JPEG, JPEG_LS, J2K, HTJ2K, RLE])
def test_colours_that_are_not_transformed_are_left_alone(codec, syntax):
    form = make_format(photometric="YBR_FULL")
    image = make_image(form)
    made = codec.encode(image, syntax)
    assert made.format.photometric == "YBR_FULL"
    found = codec.decode(made.frame, syntax, made.format)
    assert found.format.photometric == "YBR_FULL"
    assert np.array_equal(found.pixels, image.pixels)


def test_the_mark_of_a_j2k_image_is_believed(codec):
    image = make_image(COLOUR)
    made = codec.encode(image, J2K)
    found = codec.decode(made.frame, J2K, replace(made.format, photometric="RGB"))
    assert np.array_equal(found.pixels, image.pixels)
    plain = imagecodecs.jpeg2k_encode(image.pixels, codecformat="J2K", reversible=True, mct=False)
    found = codec.decode(bytes(plain), J2K, replace(COLOUR, photometric="YBR_RCT"))
    assert found.format.photometric == "RGB"
    assert np.array_equal(found.pixels, image.pixels)


def by_plane(images):
    """One JPEG-LS image of three scans, out of three images."""
    first = images[0]
    frame = first.index(b"\xff\xf7")
    size = first[frame + 4 : frame + 9]
    head = b"\xff\xd8\xff\xf7" + pack(">H", 17) + size + bytes([3, 1, 17, 0, 2, 17, 0, 3, 17, 0])
    scans = []
    for number, image in enumerate(images, 1):
        scan = image[image.index(b"\xff\xda") : -2]
        scans.append(scan[:5] + bytes([number]) + scan[6:])
    return head + b"".join(scans) + b"\xff\xd9"


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_interleave_modes_of_jpeg_ls(codec, mode):
    jpeg_ls = pytest.importorskip("jpeg_ls")
    image = make_image(make_format(photometric="RGB"))
    if mode:
        frame = bytes(jpeg_ls.encode_array(image.pixels, interleave_mode=mode))
    else:
        planes = np.moveaxis(image.pixels, -1, 0)
        scans = [bytes(imagecodecs.jpegls_encode(np.array(each, order="C"))) for each in planes]
        frame = by_plane(scans)
    assert np.array_equal(codec.decode(frame, JPEG_LS, image.format).pixels, image.pixels)


# --- words and signs -------------------------------------------------------------------------


def test_numbers_without_a_sign_get_the_declared_one(codec):
    form = make_format(12, signed=True)
    image = make_image(form, noise=True)
    low = (image.pixels & 0xFFF).astype("u2")
    frames = {
        J2K: imagecodecs.jpeg2k_encode(low, codecformat="J2K", reversible=True, bitspersample=12),
        LOSSLESS_JPEG: imagecodecs.jpeg8_encode(low, lossless=True, bitspersample=12),
    }
    for syntax, frame in frames.items():
        assert np.array_equal(codec.decode(bytes(frame), syntax, form).pixels, image.pixels)


def test_numbers_with_a_sign_lose_one_that_is_not_declared(codec):
    image = make_image(make_format(12, signed=True), noise=True)
    frame = codec.encode(image, J2K).frame
    found = codec.decode(frame, J2K, make_format(12))
    assert np.array_equal(found.pixels, (image.pixels & 0xFFF).astype("u2"))


@pytest.mark.parametrize("syntax", sorted(ImagecodecsCodec.encodes))
def test_bits_above_those_stored_are_kept_or_refused(codec, syntax):
    form = make_format(12)
    pixels = make_image(form).pixels | 0x8000
    if not codec.can_encode(syntax, form):
        return
    if syntax in KEEP_WORDS:
        made = codec.encode(Image(pixels, form), syntax)
        assert np.array_equal(codec.decode(made.frame, syntax, made.format).pixels, pixels)
        return
    with pytest.raises(CodecError, match="12 Bits Stored"):
        codec.encode(Image(pixels, form), syntax)


# --- bombs -----------------------------------------------------------------------------------


def with_size(frame, marker, at, rows, columns, size=2):
    place = frame.index(marker) + at
    large = rows.to_bytes(size, "big") + columns.to_bytes(size, "big")
    return frame[:place] + large + frame[place + 2 * size :]


@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize("syntax", [JPEG, LOSSLESS_JPEG, JPEG_LS, J2K, HTJ2K])
def test_a_large_image_in_few_bytes_is_refused_unread(codec, syntax, declared, monkeypatch):
    form = make_format(rows=16, columns=16)
    frame = codec.encode(make_image(form), syntax).frame
    marker = {JPEG: b"\xff\xc0", LOSSLESS_JPEG: b"\xff\xc3", JPEG_LS: b"\xff\xf7"}.get(syntax)
    if marker:
        bomb = with_size(frame, marker, 5, 60000, 60000)
    else:
        bomb = with_size(frame, b"\xff\x51", 6, 60000, 60000, 4)
        bomb = with_size(bomb, b"\xff\x51", 22, 60000, 60000, 4)
    for name in ("jpeg8_decode", "jpegls_decode", "jpeg2k_decode", "htj2k_decode"):
        monkeypatch.setattr(imagecodecs, name, None)
    if declared:
        form = replace(form, rows=60000, columns=60000)
    with pytest.raises(CodecError, match="60000 rows" if not declared else "bytes of pixels"):
        codec.decode(bomb, syntax, form)


def test_deflated_frames_are_not_inflated_beyond_what_is_declared(codec):
    form = make_format(rows=10, columns=10)
    blank = Image(np.zeros((5000, 5000), "u1"), replace(form, rows=5000, columns=5000))
    frame = codec.encode(blank, "1.2.840.10008.1.2.8.1").frame
    with pytest.raises(CodecError, match="declared are 100"):
        codec.decode(frame, "1.2.840.10008.1.2.8.1", form)


def test_thousands_of_tiles_are_refused_unread(codec, monkeypatch):
    form = make_format(rows=64, columns=64)
    frame = codec.encode(make_image(form), J2K).frame
    monkeypatch.setattr(imagecodecs, "jpeg2k_decode", None)
    with pytest.raises(CodecError, match="4096 tiles for 4096 pixels"):
        codec.decode(with_size(frame, b"\xff\x51", 22, 1, 1, 4), J2K, form)


def test_segments_of_an_rle_frame_lie_within_it(codec):
    form = make_format(16)
    frame = codec.encode(make_image(form), RLE).frame
    for offsets in ((64, 60), (64, len(frame)), (0, 64), (1 << 31, 64)):
        with pytest.raises(CodecError, match="lie within"):
            codec.decode(frame[:4] + pack("<2I", *offsets) + frame[12:], RLE, form)


def test_errors_name_what_was_found_and_what_is_declared(codec):
    made = codec.encode(make_image(make_format(rows=8, columns=16)), JPEG)
    with pytest.raises(CodecError, match=r"8 rows, 16 columns.*declared are 9 rows, 16 columns"):
        codec.decode(made.frame, JPEG, replace(made.format, rows=9))


# --- reduced -----------------------------------------------------------------------------------


def ramp(form):
    """An image that goes from one corner to the other over the whole range of Bits Stored."""
    down, across = np.mgrid[: form.rows, : form.columns]
    part = (down + across) / (form.rows + form.columns - 2)
    numbers = np.rint(part * ((1 << form.stored) - 1)).astype(np.int64)
    if form.signed:
        numbers -= 1 << (form.stored - 1)
    if form.samples > 1:
        numbers = np.stack([numbers, numbers[::-1], numbers[:, ::-1]], -1)
    return Image(numbers.astype(form.dtype), form)


@pytest.mark.parametrize("syntax", [J2K, FAMILY + "91", HTJ2K, FAMILY + "203"])
@pytest.mark.parametrize(
    "kind",
    [
        {"stored": 8},
        {"stored": 12},
        {"stored": 16},
        {"stored": 12, "signed": True},
        {"stored": 8, "signed": True},
        {"stored": 8, "photometric": "RGB"},
        {"stored": 8, "photometric": "YBR_FULL"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("rows", "columns", "halvings", "step"),
    [(320, 400, 1, 2), (320, 400, 2, 4), (320, 400, 9, 32), (335, 399, 3, 8), (333, 402, 2, 2)],
)
def test_a_reduced_image_is_the_same_one(codec, syntax, kind, rows, columns, halvings, step):
    image = ramp(make_format(rows=rows, columns=columns, **kind))
    made = codec.encode(image, syntax)
    found = codec.decode(made.frame, syntax, made.format, reduce=halvings)
    assert (found.format.rows, found.format.columns) == (-(-rows // step), -(-columns // step))
    assert found.pixels.dtype == image.pixels.dtype
    differences = np.abs(found.pixels.astype(float) - image.pixels[::step, ::step])
    assert differences.max() < 0.05 * (1 << image.format.stored)


def test_what_cannot_be_averaged_is_not_reduced(codec):
    palette = ramp(make_format(8, rows=100, columns=100, photometric="PALETTE COLOR"))
    made = codec.encode(palette, J2K)
    assert np.array_equal(
        codec.decode(made.frame, J2K, made.format, reduce=1).pixels, palette.pixels
    )
    image = ramp(make_format(12, rows=100, columns=100))
    made = codec.encode(image, J2K)
    other = replace(made.format, signed=True)
    found = codec.decode(made.frame, J2K, other, reduce=1)
    assert np.array_equal(found.pixels, codec.decode(made.frame, J2K, other).pixels)
    assert found.format.rows == 100


def test_a_cut_image_is_not_reduced_either(codec):
    made = codec.encode(ramp(make_format(12, rows=100, columns=100)), J2K)
    with pytest.raises(CodecError):
        codec.decode(made.frame[:-100], J2K, made.format, reduce=1)


# --- what is lossy -------------------------------------------------------------------------

LOST = {"50": (1, 50), "51": (1, 50), "81": (0.5, 1), "91": (1, 4), "112": (1, 50), "203": (1, 4)}
"""Mean and largest difference in percent of the range, as docs/transfer-syntaxes.md tells."""
PICTURES = (
    *("CT_small.dcm", "MR_small.dcm", "J2K_pixelrep_mismatch.dcm"),
    *("examples_overlay.dcm", "examples_ybr_color.dcm", "examples_rgb_color.dcm"),
)


def picture_of(name):
    data_set = pydicom.dcmread(pydicom.data.get_testdata_file(name))
    array = np.ascontiguousarray(pixel_array(data_set, index=0))
    samples = 3 if array.ndim == 3 else 1
    form = ImageFormat(
        *array.shape[:2],
        samples=samples,
        allocated=data_set.BitsAllocated,
        stored=data_set.BitsStored,
        high_bit=data_set.HighBit,
        signed=bool(data_set.PixelRepresentation),
        photometric="RGB" if samples == 3 else "MONOCHROME2",
    )
    return Image(array, form)


@pytest.mark.parametrize("number", LOST)
def test_what_is_lost_is_what_the_manual_says(codec, number):
    syntax = FAMILY + number
    pictures = [picture_of(name) for name in PICTURES]
    possible = [picture for picture in pictures if codec.can_encode(syntax, picture.format)]
    assert possible
    for picture in possible:
        made = codec.encode(picture, syntax, quality=90)
        back = codec.decode(made.frame, syntax, made.format)
        pixels = back.pixels
        if back.format.photometric.startswith("YBR_FULL"):
            pixels = convert_color_space(pixels, "YBR_FULL", "RGB")
        lost = np.abs(pixels.astype(float) - picture.pixels) * 100 / np.ptp(picture.pixels)
        mean, largest = LOST[number]
        assert lost.mean() <= mean
        assert lost.max() <= largest
        assert len(made.frame) * 4 < picture.pixels.nbytes
