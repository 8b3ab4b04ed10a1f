"""Which attributes a search answers with, and which are kept ready (PS3.18 10.6.3.3).

The tables hold tags as eight upper-case hexadecimal digits. The main attributes are those that
Orthanc keeps in its database, so that metadata modes and searches agree with it.
"""

from __future__ import annotations

from collections.abc import Iterable

from dicomweb_server.ps318.media_types import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from dicomweb_server.ps318.query_model import QueryLevel

SPECIFIC_CHARACTER_SET = "00080005"
SOP_CLASS_UID = "00080016"
SOP_INSTANCE_UID = "00080018"
INSTANCE_AVAILABILITY = "00080056"
MODALITY = "00080060"
MODALITIES_IN_STUDY = "00080061"
SOP_CLASSES_IN_STUDY = "00080062"
RETRIEVE_URL = "00081190"
PATIENT_NAME = "00100010"
PATIENT_ID = "00100020"
STUDY_INSTANCE_UID = "0020000D"
SERIES_INSTANCE_UID = "0020000E"
NUMBER_OF_PATIENT_RELATED_STUDIES = "00201200"
NUMBER_OF_PATIENT_RELATED_SERIES = "00201202"
NUMBER_OF_PATIENT_RELATED_INSTANCES = "00201204"
NUMBER_OF_STUDY_RELATED_SERIES = "00201206"
NUMBER_OF_STUDY_RELATED_INSTANCES = "00201208"
NUMBER_OF_SERIES_RELATED_INSTANCES = "00201209"
AVAILABLE_TRANSFER_SYNTAX_UID = "00083002"
INSTANCE_NUMBER = "00200013"

PATIENT_COUNTS = (
    NUMBER_OF_PATIENT_RELATED_STUDIES,
    NUMBER_OF_PATIENT_RELATED_SERIES,
    NUMBER_OF_PATIENT_RELATED_INSTANCES,
)
"""What is computed for a patient (PS3.4 table C.6-1)."""

UTF8 = {"vr": "CS", "Value": ["ISO_IR 192"]}
"""SpecificCharacterSet of everything that is made here."""

COUNTS = frozenset(
    {
        NUMBER_OF_STUDY_RELATED_SERIES,
        NUMBER_OF_STUDY_RELATED_INSTANCES,
        NUMBER_OF_SERIES_RELATED_INSTANCES,
    }
)

_PATIENT_MAIN = ("00100010", "00100020", "00100030", "00100040", "00101000")
_STUDY_MAIN = (
    *("00080020", "00080030", "00080050", "00080080", "00080090", "00080201", "00081030"),
    *("0020000D", "00200010", "00321032", "00321060"),
)
_SERIES_MAIN = (
    *("00080021", "00080031", "00080060", "00080070", "00080201", "00081010", "0008103E"),
    *("00081070", "00180010", "00180015", "00180024", "00181030", "00181090", "00181400"),
    *("0020000E", "00200011", "00200037", "00200105", "00201002", "00400244", "00400245"),
    *("00400254", "00400275", "00540081", "00540101", "00541000"),
)
_INSTANCE_MAIN = (
    *("00080012", "00080013", "00080016", "00080018", "00200012", "00200013", "00200032"),
    *("00200037", "00200100", "00204000", "00280008", "00280010", "00280011", "00280100"),
    "00541330",
)

MAIN: dict[QueryLevel, tuple[str, ...]] = {
    QueryLevel.PATIENT: _PATIENT_MAIN,
    QueryLevel.STUDY: _PATIENT_MAIN + _STUDY_MAIN,
    QueryLevel.SERIES: _SERIES_MAIN,
    QueryLevel.INSTANCE: _INSTANCE_MAIN,
}
"""Attributes that are kept in the rows of a level; STUDY includes those of its patient."""

DEFAULT: dict[QueryLevel, dict[str, str]] = {
    QueryLevel.PATIENT: {"00100010": "PN", "00100020": "LO", "00100030": "DA", "00100040": "CS"},
    QueryLevel.STUDY: {
        "00080020": "DA",
        "00080030": "TM",
        "00080050": "SH",
        "00080090": "PN",
        "00080201": "SH",
        "00100010": "PN",
        "00100020": "LO",
        "00100030": "DA",
        "00100040": "CS",
        "0020000D": "UI",
        "00200010": "SH",
    },
    QueryLevel.SERIES: {
        "00080060": "CS",
        "00080201": "SH",
        "0008103E": "LO",
        "0020000E": "UI",
        "00200011": "IS",
        "00400244": "DA",
        "00400245": "TM",
        "00400275": "SQ",
    },
    QueryLevel.INSTANCE: {
        "00080016": "UI",
        "00080018": "UI",
        "00080201": "SH",
        "00200013": "IS",
        "00280008": "IS",
        "00280010": "US",
        "00280011": "US",
        "00280100": "US",
    },
}
"""Stored attributes that an answer has without being asked, and their VR."""

REQUIRED: dict[QueryLevel, frozenset[str]] = {
    QueryLevel.PATIENT: frozenset(DEFAULT[QueryLevel.PATIENT]),
    QueryLevel.STUDY: frozenset(DEFAULT[QueryLevel.STUDY]) - {"00080201"},
    QueryLevel.SERIES: frozenset({"00080060", "0020000E", "00200011"}),
    QueryLevel.INSTANCE: frozenset({"00080016", "00080018", "00200013"}),
}
"""Attributes that are in every answer, empty when the data lacks them (tables 10.6.3-3 to -5)."""

PARENTS: dict[QueryLevel, tuple[QueryLevel, ...]] = {
    QueryLevel.PATIENT: (),
    QueryLevel.STUDY: (),
    QueryLevel.SERIES: (QueryLevel.STUDY,),
    QueryLevel.INSTANCE: (QueryLevel.STUDY, QueryLevel.SERIES),
}
"""The levels above a level, outermost first."""

_OF_STUDY = (
    INSTANCE_AVAILABILITY,
    MODALITIES_IN_STUDY,
    NUMBER_OF_STUDY_RELATED_SERIES,
    NUMBER_OF_STUDY_RELATED_INSTANCES,
)


def computed_of_parents(level: QueryLevel, *, study: bool, series: bool) -> tuple[str, ...]:
    """What a relational search returns of the levels above, beside their `DEFAULT` attributes.

    `study`, `series`: whether the path names them: then they need not be described (10.6.3.3.2 and
    10.6.3.3.3).
    """
    if level not in (QueryLevel.SERIES, QueryLevel.INSTANCE) or series:
        return ()
    of_series = (NUMBER_OF_SERIES_RELATED_INSTANCES,) if level is QueryLevel.INSTANCE else ()
    return of_series if study else (*_OF_STUDY, *of_series)


def creator_of(tag: str) -> str:
    """The tag of who reserved the block of a private element (PS3.5 7.8.1); "" for any other."""
    private = int(tag[3], 16) % 2 == 1 and tag[4:6] >= "10"
    return f"{tag[:4]}00{tag[4:6]}" if private else ""


def creators_of(tags: Iterable[str]) -> frozenset[str]:
    """The tags of who reserved the blocks of the private elements among the tags."""
    return frozenset(filter(None, map(creator_of, tags)))


_UNCOMPRESSED = frozenset(
    {IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN}
)


def available_transfer_syntaxes(stored: str) -> frozenset[str]:
    """Values of AvailableTransferSyntaxUID (0008,3002) of an instance stored in a syntax."""
    if stored in _UNCOMPRESSED:
        return frozenset({stored, EXPLICIT_VR_LITTLE_ENDIAN})
    return frozenset({stored})
