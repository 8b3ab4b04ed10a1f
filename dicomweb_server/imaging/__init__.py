"""Frames as arrays: what a pixel means, and how it is shown. No I/O, no Flask.

`render` stands in `dicomweb_server.imaging.rendering`, which only processes that render need.
"""

from .header import Header, bulk_values
from .image import Image, ImageFormat, MissingAttributes
from .native import pack, unpack
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
    "pack",
    "unpack",
]
