"""Names of tags, the user's dictionary, identifiers."""

import pytest

from dicomweb_server.dicom import STANDARD, TagDictionary, orthanc_ids

from .helpers import parse, test_file


@pytest.mark.parametrize(
    "name",
    ["PatientName", "00100010", "0010,0010", "0010-0010", "(0010,0010)"],
)
def test_spellings_of_a_tag(name):
    assert STANDARD.resolve(name) == "00100010"


def test_resolve():
    assert STANDARD.resolve("7fe0-0010") == STANDARD.resolve("7FE00010") == "7FE00010"
    for unknown in ("", "Nothing", "0010", "0010.0010", "001000100", "0010,00100", "g0100010"):
        assert STANDARD.resolve(unknown) is None


def test_vr_and_keyword():
    assert STANDARD.vr(0x00100010) == STANDARD.vr("00100010") == "PN"
    assert STANDARD.vr("00280106") == "US or SS"
    assert STANDARD.vr("60023000") == "OB or OW"
    assert STANDARD.vr("00091001") == "UN"
    assert STANDARD.vr("00091001", "GEMS_IDEN_01") == "LO"
    assert STANDARD.vr("00090010") == "LO"
    assert STANDARD.vr("00100000") == "UL"
    assert STANDARD.vr("00111111") == STANDARD.vr("00101112") == "UN"
    assert STANDARD.keyword("00100010") == STANDARD.keyword(0x00100010) == "PatientName"
    assert STANDARD.keyword("00091001") == STANDARD.keyword("00101113") == ""


def test_custom_tags():
    mine = TagDictionary(
        {
            "0009,1001": ["DS", "MyNumber", 1, 1, "MINE"],
            "00091002": ["SQ", "MySequence"],
            "4321-0010": ["IS", "MyPublicOne", 1, 0],
        },
        default_private_creator="DEFAULT",
    )
    assert mine.resolve("MyNumber") == "00091001"
    assert mine.keyword("00091001") == "MyNumber"
    # The block is chosen by each file.
    assert mine.vr("00091001", "MINE") == mine.vr("0009EE01", "MINE") == "DS"
    assert mine.vr("00091001", "OTHER") == "UN"
    assert mine.vr("00091002") == mine.vr("00091002", "DEFAULT") == "SQ"
    assert mine.vr("00091002", "MINE") == "UN"
    assert mine.resolve("PatientName") == "00100010"


@pytest.mark.parametrize(
    ("tag", "entry", "words"),
    [
        ("wrong", ["DS", "Name"], "gggg,eeee"),
        ("0009,1001", "DS", "expected a list"),
        ("0009,1001", ["DS"], "expected a list"),
        ("0009,1001", ["XX", "Name"], "possible: AE, AS"),
        ("0009,1001", ["DS", 7], "must be text"),
        ("0009,1001", ["DS", "Name", "one"], "whole numbers"),
        ("0009,1001", ["DS", "Name", 1, 1, 5], "private creator"),
        ("0009,1001", ["DS", "Name", 1, 1, "A", "B"], "private creator"),
    ],
)
def test_bad_entries_are_refused_with_a_sentence(tag, entry, words):
    with pytest.raises(ValueError, match=words) as caught:
        TagDictionary({tag: entry})
    assert tag in str(caught.value)


def test_identifiers():
    assert orthanc_ids("ozp00SjY2xG", "", "", "").patient == (
        "6816cb19-844d5aee-85245eba-28e841e6-2414fae2"
    )
    ids = orthanc_ids("P", "1", "2", "3")
    assert len({*ids}) == 4
    assert all(len(part) == 8 for identifier in ids for part in identifier.split("-"))
    assert orthanc_ids("P \0", "1\0", "2", "3") == ids
    assert orthanc_ids(" P", "1", "2", "3") != ids
    assert orthanc_ids("p", "1", "2", "3") != ids
    assert orthanc_ids("Ä", "1", "2", "3")
    assert orthanc_ids("", "1", "2", "3").patient == "da39a3ee-5e6b4b0d-3255bfef-95601890-afd80709"


def test_identity_of_an_instance():
    instance = parse(test_file("CT_small.dcm"))
    assert instance.patient_id == "1CT1"
    assert instance.study_uid == "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
    assert instance.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"
    assert instance.transfer_syntax == "1.2.840.10008.1.2.1"
    assert instance.reader == "fast"
    assert not instance.deflated


def test_short_tags_of_private_blocks():
    """As the configuration that comes with Orthanc spells one of Philips."""
    mine = TagDictionary({"2001,5f": ["SQ", "StackSequence", 1, 1, "Philips Imaging DD 001"]})
    assert mine.resolve("StackSequence") == "2001105F"
    assert mine.vr("2001125F", "Philips Imaging DD 001") == "SQ"
