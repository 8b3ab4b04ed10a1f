"""Frames as arrays: what a pixel means, and how it is shown. No I/O, no Flask."""

from .image import Image, ImageFormat, MissingAttributes
from .native import pack, unpack

__all__ = ["Image", "ImageFormat", "MissingAttributes", "pack", "unpack"]
