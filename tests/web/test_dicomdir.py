"""ZIP archives with a DICOMDIR (PS3.10, 8.6; PS3.3, F): every file is referenced, as what it is."""

import io

import pydicom
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.fileset import FileSet

from dicomweb_server.testing.dicom import EXPLICIT, IMPLICIT, make_instance, read, uids_of
from tests.web.test_archives import unzipped

STORAGE = "1.2.840.10008.5.1.4.1.1."
UIDS = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}
ANY = "application/zip;transfer-syntax=*"
TYPES = {
    "2": "IMAGE",
    "4.2": "SPECTROSCOPY",
    "7": "IMAGE",
    "9.1.1": "WAVEFORM",
    "11.1": "PRESENTATION",
    "11.8": "PRESENTATION",
    "66": "RAW DATA",
    "66.1": "REGISTRATION",
    "66.2": "FIDUCIAL",
    "66.4": "IMAGE",
    "66.5": "SURFACE",
    "66.6": "TRACT",
    "67": "VALUE MAP",
    "68.1": "SURFACE SCAN",
    "77.1.5.3": "STEREOMETRIC",
    "78.1": "MEASUREMENT",
    "79.1": "SR DOCUMENT",
    "88.11": "SR DOCUMENT",
    "88.59": "KEY OBJECT DOC",
    "88.77": "SR DOCUMENT",
    "90.1": "ASSESSMENT",
    "104.1": "ENCAP DOC",
    "104.5": "ENCAP DOC",
    "481.2": "RT DOSE",
    "481.3": "RT STRUCTURE SET",
    "481.4": "RT TREAT RECORD",
    "481.5": "RT PLAN",
    "481.10": "RADIOTHERAPY",
}


def on_media(client, study="1.2", accept=ANY):
    """The DICOMDIR, and the files that it references by their names."""
    found = unzipped(client.get(f"/studies/{study}?dicomdir=true", accept))
    directory = pydicom.dcmread(io.BytesIO(found.pop("DICOMDIR")))
    leaves = {
        "/".join(record.ReferencedFileID): record
        for record in directory.DirectoryRecordSequence
        if record.get("ReferencedFileID")
    }
    assert leaves.keys() == found.keys()
    for name, data in found.items():
        assert data[128:132] == b"DICM"
        file, record = read(data), leaves[name]
        assert record.ReferencedSOPInstanceUIDInFile == file.SOPInstanceUID
        assert record.ReferencedSOPClassUIDInFile == file.SOPClassUID
        assert record.ReferencedTransferSyntaxUIDInFile == file.file_meta.TransferSyntaxUID
    return directory, leaves, found


@pytest.mark.parametrize("number", TYPES)
def test_an_instance_that_lacks_everything_has_its_record(client, number):
    client.stored(make_instance(**UIDS, SOPClassUID=STORAGE + number))
    directory, leaves, _ = on_media(client)
    assert [record.DirectoryRecordType for record in leaves.values()] == [TYPES[number]]
    kinds = [record.DirectoryRecordType for record in directory.DirectoryRecordSequence]
    assert kinds[:3] == ["PATIENT", "STUDY", "SERIES"]


def test_private_sop_classes_have_records_too(client):
    client.stored(*(make_instance(**UIDS, SOPClassUID="1.2.3.999") for _ in range(3)))
    _, leaves, _ = on_media(client)
    assert [record.DirectoryRecordType for record in leaves.values()] == ["PRIVATE"] * 3


def test_an_encapsulated_document_is_one_although_its_bytes_are_elsewhere(client):
    client.stored(
        make_instance(
            **UIDS,
            SOPClassUID=STORAGE + "104.1",
            EncapsulatedDocument=b"%PDF" * 5000,
            MIMETypeOfEncapsulatedDocument="application/pdf",
            DocumentTitle="Letter",
        )
    )
    _, leaves, _ = on_media(client)
    (record,) = leaves.values()
    assert (record.DirectoryRecordType, record.DocumentTitle) == ("ENCAP DOC", "Letter")
    assert record.MIMETypeOfEncapsulatedDocument == "application/pdf"


@pytest.mark.parametrize("name", ["test-SR.dcm", "reportsi.dcm"])
def test_a_report_keeps_its_title(client, name):
    with open(get_testdata_file(name), "rb") as file:
        data = file.read()
    client.stored(data)
    _, leaves, _ = on_media(client, uids_of(data)[0])
    (record,) = leaves.values()
    assert record.DirectoryRecordType == "SR DOCUMENT"
    title = read(data).ConceptNameCodeSequence[0]
    assert record.ConceptNameCodeSequence[0].CodeMeaning == title.CodeMeaning
    modifiers = [each.RelationshipType for each in record.get("ContentSequence", ())]
    assert set(modifiers) <= {"HAS CONCEPT MOD"}


def test_a_presentation_state_names_its_images(client):
    image, series = Dataset(), Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = STORAGE + "2", "1.2.3.4"
    series.SeriesInstanceUID, series.ReferencedImageSequence = "1.2.3", [image]
    data = make_instance(**UIDS, SOPClassUID=STORAGE + "11.1", ReferencedSeriesSequence=[series])
    client.stored(data)
    _, leaves, _ = on_media(client)
    (record,) = leaves.values()
    (found,) = record.ReferencedSeriesSequence
    assert found.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"


@pytest.mark.parametrize(
    ("charset", "name", "kept"),
    [
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ", "ISO_IR 13"),
        ("ISO_IR 144", "Люкceмбypг", "ISO_IR 144"),
        ("ISO_IR 100", "Müller^Jörg", "ISO_IR 100"),
        ("GB18030", "王^小东", "GB18030"),
        (["", "ISO 2022 IR 87"], "Yamada=山田", ["", "ISO 2022 IR 87"]),
    ],
)
def test_records_are_in_the_character_set_of_their_instance(client, charset, name, kept):
    client.stored(make_instance(**UIDS, SpecificCharacterSet=charset, PatientName=name))
    directory, _, _ = on_media(client)
    for record in directory.DirectoryRecordSequence:
        found = record.SpecificCharacterSet
        assert (found if isinstance(found, str) else list(found)) == kept
    assert directory.DirectoryRecordSequence[0].PatientName == name


def test_a_character_set_that_does_not_hold_its_text_gives_way(client):
    data = make_instance(**UIDS, SpecificCharacterSet="ISO_IR 100", PatientName="Doe^XXXX")
    kanji = "山田".encode("shift_jis")
    data = data.replace(b"ISO_IR 100", b"ISO_IR 13 ").replace(b"XXXX", kanji)
    client.stored(data)
    directory, _, _ = on_media(client)
    first = directory.DirectoryRecordSequence[0]
    assert (first.SpecificCharacterSet, first.PatientName) == ("ISO_IR 192", "Doe^山田")


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("cut", [128, 132])
def test_a_file_without_preamble_gets_one(client, syntax, cut):
    data = make_instance(**UIDS, transfer_syntax=syntax, PatientComments="kept")
    client.stored(data[cut:])
    _, _, found = on_media(client)
    (file,) = (read(each) for each in found.values())
    assert file.PatientComments == "kept"
    assert file.file_meta.TransferSyntaxUID == syntax


@pytest.mark.parametrize("cut", [128, 132])
def test_a_compressed_file_without_preamble_gets_one(client, cut):
    with open(get_testdata_file("MR_small_RLE.dcm"), "rb") as file:
        data = file.read()
    client.stored(data[cut:])
    _, _, found = on_media(client, uids_of(data)[0])
    (file,) = found.values()
    assert file[128:] == data[128:]


def test_records_name_the_transfer_syntax_that_the_files_have(client):
    client.stored(make_instance(**UIDS, transfer_syntax=IMPLICIT))
    _, leaves, _ = on_media(client, accept="application/zip")
    (record,) = leaves.values()
    assert record.ReferencedTransferSyntaxUIDInFile == EXPLICIT


def test_pydicom_reads_it_as_a_file_set(client, tmp_path):
    client.stored(*(make_instance(**UIDS, SOPClassUID=STORAGE + each) for each in TYPES))
    for name, data in unzipped(client.get("/studies/1.2?dicomdir=true", ANY)).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    files = FileSet(tmp_path / "DICOMDIR")
    assert len(files) == len(TYPES)
    assert {each.load().SOPClassUID for each in files} == {STORAGE + each for each in TYPES}
