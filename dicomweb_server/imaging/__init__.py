"""Frames as arrays: what a pixel means, and how it is shown. No I/O, no Flask."""

from .grey import choose_window
from .header import Header, bulk_values
from .image import Image, ImageFormat, MissingAttributes
from .native import pack, unpack
from .rendering import icc_profile, render
from .view import View, ViewError, Viewport, Window

__all__ = [
    "Header",
    "Image",
    "ImageFormat",
    "MissingAttributes",
    "View",
    "ViewError",
    "Viewport",
    "Window",
    "bulk_values",
    "choose_window",
    "icc_profile",
    "pack",
    "render",
    "unpack",
]
