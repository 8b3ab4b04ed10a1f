"""Files with changed attributes: what is recorded, and that all other bytes stay."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicomweb_server.dicom import DicomError, Modification, edit_file
from dicomweb_server.testing.dicom import (
    DEFLATED,
    EXPLICIT,
    UNCOMPRESSED,
    make_dataset,
    make_instance,
    new_uid,
    read,
    write_dataset,
)
from dicomweb_server.testing.instances import parse

WHY = Modification("archive", "COERCE", datetime(2026, 1, 2, 3, 4, 5, 6, UTC), "ward")


def lo(text):
    return {"vr": "LO", "Value": [text]}


def edited(data, changes, why=WHY):
    def read_range(offset, length):
        return data[offset : offset + length]

    return b"".join(edit_file(read_range, len(data), parse(data), changes, why))


@pytest.mark.parametrize("syntax", UNCOMPRESSED)
@pytest.mark.parametrize("pixels", [None, bytes(range(200))])
def test_a_change_is_made_and_recorded(syntax, pixels):
    if pixels and syntax not in (EXPLICIT, "1.2.840.10008.1.2", DEFLATED):
        pixels = None
    data = make_instance(
        transfer_syntax=syntax, pixels=pixels, InstitutionName="old", PatientBirthDate="19700101"
    )
    made = edited(
        data, {"00080080": lo("new"), "00100030": None, "00081040": lo("added"), "00102110": None}
    )
    before, after = read(data), read(made)
    assert after.InstitutionName == "new"
    assert after.InstitutionalDepartmentName == "added"
    assert "PatientBirthDate" not in after
    (item,) = after.OriginalAttributesSequence
    (was,) = item.ModifiedAttributesSequence
    assert (was.InstitutionName, was.PatientBirthDate, len(was)) == ("old", "19700101", 2)
    assert item.AttributeModificationDateTime == "20260102030405.000006+0000"
    assert item.ModifyingSystem == "archive"
    assert item.SourceOfPreviousValues == "ward"
    assert item.ReasonForTheAttributeModification == "COERCE"
    for keyword in ("InstitutionName", "InstitutionalDepartmentName", "PatientBirthDate"):
        for data_set in (before, after):
            data_set.pop(keyword, None)
    del after.OriginalAttributesSequence
    assert after == before
    parse(made)


def test_a_change_of_an_identifier_is_in_the_file_meta_too():
    uid = new_uid()
    made = read(edited(make_instance(), {"00080018": {"vr": "UI", "Value": [uid]}}))
    assert made.SOPInstanceUID == made.file_meta.MediaStorageSOPInstanceUID == uid


@pytest.mark.parametrize("undefined", [False, True])
def test_earlier_records_stay(undefined):
    data_set = make_dataset()
    first = Dataset()
    first.ModifyingSystem = "other"
    data_set.OriginalAttributesSequence = Sequence([first])
    data_set["OriginalAttributesSequence"].is_undefined_length = undefined
    for syntax in UNCOMPRESSED:
        made = read(edited(write_dataset(data_set, syntax), {"00080080": lo("x")}))
        assert [item.ModifyingSystem for item in made.OriginalAttributesSequence] == [
            *("other", "archive"),
        ]


def test_private_attributes_are_recorded_with_their_creator():
    data_set = make_dataset()
    data_set.add_new(0x00090010, "LO", "ACME")
    data_set.add_new(0x00091001, "LO", "secret")
    made = read(edited(write_dataset(data_set), {"00091001": None}))
    assert 0x00091001 not in made
    assert made[0x00090010].value == "ACME"
    (was,) = made.OriginalAttributesSequence[0].ModifiedAttributesSequence
    assert was[0x00090010].value == "ACME"
    assert was[0x00091001].value == "secret"


def test_text_is_written_in_the_character_set_of_the_file():
    data = make_instance(SpecificCharacterSet="ISO_IR 100", PatientName="Müller")
    made = read(edited(data, {"00080080": lo("Öl")}))
    assert made.InstitutionName == "Öl"
    assert made.PatientName == "Müller"
    with pytest.raises(DicomError, match="character set"):
        edited(data, {"00080080": lo("山")})


@pytest.mark.parametrize("tag", ["7FE00010", "00020010", "00080005", "04000561"])
def test_what_cannot_be_changed(tag):
    with pytest.raises(DicomError, match="cannot be changed"):
        edited(make_instance(), {tag: None})


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm", "JPEG2000.dcm", "rtplan.dcm", "examples_ybr_color.dcm", "image_dfl.dcm",
        "reportsi.dcm", "ExplVR_BigEnd.dcm", "waveform_ecg.dcm", "SC_rgb_rle_2frame.dcm",
        "nested_priv_SQ.dcm", "liver_1frame.dcm", "rtdose.dcm",
    ],
)  # fmt: skip
def test_real_files_keep_everything_else(name):
    with open(get_testdata_file(name), "rb") as file:
        data = file.read()
    before, after = parse(data), parse(edited(data, {"00080080": lo("new")}))
    changed = ("00080080", "04000561")
    assert after.transfer_syntax == before.transfer_syntax
    assert {k: v for k, v in after.attributes.items() if k not in changed} == {
        k: v for k, v in before.attributes.items() if k not in changed
    }
    if not before.deflated and before.pixel_data is not None:
        assert after.size - after.pixel_data.offset == before.size - before.pixel_data.offset


def test_memory_does_not_grow_with_the_bulk_data(tmp_path):
    import tracemalloc

    size = 48 << 20
    data = make_dataset()
    data.EncapsulatedDocument = b"\0" * size
    path = tmp_path / "large.dcm"
    path.write_bytes(write_dataset(data))
    del data
    instance = parse(path.read_bytes())
    with path.open("rb") as file:

        def read_range(offset, length):
            file.seek(offset)
            return file.read(length)

        tracemalloc.start()
        total = sum(
            len(piece)
            for piece in edit_file(
                *(read_range, path.stat().st_size, instance, {"00080080": lo("x")}, WHY)
            )
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert total > size
    assert peak < 8 << 20


def test_the_file_may_be_read_from_anything():
    data = make_instance(pixels=bytes(100))
    view = io.BytesIO(data)

    def read_range(offset, length):
        view.seek(offset)
        return view.read(length)

    assert b"".join(
        edit_file(read_range, len(data), parse(data), {"00080080": lo("x")}, WHY)
    ) == edited(data, {"00080080": lo("x")})


@pytest.mark.parametrize("name", ["SC_rgb_jpeg.dcm", "SC_rgb_jpeg_gdcm.dcm", "CT_small.dcm"])
def test_a_data_set_in_another_encoding_than_its_syntax_says_can_be_changed(name):
    """SC_rgb_jpeg.dcm is in implicit VR under a transfer syntax of explicit VR."""
    data = Path(get_testdata_file(name)).read_bytes()
    before, after = read(data), read(edited(data, {"00080080": lo("new")}))
    assert after.InstitutionName == "new"
    for data_set in (before, after):
        for keyword in ("InstitutionName", "OriginalAttributesSequence"):
            data_set.pop(keyword, None)
    assert after == before
