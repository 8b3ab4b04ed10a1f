"""What every `Codec` must do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicomweb_server.imaging import Image, ImageFormat
from dicomweb_server.interfaces.codecs import Codec, CodecError, Encoded
from dicomweb_server.testing.frames import describe_format, formats, make_format, make_image
from dicomweb_server.testing.threads import together

_FAMILY = "1.2.840.10008.1.2.4."
LOSSLESS = frozenset(
    (
        *("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"),
        *(_FAMILY + each for each in ("57", "70", "80", "90", "92", "110", "201", "202")),
    )
)
"""Transfer syntaxes whose frames never lose anything (PS3.5, A.4)."""

_MADE_OF_RGB = {
    _FAMILY + "50": {"YBR_FULL_422"},
    _FAMILY + "51": {"YBR_FULL_422"},
    _FAMILY + "90": {"YBR_RCT", "RGB"},
    _FAMILY + "91": {"YBR_ICT", "YBR_RCT", "RGB"},
    _FAMILY + "112": {"XYB", "RGB"},
    _FAMILY + "201": {"YBR_RCT", "RGB"},
    _FAMILY + "202": {"YBR_RCT", "RGB"},
    _FAMILY + "203": {"YBR_ICT", "YBR_RCT", "RGB"},
}
"""Photometric Interpretation in the tables of PS3.5, 8.2; RGB where nothing is said."""

FORMATS = pytest.mark.parametrize("form", list(formats()), ids=describe_format)
_SOME = tuple(
    make_format(bits, photometric=kind) for bits in (8, 12) for kind in ("RGB", "MONOCHROME2")
)


def encoded(codec: Codec, syntax: str) -> tuple[Image, Encoded]:
    """A frame of a transfer syntax, of the first usual format that it has."""
    form = next(form for form in _SOME if codec.can_encode(syntax, form))
    image = make_image(form)
    return image, codec.encode(image, syntax)


class CodecContract:
    """Give the fixture `codec`."""

    @pytest.fixture
    def codec(self) -> Codec:
        """The codec under test."""
        raise NotImplementedError("override the fixture `codec`")

    # --- what was encoded comes back -------------------------------------------------------

    @FORMATS
    @pytest.mark.parametrize("noise", [False, True])
    def test_pixels_come_back(self, codec: Codec, form: ImageFormat, noise: bool) -> None:
        image = make_image(form, noise=noise)
        for syntax in sorted(filter(lambda each: codec.can_encode(each, form), codec.encodes)):
            made = codec.encode(image, syntax)
            back = codec.decode(made.frame, syntax, made.format)
            assert back.pixels.shape == back.format.shape == form.shape, syntax
            assert back.pixels.dtype == back.format.dtype == form.dtype, syntax
            if syntax in LOSSLESS:
                assert np.array_equal(back.pixels, image.pixels), syntax
                assert back.format.photometric == form.photometric, syntax
            elif not noise and form.rows > 8 and back.format.photometric == form.photometric:
                error = np.abs(back.pixels.astype(float) - image.pixels).mean()
                assert error <= max(0.02 * (1 << form.stored), 1), syntax

    @FORMATS
    def test_the_format_is_one_of_the_standard(self, codec: Codec, form: ImageFormat) -> None:
        for syntax in sorted(filter(lambda each: codec.can_encode(each, form), codec.encodes)):
            made = codec.encode(make_image(form), syntax).format
            assert (made.rows, made.columns, made.samples) == form_size(form)
            assert made.planar == 0
            assert made.stored >= form.stored
            assert made.high_bit == made.stored - 1
            assert (made.allocated, made.signed) == (form.allocated, form.signed)
            if form.photometric == "RGB":
                assert made.photometric in _MADE_OF_RGB.get(syntax, {"RGB"}), syntax

    @FORMATS
    def test_what_cannot_be_encoded_is_an_error(self, codec: Codec, form: ImageFormat) -> None:
        for syntax in sorted(codec.decodes | codec.encodes):
            if not codec.can_encode(syntax, form):
                with pytest.raises(CodecError):
                    codec.encode(make_image(form), syntax)

    def test_a_lower_quality_takes_less(self, codec: Codec) -> None:
        form = make_format(rows=256, columns=256)
        for syntax in sorted(codec.encodes - LOSSLESS):
            if codec.can_encode(syntax, form):
                image = make_image(form, noise=True)
                low = codec.encode(image, syntax, quality=20)
                high = codec.encode(image, syntax, quality=95)
                assert len(low.frame) < len(high.frame), syntax

    def test_nothing_is_changed_that_was_given(self, codec: Codec) -> None:
        for syntax in sorted(codec.encodes):
            image, made = encoded(codec, syntax)
            assert np.array_equal(image.pixels, make_image(image.format).pixels)
            frame = bytearray(made.frame)
            codec.decode(memoryview(frame), syntax, made.format)
            assert frame == made.frame, syntax

    def test_pixels_in_any_order_of_memory(self, codec: Codec) -> None:
        for syntax in sorted(codec.encodes):
            image, made = encoded(codec, syntax)
            turned = Image(np.asfortranarray(image.pixels), image.format)
            assert codec.encode(turned, syntax).frame == made.frame, syntax

    def test_padding_is_no_pixel(self, codec: Codec) -> None:
        for syntax in sorted(codec.encodes):
            _, made = encoded(codec, syntax)
            plain = codec.decode(made.frame, syntax, made.format)
            padded = codec.decode(made.frame + b"\0", syntax, made.format)
            assert np.array_equal(plain.pixels, padded.pixels), syntax

    def test_fewer_rows_and_columns_if_they_would_do(self, codec: Codec) -> None:
        for syntax in sorted(codec.encodes):
            image, made = encoded(codec, syntax)
            for halvings in (1, 2, 20):
                back = codec.decode(made.frame, syntax, made.format, reduce=halvings)
                assert back.pixels.shape == back.format.shape, syntax
                assert back.format.rows >= image.format.rows >> halvings
                assert back.format.columns >= image.format.columns >> halvings

    def test_threads_do_not_meet(self, codec: Codec) -> None:
        made = [(syntax, *encoded(codec, syntax)) for syntax in sorted(codec.encodes)]

        def decode(each: tuple[str, Image, Encoded]) -> Image:
            syntax, _, frame = each
            return codec.decode(frame.frame, syntax, frame.format)

        for alone, beside in zip(map(decode, made), together(decode, made), strict=True):
            assert np.array_equal(alone.pixels, beside.pixels)

    # --- what is wrong is said -------------------------------------------------------------

    def test_another_size_than_declared(self, codec: Codec) -> None:
        for syntax in sorted(codec.encodes):
            image, made = encoded(codec, syntax)
            rows, columns, _ = form_size(image.format)
            wrong = [
                replace(made.format, rows=rows + 1),
                replace(made.format, columns=columns - 1),
                replace(made.format, samples=4 - made.format.samples, photometric="RGB"),
            ]
            for form in wrong:
                with pytest.raises(CodecError):
                    codec.decode(made.frame, syntax, form)

    def test_more_bits_than_declared(self, codec: Codec) -> None:
        form = make_format(16)
        for syntax in sorted(codec.encodes):
            if codec.can_encode(syntax, form):
                made = codec.encode(make_image(form), syntax)
                less = replace(made.format, allocated=8, stored=8, high_bit=7)
                with pytest.raises(CodecError):
                    codec.decode(made.frame, syntax, less)

    @pytest.mark.parametrize("part", [0, 0.02, 0.1, 0.5, 0.9])
    def test_a_frame_that_was_cut(self, codec: Codec, part: float) -> None:
        for syntax in sorted(codec.encodes):
            _, made = encoded(codec, syntax)
            with pytest.raises(CodecError):
                codec.decode(made.frame[: int(len(made.frame) * part)], syntax, made.format)

    @pytest.mark.parametrize("frame", [b"\0", b"\xff\xd8", b"garbage" * 100, bytes(300)])
    def test_something_else_than_a_frame(self, codec: Codec, frame: bytes) -> None:
        for syntax in sorted(codec.decodes):
            with pytest.raises(CodecError):
                codec.decode(frame, syntax, make_format())

    def test_a_transfer_syntax_that_is_not_declared(self, codec: Codec) -> None:
        with pytest.raises(CodecError):
            codec.decode(b"frame", "1.2.3", make_format())
        assert not codec.can_encode("1.2.3", make_format())
        with pytest.raises(CodecError):
            codec.encode(make_image(make_format()), "1.2.3")


def form_size(form: ImageFormat) -> tuple[int, int, int]:
    """Rows, columns and samples."""
    return form.rows, form.columns, form.samples
