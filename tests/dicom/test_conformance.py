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
