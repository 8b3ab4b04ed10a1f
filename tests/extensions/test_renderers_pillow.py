"""The renderer `pillow` keeps the contract, and what it adds to it."""

import io
import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
from dicomweb_renderers_pillow import PillowRenderer
from PIL import Image

from dicomweb_server.imaging.icc_profiles import profile_named
from dicomweb_server.interfaces.renderers import RendererError, Rendering
from dicomweb_server.testing.contracts import RendererContract
from dicomweb_server.testing.contracts.renderers import colour_frame, grey_frame
from dicomweb_server.testing.providers import build_provider


@pytest.fixture
def renderer(tmp_path):
    return build_provider(PillowRenderer, tmp_path)


class TestPillow(RendererContract):
    @pytest.fixture
    def renderer(self, tmp_path):
        return build_provider(PillowRenderer, tmp_path)


def written(renderer, media_type, frame, **how):
    return renderer.write(iter([frame]), media_type, Rendering(**how))


def opened(data):
    return Image.open(io.BytesIO(data))


def test_grey_stays_grey(renderer):
    assert opened(written(renderer, "image/jpeg", grey_frame())).mode == "L"
    assert opened(written(renderer, "image/png", grey_frame())).mode == "L"
    assert opened(written(renderer, "image/png", grey_frame(np.uint16))).mode == "I;16"


LARGEST = {"image/jpeg": 65500, "image/png": 65535, "image/webp": 16383, "image/gif": 65535}


@pytest.mark.parametrize(("media_type", "largest"), LARGEST.items())
@pytest.mark.parametrize("size", [16383, 16384, 65500, 65501, 65535, 65536])
def test_a_frame_of_any_size_is_written_or_refused(renderer, media_type, largest, size):
    for shape in ((1, size), (size, 1)):
        if size <= largest:
            data = written(renderer, media_type, np.zeros(shape, np.uint8))
            assert opened(data).size == shape[::-1]
        else:
            with pytest.raises(RendererError, match=f"{size}.*at most {largest}"):
                written(renderer, media_type, np.zeros(shape, np.uint8))


@pytest.mark.parametrize(("quality", "sampling"), [(89, (2, 2)), (90, (1, 1)), (100, (1, 1))])
def test_chroma_is_whole_from_quality_90(renderer, quality, sampling):
    picture = opened(written(renderer, "image/jpeg", colour_frame(), quality=quality))
    assert picture.layer[0][1:3] == sampling


def test_grey_gifs_are_exact(renderer):
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for frame in (every, np.repeat(every[..., None], 3, axis=-1)):
        shown = np.asarray(opened(written(renderer, "image/gif", frame)).convert("L"))
        assert np.array_equal(shown, every)


def test_each_frame_of_a_gif_has_its_own_colours(renderer):
    frames = [np.full((8, 8, 3), (200 - each, each, 50), np.uint8) for each in range(0, 200, 10)]
    picture = opened(renderer.write(iter(frames), "image/gif", Rendering()))
    assert picture.info["loop"] == 0
    for number, frame in enumerate(frames):
        picture.seek(number)
        assert picture.convert("RGB").getpixel((3, 3)) == tuple(frame[0, 0])


@pytest.mark.parametrize("word", [np.uint8, np.uint16])
def test_jpeg_xl(renderer, word):
    frame = grey_frame(word)
    exact = imagecodecs.jpegxl_decode(written(renderer, "image/jxl", frame, quality=100))
    assert np.array_equal(exact, frame)
    lossy = imagecodecs.jpegxl_decode(written(renderer, "image/jxl", frame, quality=80))
    assert np.abs(lossy.astype(float) - frame).mean() < 0.02 * np.iinfo(word).max


@pytest.mark.parametrize("media_type", ["image/gif", "image/jxl"])
def test_files_without_profile_hold_srgb(renderer, media_type):
    frame = np.full((8, 8, 3), (100, 200, 50), np.uint8)
    data = written(renderer, media_type, frame, quality=100, icc_profile=profile_named("adobergb"))
    if media_type == "image/jxl":
        shown = imagecodecs.jpegxl_decode(data)
    else:
        shown = np.asarray(opened(data).convert("RGB"))
    # The same green is outside of sRGB: red becomes none, green stays strong.
    assert shown[0, 0, 0] < 60
    assert shown[0, 0, 1] > 195


def test_naming_it_loads_no_library():
    program = (
        "import sys, dicomweb_renderers_pillow\n"
        "print([n for n in sys.modules if n.split('.')[0] == 'imagecodecs'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
