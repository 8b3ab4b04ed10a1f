"""What every `Renderer` must do."""

from __future__ import annotations

import gc
import io
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dicomweb_server.interfaces.renderers import Renderer, RendererError, Rendering

Frame = NDArray[Any]

RENDERING = Rendering(quality=95)
_ROWS, _COLUMNS = 40, 60
_LOSSLESS = frozenset({"image/png"})
_SIGNATURES = {
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/gif": b"GIF89a",
    "image/webp": b"RIFF",
}
_PROFILED = frozenset({"image/jpeg", "image/png", "image/webp"})
_READABLE = frozenset(_SIGNATURES)


def grey_frame(word: type[np.unsignedinteger[Any]] = np.uint8, shift: int = 0) -> Frame:
    """A frame that lossy files keep well: a ramp in both directions."""
    top = np.iinfo(word).max
    rows, columns = np.mgrid[0:_ROWS, 0:_COLUMNS]
    ramp = (rows + columns + shift) % 100 / 99
    frame: Frame = np.rint(np.sin(ramp * np.pi) * top).astype(word)
    return frame


def colour_frame(shift: int = 0) -> Frame:
    """Grey of another ramp in each sample."""
    return np.stack([grey_frame(shift=shift + each) for each in (0, 5, 10)], axis=-1)


FRAMES: dict[str, Callable[[], Frame]] = {"grey": grey_frame, "colour": colour_frame}


def read_back(data: bytes) -> list[Frame]:
    """The frames of a file that Pillow knows."""
    from PIL import Image, ImageSequence

    with Image.open(io.BytesIO(data)) as opened:
        frames = [frame.copy() for frame in ImageSequence.Iterator(opened)]
    return [np.asarray(f if f.mode.startswith("I") else f.convert("RGB")) for f in frames]


class RendererContract:
    """Give the fixture `renderer`."""

    @pytest.fixture
    def renderer(self) -> Renderer:
        """The renderer under test."""
        raise NotImplementedError("override the fixture `renderer`")

    def write(self, renderer: Renderer, media_type: str, *frames: Frame) -> bytes:
        """A file of some frames."""
        return renderer.write(iter(frames), media_type, RENDERING)

    # --- what it says of itself ------------------------------------------------------------

    def test_it_names_media_types(self, renderer: Renderer) -> None:
        assert renderer.media_types
        assert len(set(renderer.media_types)) == len(renderer.media_types)
        assert all(name == name.lower() and "/" in name for name in renderer.media_types)
        assert set(renderer.animated) | set(renderer.deep) <= set(renderer.media_types)

    # --- one frame -------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", FRAMES)
    def test_a_frame_is_in_the_file(self, renderer: Renderer, kind: str) -> None:
        frame = FRAMES[kind]()
        for media_type in renderer.media_types:
            data = self.write(renderer, media_type, frame)
            assert isinstance(data, bytes)
            assert data.startswith(_SIGNATURES.get(media_type, b"")), media_type
            if media_type in _READABLE:
                self.check_frames(media_type, data, [frame])

    def check_frames(self, media_type: str, data: bytes, frames: list[Frame]) -> None:
        """The file has these frames, as exactly as its media type can."""
        found = read_back(data)
        assert len(found) == len(frames), media_type
        for shown, frame in zip(found, frames, strict=True):
            rgb = frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=-1)
            assert shown.shape == rgb.shape, media_type
            away = np.abs(shown.astype(int) - rgb)
            assert away.max() <= (0 if media_type in _LOSSLESS else 60), media_type
            assert away.mean() <= 4, media_type

    def test_grey_of_16_bits(self, renderer: Renderer) -> None:
        frame = grey_frame(np.uint16)
        for media_type in renderer.media_types:
            if media_type not in renderer.deep:
                with pytest.raises(RendererError):
                    self.write(renderer, media_type, frame)
                continue
            data = self.write(renderer, media_type, frame)
            if media_type in _READABLE:
                assert np.abs(read_back(data)[0].astype(int) - frame).max() <= 256

    @pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (7, 5, 3), (1, 1, 3)])
    def test_frames_of_all_shapes(self, renderer: Renderer, shape: tuple[int, ...]) -> None:
        for media_type in renderer.media_types:
            data = self.write(renderer, media_type, np.full(shape, 77, np.uint8))
            if media_type in _READABLE:
                assert read_back(data)[0].shape[:2] == shape[:2], media_type

    def test_frames_may_be_views_and_are_not_changed(self, renderer: Renderer) -> None:
        frame = colour_frame()[::-1, ::2]
        before = frame.copy()
        frame.flags.writeable = False
        for media_type in renderer.media_types:
            data = self.write(renderer, media_type, frame)
            assert data == self.write(renderer, media_type, before), media_type
        assert np.array_equal(frame, before)

    def test_the_profile_is_in_the_file(self, renderer: Renderer) -> None:
        from PIL import Image, ImageCms

        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        for media_type in _PROFILED.intersection(renderer.media_types):
            rendering = Rendering(icc_profile=profile)
            data = renderer.write(iter([colour_frame()]), media_type, rendering)
            with Image.open(io.BytesIO(data)) as opened:
                assert opened.info.get("icc_profile") == profile, media_type

    def test_less_quality_is_less_data(self, renderer: Renderer) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (64, 64), np.uint8)
        for media_type in {"image/jpeg", "image/webp"}.intersection(renderer.media_types):
            sizes = [
                len(renderer.write(iter([noise]), media_type, Rendering(quality=quality)))
                for quality in (1, 50, 100)
            ]
            assert sizes == sorted(sizes), media_type
            assert sizes[0] < sizes[2], media_type

    # --- several ---------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", FRAMES)
    def test_an_animation_has_all_frames(self, renderer: Renderer, kind: str) -> None:
        make = grey_frame if kind == "grey" else colour_frame
        frames = [make(shift=shift) for shift in range(0, 60, 20)]
        for media_type in renderer.animated:
            data = self.write(renderer, media_type, *frames)
            if media_type in _READABLE:
                self.check_frames(media_type, data, frames)

    def test_an_animation_has_its_speed(self, renderer: Renderer) -> None:
        from PIL import Image

        frames = [grey_frame(shift=shift) for shift in (0, 20)]
        for media_type in renderer.animated & _READABLE:
            data = renderer.write(iter(frames), media_type, Rendering(seconds_per_frame=0.25))
            with Image.open(io.BytesIO(data)) as opened:
                opened.seek(1)
                opened.load()
                assert opened.info["duration"] == 250, media_type

    def test_frames_are_forgotten_as_they_are_written(self, renderer: Renderer) -> None:
        alive: list[weakref.ref[Frame]] = []
        most = 0

        def frames() -> Iterator[Frame]:
            nonlocal most
            for shift in range(12):
                frame = grey_frame(shift=shift)
                alive.append(weakref.ref(frame))
                yield frame
                del frame
                gc.collect()
                most = max(most, sum(each() is not None for each in alive))

        for media_type in renderer.animated:
            renderer.write(frames(), media_type, RENDERING)
        assert most <= 4

    # --- what cannot be written ------------------------------------------------------------

    def test_several_frames_do_not_fit_into_one(self, renderer: Renderer) -> None:
        for media_type in set(renderer.media_types) - renderer.animated:
            with pytest.raises(RendererError):
                self.write(renderer, media_type, grey_frame(), grey_frame())

    def test_no_frame_is_no_file(self, renderer: Renderer) -> None:
        for media_type in renderer.media_types:
            with pytest.raises(RendererError):
                self.write(renderer, media_type)

    @pytest.mark.parametrize("media_type", ["image/x-nothing", "", "IMAGE"])
    def test_other_media_types_are_refused(self, renderer: Renderer, media_type: str) -> None:
        with pytest.raises(RendererError):
            self.write(renderer, media_type, grey_frame())

    def test_frames_that_are_too_large_are_refused(self, renderer: Renderer) -> None:
        frame = np.zeros((1, 65536), np.uint8)
        for media_type in {"image/jpeg", "image/gif"}.intersection(renderer.media_types):
            with pytest.raises(RendererError):
                self.write(renderer, media_type, frame)
