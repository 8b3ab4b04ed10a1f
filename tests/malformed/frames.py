"""Damaged frames of a transfer syntax, decoded: `python -m tests.malformed.frames SYNTAX FROM TO`.

A line is written before and after each frame, so whoever started the process knows which one ended
it. Memory and time are limited as in a helper process of the server; a frame that takes longer ends
the process.
"""

import random
import resource
import signal
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from dicomweb_codecs_imagecodecs import ImagecodecsCodec

from dicomweb_server.config import check
from dicomweb_server.dicom import DicomError
from dicomweb_server.dicom.bitstreams import read_image_header
from dicomweb_server.interfaces.codecs import CodecError
from dicomweb_server.interfaces.provider import Settings
from dicomweb_server.testing.frames import make_format, make_image

from .damage import hurt

SECONDS = 20
MEMORY = 2 << 30
_FAMILY = "1.2.840.10008.1.2.4."
_MADE_AS = {
    _FAMILY + "92": _FAMILY + "90",
    _FAMILY + "93": _FAMILY + "91",
    _FAMILY + "111": _FAMILY + "112",
}
_TYPES = ("image/jpeg", "image/jls", "image/jp2", "image/jphc", "image/jxl")
_NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0xFFFFFFFF,
)


def codec():
    """The one under test."""
    return ImagecodecsCodec(Settings(check({}, [], base=Path()), {}))


@lru_cache(maxsize=1)
def sources(syntax):
    """Good frames, each with its format."""
    made = []
    for stored, photometric in (
        (8, "MONOCHROME2"),
        (12, "MONOCHROME2"),
        (16, "MONOCHROME2"),
        (8, "RGB"),
        (8, "YBR_FULL"),
    ):
        for rows, columns in ((16, 16), (67, 130)):
            form = make_format(stored, rows=rows, columns=columns, photometric=photometric)
            made_as = _MADE_AS.get(syntax, syntax)
            if codec().can_encode(made_as, form):
                encoded = codec().encode(make_image(form), made_as)
                made.append((encoded.frame, encoded.format))
    return made


def variant(syntax, number):
    """(frame, format) of a number, the same ones every time."""
    chance = random.Random(f"{syntax} {number}")
    good = sources(syntax)
    frame, form = good[number % len(good)]
    data = bytearray(frame)
    for _ in range(chance.choice((1, 1, 2, 5))):
        if chance.random() < 0.4:
            _lie(data, chance)
        else:
            data = hurt(data, chance, [each for each, _ in good]) or data
    if chance.random() < 0.5:
        form = _as_it_says(bytes(data), form)
    if chance.random() < 0.2:
        word = chance.choice((8, 16, 32))
        form = replace(
            form, allocated=word, stored=word, high_bit=word - 1, signed=chance.random() < 0.5
        )
    return bytes(data), form


def _lie(data, chance):
    """Another number somewhere in the header."""
    size = chance.choice((1, 2, 4))
    at = chance.randrange(min(max(len(data) - size, 1), 200))
    number = chance.choice(_NUMBERS) & ((1 << 8 * size) - 1)
    data[at : at + size] = number.to_bytes(size, chance.choice(("big", "little")))


def _as_it_says(data, form):
    """The format that the header tells of: who lies there may lie in the data set too."""
    for media_type in _TYPES:
        try:
            header = read_image_header(media_type, lambda at, n: data[at : at + n], 0, len(data))
        except DicomError:
            continue
        if 0 < header.rows < 65536 and 0 < header.columns < 65536 and header.samples in (1, 3, 4):
            return replace(form, rows=header.rows, columns=header.columns, samples=header.samples)
    return form


def main(syntax, first, last):
    """Decodes; whatever is neither pixels nor a `CodecError` ends the process."""
    under_test = codec()
    sources(syntax)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number in range(first, last):
        frame, form = variant(syntax, number)
        print("begin", number, flush=True)
        signal.alarm(SECONDS)
        try:
            image = under_test.decode(frame, syntax, form, reduce=number % 3)
        except CodecError as error:
            outcome = "refused" if str(error) else "without a word"
        else:
            right = (image.pixels.shape, image.pixels.dtype) == (image.format.shape, form.dtype)
            outcome = "pixels" if right else "of another shape"
        signal.alarm(0)
        print(outcome, number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
