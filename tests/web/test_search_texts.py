"""QIDO-RS: answers with more than the default attributes are the same texts, whatever is in them."""

import json

import pytest
from pydicom import Dataset

from dicomweb_server.testing.dicom import make_instance

STRANGE = (
    *("},", '"},"', '],"vr":', '"vr":"SQ"},"', '"Value":[{"', "}]},", "\\", '\\"', "},{", "[", "]"),
    *('00081030":{"vr":"LO"}', ",]", "é}", '":[', "},]", "plain"),
)


def request(text, *inner):
    """An item of RequestAttributesSequence with strings that look like JSON, maybe with items."""
    item = Dataset()
    item.RequestedProcedureDescription = item.ScheduledProcedureStepDescription = text
    item.ScheduledProcedureStepID = "STEP"
    if inner:
        item.ScheduledProtocolCodeSequence = list(inner)
    return item


@pytest.fixture
def archive(client):
    """A study for each strange text, with two series: one with items, one with items of items."""
    for number, text in enumerate(STRANGE):
        study = {"StudyInstanceUID": f"1.{number}", "PatientID": str(number), "PatientName": text}
        texts = {"StudyDescription": text, "SeriesDescription": text, "BodyPartExamined": text}
        for of_series, items in enumerate(
            ([request(text)], [request(text, request(text), Dataset()), Dataset(), request("},")])
        ):
            uid = {"SeriesInstanceUID": f"1.{number}.{of_series}"}
            file = make_instance(**study, **texts, **uid, RequestAttributesSequence=items)
            assert client.store(file).status_code in (200, 202)
    return client


def texts_of(client, path):
    """The matches; each must be in its text once, with ascending keys."""
    body = client.get(path).data.decode()
    found = json.loads(body)
    written = json.dumps(found, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert body == written
    return found


@pytest.mark.parametrize("level", ["/series", "/instances"])
def test_what_is_told_of_the_levels_above_changes_nothing_else(archive, level):
    """Within a series nothing is told of them, so these are the texts without it."""
    for number in range(len(STRANGE)):
        for of_series in (0, 1):
            (found,) = texts_of(archive, f"{level}?SeriesInstanceUID=1.{number}.{of_series}")
            path = f"/studies/1.{number}/series"
            if level == "/series":
                (alone,) = texts_of(archive, f"{path}?SeriesInstanceUID=1.{number}.{of_series}")
            else:
                (alone,) = texts_of(archive, f"{path}/1.{number}.{of_series}/instances")
            told = {tag: found[tag] for tag in found.keys() - alone.keys()}
            assert found == alone | told
            assert {tag: value["Value"] for tag, value in told.items()}.items() >= {
                "00080061": ["OT"],
                "00201206": [2],
                "00201208": [2],
            }.items()


@pytest.mark.parametrize(
    ("level", "fields"),
    [
        ("/studies", "StudyDescription,SOPClassesInStudy"),
        ("/series", "StudyDescription,BodyPartExamined"),
        ("/instances", "StudyDescription,BodyPartExamined,SeriesDescription"),
    ],
)
def test_the_fields_have_the_values_of_the_metadata(archive, level, fields):
    for number in range(len(STRANGE)):
        (metadata, *_) = archive.get(f"/studies/1.{number}/metadata").json
        for include in (fields, "all"):
            path = f"{level}?StudyInstanceUID=1.{number}&includefield={include}"
            for found in texts_of(archive, path):
                for tag in ("00081030", *(("00180015",) if level != "/studies" else ())):
                    assert found[tag] == metadata[tag]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("strange", STRANGE)
def test_a_string_and_the_items_of_a_sequence_do_not_make_up_for_each_other(client, strange, count):
    """What looks like the end of an attribute, as often as there are items."""
    texts = ("SeriesDescription", "AccessionNumber", "StudyID")[:count]
    items = [request("plain") for _ in range(count)]
    data = dict.fromkeys(texts, strange) | {"RequestAttributesSequence": items}
    assert client.store(make_instance(**data, KVP="120")).status_code in (200, 202)
    (metadata,) = client.found("/instances", includefield="all")
    for level in ("/series", "/instances"):
        (found,) = texts_of(client, level)
        kept = found.keys() & metadata.keys() - {"00080005", "00081190"}
        assert {tag: found[tag] for tag in kept} == {tag: metadata[tag] for tag in kept}
        assert {"0008103E", "00400275", "00201206"} <= found.keys()
