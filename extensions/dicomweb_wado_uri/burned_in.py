"""What `anonymize=yes` knows of texts in pixels, which it cannot remove (PS3.15 E.3.1)."""

from __future__ import annotations

from dicomweb_server.dicom import load_header
from dicomweb_server.dicom.instance import first_text
from dicomweb_server.http import HttpError, current_context
from dicomweb_server.interfaces.index import InstanceRecord

_BURNED_IN, _ROWS = "00280301", "00280010"
UNCHECKED = "Nobody said that there are no names in the pixels, which are sent as they are"


def check_burned_in(record: InstanceRecord) -> bool:
    """Whether it is known that nobody is named in the pixels; raises 406 if somebody is.

    That is what Burned In Annotation (PS3.3 C.7.6.1.1) says.
    """
    details = current_context().index.details(record.row)
    attributes = load_header(details.header) if details is not None else {}
    told = first_text(attributes, _BURNED_IN).strip().upper()
    if told == "YES":
        raise HttpError(
            406,
            "the instance cannot be anonymized: Burned In Annotation (0028,0301) says that its "
            "pixels name somebody, and pixels are not changed here",
        )
    return told == "NO" or _ROWS not in attributes
