"""What an instance must have to be stored at all."""

from __future__ import annotations

import re

from dicomweb_server.dicom import ParsedInstance
from dicomweb_server.dicom.instance import first_text
from dicomweb_server.dicom.transfer_syntaxes import is_uid
from dicomweb_server.ps318.store_response import CANNOT_UNDERSTAND
from dicomweb_server.services.ingest.results import Refused

_ADDRESSABLE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
"""UIDs that can be addressed; devices write some that are not to the letter."""
_IDENTIFIERS = {
    "SOPClassUID": "00080016",
    "SOPInstanceUID": "00080018",
    "StudyInstanceUID": "0020000D",
    "SeriesInstanceUID": "0020000E",
}


def check_addressable(parsed: ParsedInstance) -> None:
    """Raise `Refused` unless the instance can be addressed by the URLs of PS3.18."""
    attributes = parsed.attributes
    missing = [name for name, tag in _IDENTIFIERS.items() if not first_text(attributes, tag)]
    if missing:
        raise Refused(CANNOT_UNDERSTAND, f"the instance has no {', '.join(missing)}")
    for name, tag in _IDENTIFIERS.items():
        # It becomes a segment of the URLs by which it is retrieved and deleted.
        values = attributes[tag]["Value"]
        if len(values) > 1 or not _ADDRESSABLE.fullmatch(values[0]):
            raise Refused(
                CANNOT_UNDERSTAND,
                f"the {name} is {str(values)[:100]}; possible is one, of digits and dots "
                f"(PS3.5 9.1)",
            )
    if not is_uid(parsed.transfer_syntax):
        # It becomes a part of the Content-Type with which the instance is retrieved.
        raise Refused(
            CANNOT_UNDERSTAND,
            f"the transfer syntax (0002,0010) is {parsed.transfer_syntax[:100]!a}; possible is "
            "one UID, of digits and dots, at most 64 (PS3.5 9.1)",
        )
