"""What is not to the letter, said element by element."""

from io import BytesIO

import pytest
from pydicom import Dataset, examples

from dicomweb_server.dicom import DicomReader
from dicomweb_server.dicom.conformance import deviations
from dicomweb_server.testing.dicom import make_instance


def sentences(data):
    reader = DicomReader()
    reader.feed(data)
    return list(deviations(reader.close()))


def test_a_made_instance_has_none():
    assert sentences(make_instance(PatientName="Doe^Jane", StudyDate="20200101")) == []


def test_a_real_file_has_none():
    file = BytesIO()
    examples.ct.save_as(file)
    assert sentences(file.getvalue()) == []


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        (b"1.2.3.4", b"1.02.34", "SOPInstanceUID (0008,0018)"),
        (b"LO\x08\x00HEADHEAD", b"SH\x08\x00HEADHEAD", "StudyDescription (0008,1030)"),
        (b"20200101", b"2020-1-1", "StudyDate (0008,0020)"),
        (b"ABCDEF", b"abcdef", "BodyPartExamined (0018,0015)"),
    ],
)
def test_each_is_named(right, wrong, named):
    data = make_instance(
        SOPInstanceUID="1.2.3.4",
        StudyDescription="HEADHEAD",
        StudyDate="20200101",
        BodyPartExamined="ABCDEF",
    )
    assert right in data
    (found,) = sentences(data.replace(right, wrong))
    assert found.startswith(named)


def test_a_text_that_is_too_long():
    (found,) = sentences(make_instance(AccessionNumber="12345678901234567"))
    assert "AccessionNumber (0008,0050)" in found


def test_items_of_sequences_are_looked_at():
    item = Dataset()
    item.ScheduledProcedureStepID = "12345678901234567"
    data = make_instance(RequestAttributesSequence=[item])
    (found,) = sentences(data)
    assert found.startswith("00400275/1/ScheduledProcedureStepID (0040,0009)")


def with_value(vr, value):
    """The sentences about a private element of an instance, whose value is as it is given."""
    raw = value.encode("latin-1")
    raw += (b"\0" if vr == "UI" else b" ") * (len(raw) % 2)
    long = vr in ("UT", "UC", "UR")
    size = len(raw).to_bytes(4 if long else 2, "little")
    creator = b"\x01\x70\x10\x00LO\x04\x00ACME"
    element = b"\x01\x70\x01\x10" + vr.encode() + (b"\0\0" if long else b"") + size + raw
    return sentences(make_instance(SpecificCharacterSet="ISO_IR 100") + creator + element)


FORMS = {
    "DA": (["20240229", ""], ["20230229", "20241301", "2024.01.01", "202401", "20240101-"]),
    "TM": (["23", "2359", "235960.123456", "120000.1"], ["24", "1260", "12:00", "120000.1234567", "1", "0800-1200"]),
    "DT": (["2024", "202402", "20240229235959.1+0100", "2024-1200", "20240101+1400"], ["20230229", "2024010125", "2024-0000", "2024+1500", "24", "2024+0160"]),
    "UI": (["1.2.0.3"], ["1.02", "1..2", ".1", "1.2a", "1." + "2" * 64]),
    "IS": (["2147483647", "-2147483648"], ["2147483648", "-2147483649", "one"]),
    "DS": (["1.5e-10", "+3", "1234567890.12345"], ["1.2345678901234567", "1,5", "ten"]),
    "SH": (["two words", "caf\xe9"], ["a\tb", "a\r\nb", "a\x1bb", "a\x07b"]),
    "LO": (["two words"], ["a\nb", "a\x0cb", "a\x00b"]),
    "UC": (["two words"], ["a\nb"]),
    "PN": (["Doe^J", "A^B^C^D^E=^^^^"], ["Doe\n^J", "Doe^\tJ", "A^B^C^D^E^F", "A=1^2^3^4^5^6"]),
    "ST": (["a\tb\r\n\x0cc"], ["a\x07b", "a\x1bb", "a\x0bb"]),
    "LT": (["a\tb\r\nc"], ["a\x08b"]),
    "UT": (["a\tb\r\nc"], ["a\x01b"]),
}  # fmt: skip


@pytest.mark.parametrize(("vr", "value"), [(vr, each) for vr in FORMS for each in FORMS[vr][0]])
def test_what_a_vr_allows(vr, value):
    assert with_value(vr, value) == []


@pytest.mark.parametrize(("vr", "value"), [(vr, each) for vr in FORMS for each in FORMS[vr][1]])
def test_what_a_vr_does_not_allow(vr, value):
    assert len(with_value(vr, value)) == 1


def test_escape_sequences_of_character_sets_are_no_control_characters():
    data = make_instance(
        SpecificCharacterSet=["ISO 2022 IR 6", "ISO 2022 IR 87"],
        PatientName="Yamada^T=\u5c71\u7530",
    )
    assert b"\x1b$B" in data
    assert sentences(data) == []


def test_uids_are_padded_with_null():
    data = make_instance(SOPClassUID="1.2.3")
    assert b"1.2.3\0" in data
    (found,) = sentences(data.replace(b"1.2.3\0", b"1.2.3 "))
    assert "(0008,0016)" in found
    assert "space" in found


@pytest.mark.parametrize("declared", [None, "", "ISO_IR 6"])
def test_text_beyond_the_default_repertoire_needs_a_character_set(declared):
    names = {"PatientName": "Muller^J", "StudyDescription": "Plain"}
    data = make_instance(SpecificCharacterSet=declared, **names)
    assert sentences(data) == []
    (found,) = sentences(data.replace(b"Muller", b"M\xfcller"))
    assert found.startswith("PatientName (0010,0010) has bytes above 7FH")
    (found,) = sentences(data.replace(b"Plain", b"Pl\xe4in"))
    assert found.startswith("StudyDescription (0008,1030)")


def test_what_cannot_be_shown_does_not_read_as_if_the_file_were_changed():
    (found,) = sentences(make_instance(SliceThickness="1.5000").replace(b"1.5000", b"1,5000"))
    assert found == "(0018,0050) holds what is no decimal number: metadata cannot show it."
