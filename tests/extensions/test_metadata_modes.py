"""`MainDicomTags` and `Extrapolate`: their contracts, what they answer, and what stops the start."""

import json

import pytest
from pydicom import Dataset

from dicomweb_server.config import ConfigError
from dicomweb_server.dicom import orthanc_ids
from dicomweb_server.ps318.attributes import MAIN
from dicomweb_server.testing.apps import temporary_app
from dicomweb_server.testing.contracts import MetadataModeContract
from dicomweb_server.testing.dicom import (
    make_instance,
    make_study,
    path_of,
    read,
    uids_of,
    write_dataset,
)

MAIN_TAGS = {"DicomWeb": {"StudiesMetadata": "MainDicomTags", "SeriesMetadata": "MainDicomTags"}}
EXTRAPOLATE = {"StudiesMetadata": "Extrapolate", "SeriesMetadata": "Extrapolate"}


@pytest.mark.dicomweb_config(MAIN_TAGS)
class TestMainDicomTagsContract(MetadataModeContract):
    @pytest.fixture
    def mode(self, dicomweb_context):
        return dicomweb_context.providers.metadata_modes["MainDicomTags"]


@pytest.mark.dicomweb_config({"DicomWeb": EXTRAPOLATE})
class TestExtrapolateContract(MetadataModeContract):
    @pytest.fixture
    def mode(self, dicomweb_context):
        return dicomweb_context.providers.metadata_modes["Extrapolate"]


def metadata(client, resource):
    answer = client.get(f"/{resource}/metadata")
    assert answer.status_code == 200
    return json.loads(answer.data)


def study_of(data):
    return path_of(data).split("/series")[0]


@pytest.mark.dicomweb_config(MAIN_TAGS)
def test_main_tags_of_all_levels_and_nothing_else(client):
    data = make_instance(
        PatientName="Müller^Jörg",
        StudyDescription="Knee",
        KVP="120",
        ImagePositionPatient=["1", "2", "3"],
        AccessionNumber="",
        SpecificCharacterSet="ISO_IR 100",
        pixels=bytes(8),
    )
    client.stored(data)
    (found,) = metadata(client, study_of(data))
    known = {tag for tags in MAIN.values() for tag in tags} | {"00080005"}
    assert found.keys() <= known
    assert found["00080005"]["Value"] == ["ISO_IR 192"]
    assert found["00100010"]["Value"] == [{"Alphabetic": "Müller^Jörg"}]
    assert found["00081030"]["Value"] == ["Knee"]
    assert found["00200032"]["Value"] == ["1", "2", "3"]
    assert found["00080050"] == {"vr": "SH"}
    (whole,) = metadata(client, path_of(data))
    assert whole["00180060"]["Value"] == ["120"]
    assert "7FE00010" in whole


@pytest.mark.dicomweb_config(
    MAIN_TAGS
    | {
        "ExtraMainDicomTags": {
            "Instance": ["Rows", "0018,0060"],
            "Series": ["ProcedureCodeSequence"],
        },
    }
)
def test_extra_main_tags_are_main_tags(client):
    item = Dataset()
    item.CodeValue = "X"
    data = make_instance(Rows=7, KVP="120", ProcedureCodeSequence=[item])
    client.stored(data)
    (found,) = metadata(client, study_of(data))
    assert found["00280010"]["Value"] == [7]
    assert found["00180060"]["Value"] == ["120"]
    assert found["00081032"]["Value"][0]["00080100"]["Value"] == ["X"]


def private(data, value, creator="ACME", block=0x10):
    """The file with a private element, whose block somebody reserved."""
    read_again = read(data)
    read_again.add_new((0x0009, block), "LO", creator)
    read_again.add_new((0x0009, block << 8 | 1), "LO", value)
    return write_dataset(read_again)


PRIVATE = {"Dictionary": {"0009,1001": ["LO", "WardOfAcme", 1, 1, "ACME"]}}


def of_block(attributes):
    """(creator, value) of a private element; None for what is not there."""
    found = [attributes.get(tag, {}).get("Value", [None]) for tag in ("00090010", "00091001")]
    return tuple(values[0] for values in found)


@pytest.mark.dicomweb_config(
    MAIN_TAGS | PRIVATE | {"ExtraMainDicomTags": {"Instance": ["0009,1001"]}}
)
def test_a_private_attribute_comes_with_its_creator(client):
    data = private(make_instance(), "W1")
    client.stored(data)
    for path in (study_of(data), path_of(data).split("/instances")[0]):
        (found,) = metadata(client, path)
        assert of_block(found) == ("ACME", "W1")
    answer = client.get(f"/{path_of(data)}/metadata?includefield=00091001")
    assert of_block(json.loads(answer.data)[0]) == ("ACME", "W1")


@pytest.mark.dicomweb_config(
    PRIVATE | {"DicomWeb": EXTRAPOLATE | {"SeriesMetadataExtrapolatedTags": ["0009,1001"]}}
)
@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ([("ACME", "W1"), ("ACME", "W1"), ("ACME", "W2"), None], [("ACME", "W1")] * 4),
        (
            [("ACME", "W1"), ("ACME", "W1"), ("OTHER", "x"), ("OTHER", "y")],
            [("ACME", "W1"), ("ACME", "W1"), (None, None), (None, None)],
        ),
        ([("ACME", "W1"), ("OTHER", "W1"), ("THIRD", "W1")], [(None, None)] * 3),
    ],
)
def test_an_extrapolated_private_attribute_is_of_one_creator(client, blocks, expected):
    files = series_by_orthanc_id(PatientName=["Doe"] * len(blocks))
    marked = [
        data if block is None else private(data, block[1], block[0])
        for data, block in zip(files, blocks, strict=True)
    ]
    found = {each["00080018"]["Value"][0]: each for each in extrapolated(client, marked)}
    assert [of_block(found[uids_of(data)[2]]) for data in marked] == expected


def series_by_orthanc_id(**values):
    """One series whose instances, in the order of their Orthanc identifiers, have the values."""
    count = len(next(iter(values.values())))
    plain = make_study(series=1, instances=count, PatientID="P")
    study, series, _ = uids_of(plain[0])
    uids = sorted(
        (uids_of(data)[2] for data in plain),
        key=lambda uid: orthanc_ids("P", study, series, uid).instance,
    )
    return [
        make_instance(
            PatientID="P",
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            SOPInstanceUID=uid,
            **{
                name: column[number]
                for name, column in values.items()
                if column[number] is not None
            },
        )
        for number, uid in enumerate(uids)
    ]


def extrapolated(client, files):
    client.stored(*files)
    return metadata(client, study_of(files[0]))


SERIES_TAGS = {"SeriesMetadataExtrapolatedTags": ["KVP", "00280030", "BitsStored"]}


@pytest.mark.dicomweb_config({"DicomWeb": EXTRAPOLATE | SERIES_TAGS})
def test_what_the_majority_of_three_has_is_reported_for_all(client):
    files = series_by_orthanc_id(
        KVP=["100", "120", "120", "80", "80"],
        PixelSpacing=[["1", "1"], ["2", "2"], ["3", "3"], ["3", "3"], ["3", "3"]],
        BitsStored=[None, None, 12, 12, 12],
    )
    found = extrapolated(client, files)
    assert len(found) == 5
    assert all(each["00180060"]["Value"] == ["120"] for each in found)
    assert not any("00280030" in each for each in found)
    assert not any("00280101" in each for each in found)


@pytest.mark.dicomweb_config(
    {"DicomWeb": EXTRAPOLATE | SERIES_TAGS | {"MetadataExtrapolation": "MostFrequent"}}
)
def test_the_most_frequent_value_if_that_is_wanted(client):
    files = series_by_orthanc_id(
        KVP=["130", "120", None, "80"],
        PixelSpacing=[["1", "1"], ["2", "2"], ["2", "2"], ["1", "1"]],
        BitsStored=[None, None, None, 12],
    )
    found = extrapolated(client, files)
    assert all(each["00180060"]["Value"] == ["120"] for each in found)
    assert all(each["00280030"]["Value"] == ["2", "2"] for each in found)
    assert not any("00280101" in each for each in found)


@pytest.mark.dicomweb_config(
    {
        "DicomWeb": EXTRAPOLATE
        | {"StudiesMetadataExtrapolatedTags": ["Modality", "InstanceNumber", "PatientAge"]}
    }
)
def test_the_instance_comes_before_the_series_and_the_series_before_the_study(client):
    files = make_study(series=1, instances=3, PatientID="P", Modality="CT", PatientAge="030Y")
    found = extrapolated(client, files)
    assert sorted(each["00200013"]["Value"][0] for each in found) == [1, 2, 3]
    assert all(each["00080060"]["Value"] == ["CT"] for each in found)
    assert all(each["00101010"]["Value"] == ["030Y"] for each in found)


@pytest.mark.parametrize(
    "config",
    [
        {"DicomWeb": EXTRAPOLATE | {"SeriesMetadataExtrapolatedTags": ["Nonsense"]}},
        {"ExtraMainDicomTags": {"Series": ["Nonsense"]}},
        {"ExtraMainDicomTags": {"Nonsense": ["KVP"]}},
        {"ExtraMainDicomTags": ["KVP"]},
        {"DicomWeb": {"StudiesMetadata": "Nonsense"}},
    ],
)
def test_what_is_unknown_stops_the_start(tmp_path, config):
    with (
        pytest.raises(ConfigError, match=r"Nonsense|must look like"),
        temporary_app(tmp_path, config),
    ):
        pass


@pytest.mark.parametrize(
    "query", ["includefield=KVP,00280010", "includefield=KVP&includefield=Rows"]
)
@pytest.mark.parametrize("level", ["study", "instance"])
def test_metadata_restricted_to_some_attributes(client, query, level):
    data = make_instance(Rows=7, KVP="120", StudyDescription="Knee")
    client.stored(data)
    resource = path_of(data) if level == "instance" else study_of(data)
    whole = client.get(f"/{resource}/metadata")
    some = client.get(f"/{resource}/metadata?{query}")
    (found,) = some.json
    assert found.keys() == {"0020000D", "0020000E", "00080016", "00080018", "00180060", "00280010"}
    assert found.items() <= whole.json[0].items()
    assert some.headers["ETag"] != whole.headers["ETag"]
    assert client.get(f"/{resource}/metadata?includefield=all").data == whole.data
