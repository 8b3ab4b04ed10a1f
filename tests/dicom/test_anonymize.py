"""The Basic Application Level Confidentiality Profile (PS3.15 E), judged by pydicom."""

from struct import pack

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from dicomweb_server.dicom import DicomError
from dicomweb_server.dicom.anonymize import anonymized
from dicomweb_server.dicom.anonymous import Pseudonyms
from dicomweb_server.dicom.confidentiality import Action, action_of, table

from .helpers import (
    UNCOMPRESSED,
    bundled,
    element,
    parse,
    part10,
    read,
    small_data_set,
    test_file,
    write,
)

NAMES = Pseudonyms(b"a key")
SECRET = "Secret^Name"


def anonymous(data, syntax=None, *, names=NAMES, size=1 << 16):
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(anonymized(pieces, syntax or parse(data).transfer_syntax, names))


def elements(data_set):
    return list(data_set.iterall())


def readable():
    for path in bundled():
        try:
            parse(path.read_bytes())
        except DicomError:
            continue
        yield path


@pytest.mark.parametrize("path", list(readable()), ids=lambda p: p.name)
def test_every_file_of_pydicom(path):
    data = path.read_bytes()
    before, after = read(data), read(anonymous(data))
    values = {(e.tag, repr(e.value)) for e in elements(before) if e.VR != "SQ"}
    for found in elements(after):
        action = action_of(int(found.tag))
        assert action is not Action.REMOVE
        assert not found.tag.is_private
        if action is Action.EMPTY:
            assert not found.value
        if action is Action.DUMMY and found.VR not in ("SQ", "OB", "OW"):
            assert found.value
            assert (found.tag, repr(found.value)) not in values
        if action is Action.REPLACE_UID and found.value:
            assert (found.tag, repr(found.value)) not in values or "1.2.840.10008." in str(
                found.value
            )
    assert after.get("PixelData") == before.get("PixelData")
    assert after.file_meta.get("TransferSyntaxUID") == parse(data).transfer_syntax
    kept = {e.tag for e in before if action_of(int(e.tag)) is Action.KEEP and e.tag.element}
    assert kept <= {e.tag for e in after}


def test_what_was_done_is_told():
    after = read(anonymous(test_file("CT_small.dcm")))
    assert after.PatientIdentityRemoved == "YES"
    assert after.DeidentificationMethod
    (code,) = after.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
    assert after.LongitudinalTemporalInformationModified == "REMOVED"


@pytest.mark.parametrize("syntax", UNCOMPRESSED)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_nobody_is_left_at_any_depth(syntax, size):
    inner = Dataset()
    inner.PatientName, inner.AccessionNumber, inner.CodeMeaning = SECRET, "A-77", "kept"
    middle = Dataset()
    middle.ConceptCodeSequence = [inner]
    data_set = small_data_set(
        PatientName=SECRET,
        PatientBirthDate="19700102",
        OtherPatientIDsSequence=[inner],
        ViewCodeSequence=[middle],
        ContentSequence=[middle],
        Rows=1,
    )
    data_set.add_new(0x00091001, "LO", SECRET)
    data_set.add_new(0x00090010, "LO", "SECRETS")
    data_set.add_new(0x60003000, "OW", b"Secr")
    data_set.add_new(0x60000010, "US", 1)
    data_set.add_new(0x50003000, "OW", b"Secr")
    data_set.add_new(0x7FE00010, "OW", b"\1\2\3\4")
    data_set.add_new(0xFFFCFFFC, "OB", b"Secr")
    made = anonymous(write(data_set, syntax), size=size)
    after = read(made)
    text = str(after)
    for word in ("Secr", "A-77", "19700102", "1.2.3"):
        assert word.encode() not in made
        assert word not in text
    (item,) = after.ViewCodeSequence
    (deepest,) = item.ConceptCodeSequence
    assert deepest.CodeMeaning == "kept"
    assert deepest.PatientName == ""
    assert after.PixelData == b"\1\2\3\4"
    assert after.ContentSequence[0].TextValue == "ANONYMIZED"
    assert after.Rows == 1
    assert not any(int(e.tag) >> 24 in (0x50, 0x60) for e in elements(after))


def test_what_hides_behind_un_is_found():
    name = pack("<HHI", 0x0010, 0x0010, len(SECRET) + 1) + SECRET.encode() + b" "
    item = pack("<HHI", 0xFFFE, 0xE000, len(name)) + name
    body = b"\x08\0\x18\0UI\4\x001.2\0"
    body += pack("<HH2sHI", 0x0054, 0x0220, b"UN", 0, len(item)) + item
    after = anonymous(part10(body))
    assert SECRET.encode() not in after
    assert read(after).ViewCodeSequence[0].PatientName == ""


def test_unknown_attributes_go():
    body = b"\x08\0\x18\0UI\4\x001.2\0" + pack("<HH2sH", 0x0008, 0xFF01, b"LO", 4) + b"abcd"
    assert b"abcd" not in anonymous(part10(body))


def test_group_0002_and_preamble_tell_nothing():
    data_set = small_data_set()
    data = write(data_set)
    title = b"\2\0\x16\0AE\6\0WARD_7"
    length = int.from_bytes(data[140:144], "little") + len(title)
    end = 144 + length - len(title)
    start = b"II*\0" + b"Secret" * 20 + bytes(4)
    data = start + data[128:140] + pack("<I", length) + data[144:end] + title + data[end:]
    assert read(data).file_meta.SourceApplicationEntityTitle == "WARD_7"
    made = anonymous(data)
    assert made[:128] == bytes(128)
    meta = read(made).file_meta
    assert meta.MediaStorageSOPInstanceUID == read(made).SOPInstanceUID == NAMES.uid("1.2.3.4")
    assert "SourceApplicationEntityTitle" not in meta
    assert b"Secret" not in made
    assert b"WARD_7" not in made


def test_patients_are_not_taken_for_each_other():
    made = [read(anonymous(write(small_data_set(PatientID=each)))) for each in ("P1", "P1 ", "P2")]
    first, same, other = (each.PatientID for each in made)
    assert first == same != other
    assert "P1" not in first


def test_references_stay_whole():
    image = small_data_set()
    other = small_data_set(SOPInstanceUID="1.2.3.5")
    reference = Dataset()
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    reference.ReferencedSOPInstanceUID = "1.2.3.4"
    other.SourceImageSequence = [reference]
    other.FrameOfReferenceUID = "1.2.840.10008.1.4.1.1"
    first, second = (read(anonymous(write(each))) for each in (image, other))
    assert first.StudyInstanceUID == second.StudyInstanceUID != "1.2.3"
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    (found,) = second.SourceImageSequence
    assert found.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert found.ReferencedSOPClassUID == reference.ReferencedSOPClassUID
    assert second.FrameOfReferenceUID == other.FrameOfReferenceUID


def test_another_key_makes_others():
    uids = {Pseudonyms(key).uid("1.2.3") for key in (b"a", b"b", b"c")}
    assert len(uids) == 3
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in uids)
    assert NAMES.uid("1.2.3") == NAMES.uid("1.2.3")


def test_fragments_pass_untouched():
    data_set = small_data_set(PatientName=SECRET)
    fragments = b"\xfe\xff\0\xe0\0\0\0\0" + b"\xfe\xff\0\xe0\4\0\0\0\xfe\xff\xdd\xe0"
    head = write(data_set, ExplicitVRLittleEndian).replace(
        ExplicitVRLittleEndian.encode() + b"\0", b"1.2.840.10008.1.2.1"[:-2] + b".1\0"
    )
    pixels = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + fragments + b"\xfe\xff\xdd\xe0\0\0\0\0"
    data = head + pixels + pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 4) + b"Secr"
    made = anonymous(data, JPEGBaseline8Bit)
    assert fragments in made
    assert b"Secr" not in made


def with_overlay_bits(**values):
    """Words of 12 bits, planes in bits 13 and 15, and one in bit 3, which is a pixel's."""
    image = {"Rows": 8, "Columns": 100, "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}
    data_set = small_data_set(**image, SamplesPerPixel=1, PixelRepresentation=0, **values)
    for group, position in ((0x6000, 13), (0x6002, 15), (0x6004, 3), (0x6006, 99)):
        data_set.add_new(group << 16 | 0x0100, "US", 16)
        data_set.add_new(group << 16 | 0x0102, "US", position)
    data_set.add_new(0x60080102, "US", 12)
    data_set.add_new(0x60083000, "OW", b"\xff\xff")  # it has its own data: bit 12 is not its
    return data_set


@pytest.mark.parametrize("syntax", [*UNCOMPRESSED, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("size", [7, 1 << 16])
def test_overlays_in_unused_bits_go(syntax, size):
    data_set = with_overlay_bits()
    words = np.arange(800, dtype="<u2") * 81
    big = syntax == ExplicitVRBigEndian
    data_set.PixelData = (words.byteswap() if big else words).tobytes()
    data_set["PixelData"].VR = "OW"
    after = read(anonymous(write(data_set, syntax), syntax, size=size))
    found = np.frombuffer(after.PixelData, ">u2" if big else "<u2")
    assert np.array_equal(found, words & 0b0101_1111_1111_1111)
    assert not [element.tag for element in after if element.tag.group >> 8 == 0x60]


def test_overlays_in_compressed_words_are_refused():
    data_set = with_overlay_bits()
    data_set.PixelData = encapsulate([b"1234"])
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    with pytest.raises(DicomError, match="uncompressed"):
        anonymous(write(data_set, RLELossless), RLELossless)


def test_what_the_table_leaves_out_and_identifies_goes():
    made = {
        "PatientBirthDateInAlternativeCalendar": SECRET,
        "PatientAlternativeCalendar": "BUDDHIST",
        "RetrieveURL": f"http://a/{SECRET}",
        "RetrieveURI": f"http://a/{SECRET}",
        "CommentsOnTheScheduledProcedureStep": SECRET,
        "TreatmentStatusComment": SECRET,
        "SubstanceAdministrationNotes": SECRET,
        "ContactDisplayName": SECRET,
    }
    data = write(small_data_set(**made), ExplicitVRLittleEndian)
    assert SECRET.encode() in data
    after = anonymous(data)
    assert SECRET.encode() not in after
    assert "PatientAlternativeCalendar" not in read(after)
    assert read(after).CommentsOnTheScheduledProcedureStep == ""


@pytest.mark.parametrize("name", ["JPEG-lossy.dcm", "CT_small.dcm"])
def test_a_cut_file_is_refused(name):
    data = test_file(name)
    syntax = parse(data).transfer_syntax
    with pytest.raises(DicomError):
        anonymous(data[:-5000], syntax)


def test_a_damaged_deflated_file_is_refused():
    data = write(small_data_set(PatientName=SECRET), DeflatedExplicitVRLittleEndian)
    with pytest.raises(DicomError):
        anonymous(data[:-20], DeflatedExplicitVRLittleEndian)


def test_the_table_is_that_of_the_standard():
    # Of the edition 2026c, without the curves and overlays, which have ranges of groups.
    assert len(table()) == 652
    expected = {
        0x00100010: Action.EMPTY,
        0x00100020: Action.DUMMY,
        0x00100030: Action.EMPTY,
        0x00080018: Action.REPLACE_UID,
        0x00080080: Action.DUMMY,
        0x00081030: Action.REMOVE,
        0x00200052: Action.REPLACE_UID,
        0x00280010: Action.KEEP,
        0x00080016: Action.KEEP,
        0x00091001: Action.REMOVE,
        0x60023000: Action.REMOVE,
        0x00209312: Action.REPLACE_UID,
        0x00142006: Action.EMPTY,
        0x00080054: Action.REMOVE,
        0x00081115: Action.KEEP,
        0x00081140: Action.KEEP,
        0x00181000: Action.DUMMY,
        0x00400275: Action.REMOVE,
        0x00400280: Action.REMOVE,
        0x00401400: Action.REMOVE,
        0x00402400: Action.REMOVE,
        0x0040A124: Action.REPLACE_UID,
        0x0040A730: Action.DUMMY,
        0x00420011: Action.DUMMY,
        0x30060024: Action.REPLACE_UID,
    }
    assert {tag: action_of(tag) for tag in expected} == expected


def test_every_dummy_can_be_written():
    dummies = sorted(tag for tag, action in table().items() if action is Action.DUMMY)
    assert len(dummies) > 100
    first = element(0x00080018, "UI", b"1.2\0")
    for tag in dummies:
        made = anonymous(part10(first + element(tag, "UN", b"\0\0")))
        found = read(made)[tag]
        assert found.VM > 0, hex(tag)
