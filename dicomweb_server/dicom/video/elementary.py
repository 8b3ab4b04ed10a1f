"""The first sequence header in a coded stream, of whatever standard it is."""

from __future__ import annotations

import re
from typing import Final

from dicomweb_server.dicom.errors import DicomError

from . import h264, hevc, mpeg2
from .header import Coded
from .nal import unit_at

# Units of H.264 with the type 7, of HEVC with the type 33; one is nothing in the other's stream.
_PARAMETERS: Final = re.compile(rb"\x00\x00\x01(?:[\x07\x27\x47\x67]|\x42\x01)", re.DOTALL)


def read_elementary(stream: bytes, what: str) -> Coded:
    """What the first sequence header says.

    Args:
        stream: its beginning.
        what: where it comes from, for messages.

    Raises:
        DicomError: there is none.
    """
    at = stream.find(mpeg2.SEQUENCE)  # B3 is no unit of H.264 or HEVC: their first bit is 0
    if at >= 0:
        return mpeg2.from_sequence(stream, at)
    found = _PARAMETERS.search(stream)
    if found is None:
        raise DicomError(
            f"The {what} has no sequence header in its first {len(stream)} bytes of video; "
            "possible are those of MPEG-2, H.264 and HEVC."
        )
    unit = unit_at(stream, found.start() + 3)
    if unit[0] == hevc.SEQUENCE_PARAMETERS << 1:
        return hevc.from_parameter_set(unit)
    return h264.from_parameter_set(unit)
