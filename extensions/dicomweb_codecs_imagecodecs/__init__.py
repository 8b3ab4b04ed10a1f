"""Codec `imagecodecs`: RLE, JPEG, JPEG-LS, JPEG 2000, HTJ2K and JPEG XL by imagecodecs."""

from __future__ import annotations

from dicomweb_server import hookimpl
from dicomweb_server.interfaces.codecs import Codec

from .codec import ImagecodecsCodec

__all__ = ["ImagecodecsCodec", "register_codecs"]


@hookimpl
def register_codecs() -> list[type[Codec]]:
    return [ImagecodecsCodec]
