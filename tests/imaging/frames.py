"""Decoded frames of files, and makers of frames with their attributes."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder

from dicomweb_server.dicom import DicomReader, load_header
from dicomweb_server.imaging import Image, ImageFormat, View, unpack
from dicomweb_server.imaging.rendering import render
from dicomweb_server.testing.dicom import make_dataset, read, write_dataset

PLAIN = View()


@dataclass
class Case:
    """A file, as the server knows it."""

    data: bytes

    def __post_init__(self):
        reader = DicomReader()
        reader.feed(self.data)
        self.parsed = reader.close()
        self.attributes = load_header(self.parsed.header)
        self.data_set = read(self.data)

    @property
    def form(self):
        return ImageFormat.of(self.attributes, self.parsed.pixel_data.tag)

    def load(self, path):
        """A value that is no part of the header."""
        for value in self.parsed.located:
            if value.path == path:
                return self.data[value.offset : value.offset + value.length]
        raise AssertionError(f"{path} is not there")

    def image(self, frame=1):
        """A frame: native ones unpacked, others as pydicom decodes them."""
        pixels = self.parsed.pixel_data
        if not pixels.encapsulated:
            (found,) = pixels.frame(frame)
            held = self.data[found.offset : found.offset + found.length]
            return unpack(
                held,
                self.form,
                bit_offset=pixels.bit_offset(frame),
                big_endian=self.parsed.big_endian,
            )
        return self.decoded(frame)

    def decoded(self, frame):
        decoder = get_decoder(self.data_set.file_meta.TransferSyntaxUID)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array, meta = decoder.as_array(self.data_set, index=frame - 1, raw=True)
        form = self.form
        values = {name: getattr(form, name) for name in ImageFormat.__slots__}
        values |= {"photometric": str(meta["photometric_interpretation"]), "planar": 0}
        return Image(array, ImageFormat(**values))

    def render(self, frame=1, how=PLAIN):
        return render(self.image(frame), self.attributes, frame, how, self.load)


def grey(pixels, **attributes):
    """A file of grey frames of 8 or 16 bits; attributes by keyword, as in `make_dataset`."""
    return image_of(
        pixels, SamplesPerPixel=1, **({"PhotometricInterpretation": "MONOCHROME2"} | attributes)
    )


def colour(pixels, **attributes):
    """A file with one frame of 3 samples."""
    described = {"PhotometricInterpretation": "RGB", "PlanarConfiguration": 0} | attributes
    return image_of(pixels, SamplesPerPixel=3, **described)


def image_of(pixels, **attributes: Any):
    """A file with one frame."""
    pixels = np.asarray(pixels)
    bits = 8 * pixels.dtype.itemsize
    described = {
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": attributes.get("BitsStored", bits) - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PixelData": pixels.tobytes() + b"\0" * (pixels.nbytes % 2),
    }
    data_set = make_dataset(**(described | attributes))
    data_set["PixelData"].VR = "OW"
    return Case(write_dataset(data_set))


def lut(entries, first=0, bits=16, vr="US", descriptor_vr="SS"):
    """An item of a LUT sequence."""
    item = Dataset()
    item.add_new("LUTDescriptor", descriptor_vr, [len(entries) & 0xFFFF, first, bits])
    item.ModalityLUTType = "US"
    words = np.array(entries, "<u2")
    item.add_new("LUTData", vr, words.tobytes() if vr == "OW" else list(map(int, words)))
    return item


def item(**attributes):
    """A data set for a sequence."""
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made
