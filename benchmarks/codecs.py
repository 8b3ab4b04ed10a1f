"""Measures codecs beside each other, in turns: milliseconds for a frame, and whether it is exact.

    python -m benchmarks.codecs --rounds 5

Each library decodes the same frames, encoded by our codec; those that are not installed are left
out (`pip install pyjpegls pylibjpeg-openjpeg pylibjpeg-rle python-gdcm simplejpeg`). "GIL"
says whether other threads wait while it runs.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from dicomweb_server.config import check
from dicomweb_server.imaging import Image
from dicomweb_server.interfaces.codecs import Codec, Encoded
from dicomweb_server.interfaces.provider import Settings
from dicomweb_server.testing.frames import make_format, make_image

FAMILY = "1.2.840.10008.1.2.4."
RLE = "1.2.840.10008.1.2.5"
SYNTAXES = {
    "RLE": RLE,
    "Deflated frame": "1.2.840.10008.1.2.8.1",
    "JPEG baseline": FAMILY + "50",
    "JPEG extended": FAMILY + "51",
    "JPEG lossless": FAMILY + "70",
    "JPEG-LS": FAMILY + "80",
    "JPEG 2000 lossless": FAMILY + "90",
    "JPEG 2000": FAMILY + "91",
    "HTJ2K lossless": FAMILY + "201",
    "JPEG XL lossless": FAMILY + "110",
    "JPEG XL": FAMILY + "112",
}

Decode = Callable[[bytes], Any]


def our_codec() -> Codec:
    """The default codec."""
    kind: type[Codec] = importlib.import_module("dicomweb_codecs_imagecodecs").ImagecodecsCodec
    return kind(Settings(check({}, [], base=Path()), {}))


@dataclass
class Contender:
    """One library on one frame."""

    library: str
    run: Callable[[], Any]
    seconds: list[float] = field(default_factory=list)

    def turn(self) -> None:
        """Measure once."""
        began = time.perf_counter()
        self.run()
        self.seconds.append(time.perf_counter() - began)

    def holds(self) -> bool:
        """Whether other threads wait while it runs."""
        return statistics.median(self._longest_wait() for _ in range(5)) > 0.5

    def _longest_wait(self) -> float:
        """Of another thread, as a part of the whole time."""
        worker = Thread(target=self.run)
        began = last = time.perf_counter()
        longest = 0.0
        worker.start()
        while worker.is_alive():
            time.sleep(0.0001)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        return longest / (last - began) if last > began else 1.0


def _pillow(frame: bytes) -> Any:
    from PIL import Image as Pillow

    return np.asarray(Pillow.open(io.BytesIO(frame)))


def _others() -> dict[str, dict[str, Decode]]:
    """Decoders of other libraries that are there, by the names of transfer syntaxes."""
    found: dict[str, dict[str, Decode]] = {"Pillow": {}}
    found["Pillow"] = dict.fromkeys(("JPEG baseline", "JPEG 2000 lossless", "JPEG 2000"), _pillow)
    known = {
        "simplejpeg": ("simplejpeg", "decode_jpeg", ("JPEG baseline",)),
        "pyjpegls": ("jpeg_ls", "decode_pixel_data", ("JPEG-LS",)),
        "pylibjpeg-openjpeg": (
            "openjpeg",
            "decode",
            ("JPEG 2000 lossless", "JPEG 2000", "HTJ2K lossless"),
        ),
    }
    for library, (module, function, names) in known.items():
        try:
            decode = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError):
            continue
        found[library] = dict.fromkeys(names, decode)
    return found


def _by_pydicom(made: Encoded, syntax: str) -> dict[str, Callable[[], Any]]:
    """What pydicom decodes with, but for those that are called directly."""
    from pydicom import pixels
    from pydicom.uid import UID

    get_decoder: Any = vars(pixels)["get_decoder"]
    found: dict[str, Callable[[], Any]] = {}
    try:
        decoder = get_decoder(UID(syntax))
    except NotImplementedError:
        return found
    plugins = {"gdcm": "python-gdcm", "pydicom": "pydicom (RLE)"}
    if syntax == RLE:
        plugins["pylibjpeg"] = "pylibjpeg-rle"
    data_set = _data_set(made, syntax)
    for plugin in set(plugins) & set(decoder.available_plugins):

        def run(plugin: str = plugin) -> Any:
            return decoder.as_array(data_set, raw=True, decoding_plugin=plugin)[0]

        found[plugins[plugin]] = run
    return found


def _data_set(made: Encoded, syntax: str) -> Any:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import UID

    form, data_set = made.format, Dataset()
    data_set.Rows, data_set.Columns, data_set.SamplesPerPixel = (
        form.rows,
        form.columns,
        form.samples,
    )
    data_set.BitsAllocated, data_set.BitsStored = form.allocated, form.stored
    data_set.HighBit, data_set.PixelRepresentation = form.high_bit, int(form.signed)
    data_set.PhotometricInterpretation, data_set.PlanarConfiguration = form.photometric, 0
    data_set.PixelData = encapsulate([made.frame + b"\0" * (len(made.frame) % 2)])
    data_set["PixelData"].VR = "OB"
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = UID(syntax)
    return data_set


def contenders(codec: Codec, name: str, image: Image) -> tuple[Encoded, list[Contender]]:
    """The frame, and those that encode and decode it: ours first."""
    syntax = SYNTAXES[name]
    made = codec.encode(image, syntax)
    runs: dict[str, Callable[[], Any]] = {
        "**encode**": lambda: codec.encode(image, syntax),
        "**imagecodecs**": lambda: codec.decode(made.frame, syntax, made.format).pixels,
    }
    for halvings, what in ((1, "a half"), (2, "a fourth")):
        reduced = partial(_reduced, codec, made, syntax, halvings)
        if reduced().size < image.pixels.size:
            runs[f"imagecodecs, {what}"] = reduced
    for library, decoders in _others().items():
        if name in decoders:
            runs[library] = partial(decoders[name], made.frame)
    runs |= _by_pydicom(made, syntax)
    working = []
    for library, run in runs.items():
        try:
            run()
        except Exception as error:  # a library that cannot is left out
            print(f"{name}: {library}: {type(error).__name__}")
            continue
        working.append(Contender(library, run))
    return made, working


def _reduced(codec: Codec, made: Encoded, syntax: str, halvings: int) -> Any:
    return codec.decode(made.frame, syntax, made.format, reduce=halvings).pixels


def report(name: str, image: Image, made: Encoded, found: list[Contender]) -> None:
    """Print the lines of one transfer syntax."""
    form = image.format
    what = f"{form.photometric} {form.stored} bit"
    ratio = image.pixels.nbytes / len(made.frame)
    for each in found:
        exact = _exact(each.run(), image)
        held = "held" if each.holds() else "free"
        print(
            f"| {name} | {what} | {ratio:.1f} | {each.library} "
            f"| {statistics.median(each.seconds) * 1000:.1f} | {exact} | {held} |"
        )


def _exact(given: Any, image: Image) -> str:
    """Whether what a library gave is the image."""
    if isinstance(given, Encoded):
        return "-"
    given = given[0] if isinstance(given, tuple) else given
    if isinstance(given, bytes | bytearray):
        given = np.frombuffer(given, image.format.dtype)
    if given.size != image.pixels.size:
        return "no"
    return "yes" if np.array_equal(given.reshape(image.pixels.shape), image.pixels) else "no"


def main() -> None:
    """Measure all in turns, transfer syntax by transfer syntax."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1024, help="rows and columns")
    arguments = parser.parse_args()
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}, {arguments.size} x {arguments.size} pixels\n"
    )
    print("| transfer syntax | frame | ratio | library | ms | exact | GIL |")
    print("|---|---|---|---|---|---|---|")
    codec, size = our_codec(), arguments.size
    for name, syntax in SYNTAXES.items():
        for stored, photometric in ((12, "MONOCHROME2"), (8, "RGB")):
            form = make_format(stored, rows=size, columns=size, photometric=photometric)
            if not codec.can_encode(syntax, form):
                continue
            image = textured(make_image(form))
            made, found = contenders(codec, name, image)
            for _ in range(arguments.rounds):
                for each in found:
                    each.turn()
            report(name, image, made, found)


def textured(image: Image) -> Image:
    """With some noise, as detectors have it."""
    form = image.format
    noise = np.random.default_rng(1).normal(0, (1 << form.stored) / 200, form.shape)
    pixels = np.clip(image.pixels + noise, 0, (1 << form.stored) - 1).astype(form.dtype)
    return Image(pixels, form)


if __name__ == "__main__":
    main()
