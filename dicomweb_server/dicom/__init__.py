"""DICOM files (PS3.5, 3.6, 3.10) and the DICOM JSON model (PS3.18, F). No input or output here."""

from .charset import DEFAULT_ENCODINGS
from .edit import Modification, edit_file
from .encode import little_endian
from .errors import (
    DicomError,
    FrameNotLocated,
    LimitExceeded,
    NoSuchFrame,
    NotDicom,
    NotUnderstood,
    Truncated,
)
from .fallback import read_with_pydicom
from .identifiers import OrthancIds, orthanc_ids
from .instance import Limits, LocatedValue, ParsedInstance
from .json_model import JsonOptions, load_header, render
from .locate import FoundValue, find_value, normal_path
from .pixel_data import ByteRange, PixelData
from .reader import DicomReader
from .tags import STANDARD, TagDictionary
from .transcode import CONVERTIBLE_SYNTAXES, can_convert, convert
from .views import open_view

__all__ = [
    "CONVERTIBLE_SYNTAXES",
    "DEFAULT_ENCODINGS",
    "STANDARD",
    "ByteRange",
    "DicomError",
    "DicomReader",
    "FoundValue",
    "FrameNotLocated",
    "JsonOptions",
    "LimitExceeded",
    "Limits",
    "LocatedValue",
    "Modification",
    "NoSuchFrame",
    "NotDicom",
    "NotUnderstood",
    "OrthancIds",
    "ParsedInstance",
    "PixelData",
    "TagDictionary",
    "Truncated",
    "can_convert",
    "convert",
    "edit_file",
    "find_value",
    "little_endian",
    "load_header",
    "normal_path",
    "open_view",
    "orthanc_ids",
    "read_with_pydicom",
    "render",
]
