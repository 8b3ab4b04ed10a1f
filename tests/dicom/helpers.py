"""What the tests of `dicomweb_server.dicom` share: files, makers, and pydicom as the judge."""

import io
import math
import warnings
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicomweb_server.dicom import DicomReader

DATA = Path(pydicom.__file__).parent / "data"
UNCOMPRESSED = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
_STRIPPED = {"AE", "AS", "CS", "DA", "DT", "TM", "UI"}


def bundled():
    """All DICOM files that come with pydicom."""
    files = [*DATA.glob("test_files/*.dcm"), *DATA.glob("charset_files/*.dcm")]
    files += [f for f in DATA.glob("test_files/dicomdirtests/**/*") if f.is_file()]
    files += DATA.glob("palettes/*.dcm")
    return sorted(f for f in files if not f.name.startswith("README"))


def test_file(name):
    """The bytes of a file that comes with pydicom."""
    return (DATA / "test_files" / name).read_bytes()


test_file.__test__ = False


def parse(data, **options):
    """Read a whole stream at once."""
    reader = DicomReader(**options)
    reader.feed(data)
    return reader.close()


def read(data):
    """What pydicom makes of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(io.BytesIO(data), force=True)


def small_data_set(**values):
    """A data set with an identity."""
    data_set = Dataset()
    data_set.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    data_set.SOPInstanceUID = "1.2.3.4"
    data_set.StudyInstanceUID = "1.2.3"
    data_set.SeriesInstanceUID = "1.2.3.1"
    data_set.PatientID = "P1"
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    return data_set


def write(data_set, syntax=ExplicitVRLittleEndian):
    """A Part 10 file, written by pydicom."""
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = syntax
    data_set.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    data_set.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(buffer, data_set, enforce_file_format=True)
    return buffer.getvalue()


def part10(body, syntax="1.2.840.10008.1.2.1"):
    """A Part 10 file around the bytes of a data set."""
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = b"\2\0\x10\0UI" + len(uid).to_bytes(2, "little") + uid
    length = b"\2\0\0\0UL\4\0" + len(meta).to_bytes(4, "little")
    return bytes(128) + b"DICM" + length + meta + body


def element(tag, vr, value, length=None):
    """An element in explicit VR little endian."""
    group, number = tag >> 16, tag & 0xFFFF
    head = group.to_bytes(2, "little") + number.to_bytes(2, "little") + vr.encode()
    size = len(value) if length is None else length
    if vr in ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"):
        return head + b"\0\0" + size.to_bytes(4, "little") + value
    return head + size.to_bytes(2, "little") + value


def item(value, tag=0xE000):
    """An item, or a fragment, or (with another tag) a delimiter."""
    return b"\xfe\xff" + tag.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value


IDENTITY = (
    element(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.7\0")
    + element(0x00080018, "UI", b"1.2.3.4\0")
    + element(0x00100020, "LO", b"P1")
    + element(0x0020000D, "UI", b"1.2.3\0")
    + element(0x0020000E, "UI", b"1.2.3.1\0")
)


def judged(data_set, path=""):
    """pydicom's DICOM JSON with the documented differences levelled; see test_against_pydicom."""
    result = {}
    for tag, raw in data_set.to_json_dict().items():
        if tag.endswith("0000"):
            continue
        vr = str(raw["vr"])
        here = path + tag.lower()
        values = raw.get("Value")
        if vr == "SQ":
            items = [
                judged(item_, f"{here}/{number}/")
                for number, item_ in enumerate(data_set[tag].value, 1)
            ]
            result[tag] = {"vr": vr, "Value": items} if items else {"vr": vr}
        elif "InlineBinary" in raw:
            encapsulated = data_set[tag].is_undefined_length
            result[tag] = {"vr": "OB" if encapsulated else vr, "BulkDataURI": here}
        elif values is None or [_level(vr, value) for value in values] == [None]:
            result[tag] = {"vr": vr}
        else:
            result[tag] = {"vr": vr, "Value": [_level(vr, value) for value in values]}
    return dict(sorted(result.items()))


def _level(vr, value):
    if vr == "PN":
        groups = {group: text.rstrip(" \0") for group, text in (value or {}).items()}
        return {group: text for group, text in groups.items() if text} or None
    if isinstance(value, str):
        return (value.strip(" \0") if vr in _STRIPPED else value) or None
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def ours(attributes):
    """Our DICOM JSON with DS as numbers, as pydicom has them."""
    result = {}
    for tag, element_ in attributes.items():
        levelled = dict(element_)
        if element_["vr"] == "SQ" and "Value" in element_:
            levelled["Value"] = [ours(item_) for item_ in element_["Value"]]
        elif element_["vr"] == "DS" and "Value" in element_:
            levelled["Value"] = [None if v is None else float(v) for v in element_["Value"]]
        result[tag] = levelled
    return result
