"""Ingest filters: what each decision does to the answer and the archive; and `coerce`."""

import json

import pytest

from dicomweb_server import hookimpl
from dicomweb_server.config import ConfigError
from dicomweb_server.interfaces.ingest import Discard, IngestFilter, Keep, Reject, Replace
from dicomweb_server.testing.apps import temporary_app
from dicomweb_server.testing.contracts import IngestFilterContract
from dicomweb_server.testing.dicom import make_instance, make_study, multipart_body, read, uids_of
from tests.conftest import Client
from tests.web.test_store import failures, sops, stored_uids

COERCION, DISCARDED = 0xB000, 0xB006
COERCE = {
    "IngestFilters": ["coerce"],
    "Coerce": {
        "Set": {"InstitutionName": "Ward 7", "OperatorsName": ["A^B", "C"], "SeriesNumber": 5},
        "Remove": ["PatientBirthDate", "0010,2180"],
        "Source": "elsewhere",
    },
}


class _Decides(IngestFilter):
    """Decides as the test says."""

    name = "decides"
    decision = None
    seen: list = []  # noqa: RUF012

    def decide(self, incoming):
        self.seen.append(incoming)
        return self.decision(incoming)


def plugin(decide, name="decides"):
    made = type("Made", (_Decides,), {"name": name, "decision": staticmethod(decide), "seen": []})

    class Plugin:
        filter = made

        @hookimpl
        def register_ingest_filters(self):
            return [made]

    return Plugin()


@pytest.fixture
def with_filters(tmp_path):
    """Makes a client of a server with these filters, in order."""
    opened = []

    def make(*decisions, names=None, **config):
        names = names or [f"f{n}" for n in range(len(decisions))]
        extensions = [
            (f"site-{name}", plugin(each, name))
            for name, each in zip(names, decisions, strict=True)
        ]
        app = temporary_app(tmp_path, {"IngestFilters": names} | config, extensions=extensions)
        opened.append(app)
        client = Client(app.__enter__().test_client())
        client.filters = [each.filter for _, each in extensions]
        return client

    yield make
    for app in opened:
        app.__exit__(None, None, None)


def warnings(document):
    return [
        (item["00081155"]["Value"][0], item["00081196"]["Value"][0])
        for item in document["00081199"].get("Value", [])
        if "00081196" in item
    ]


def test_what_is_kept_is_stored_as_it_is(with_filters):
    client = with_filters(lambda incoming: Keep())
    data = make_instance(pixels=bytes(100))
    client.stored(data)
    assert client.original(data).data == data
    (incoming,) = client.filters[0].seen
    assert incoming.size == len(data)
    assert incoming.instance.sop_uid == uids_of(data)[2]


def test_what_is_replaced_is_stored_instead_and_told(with_filters):
    other = make_instance(PatientID="new")
    client = with_filters(lambda incoming: Replace([other[:100], other[100:]]))
    answer = client.store(make_instance())
    assert answer.status_code == 202
    assert warnings(answer.json) == [(uids_of(other)[2], COERCION)]
    assert "f0 of the extension site-f0" in answer.headers["Warning"]
    assert client.original(other).data == other
    assert len(client.found()) == 1


def test_filters_see_what_the_one_before_made(with_filters):
    other = make_instance(PatientID="new")
    seen = []

    def look(incoming):
        with incoming.open() as file:
            seen.append((incoming.instance.patient_id, file.read()))
        return Keep()

    client = with_filters(lambda incoming: Replace([other]), look)
    assert client.store(make_instance()).status_code == 202
    assert seen == [("new", other)]


def test_what_is_rejected_is_not_stored(with_filters):
    def decide(incoming):
        if incoming.instance.patient_id == "bad":
            return Reject("patients named bad are not for us", 0x0124)
        return Keep()

    client = with_filters(decide)
    good, bad = make_instance(), make_instance(PatientID="bad")
    answer = client.store(good, bad)
    assert answer.status_code == 202
    assert stored_uids(answer.json) == sops(good)
    assert failures(answer.json) == [(uids_of(bad)[2], 0x0124)]
    assert "not for us" in answer.headers["Warning"]
    assert client.original(bad).status_code == 404


def test_what_is_discarded_is_taken_and_told(with_filters):
    client = with_filters(lambda incoming: Discard("of no use here"))
    data = make_instance()
    answer = client.store(data)
    assert answer.status_code == 202
    assert warnings(answer.json) == [(uids_of(data)[2], DISCARDED)]
    (item,) = answer.json["00081199"]["Value"]
    assert "00081190" not in item
    assert "00081190" not in answer.json
    assert failures(answer.json) == []
    assert "of no use here" in answer.headers["Warning"]
    assert client.found() == []


def broken(incoming):
    if incoming.instance.patient_id == "bad":
        raise RuntimeError("no luck")
    return Keep()


def broken_later(incoming):
    def chunks():
        yield make_instance()[:200]
        raise RuntimeError("no luck")

    return Replace(chunks()) if incoming.instance.patient_id == "bad" else Keep()


@pytest.mark.parametrize(
    ("decide", "words"),
    [
        (broken, "no luck"),
        (broken_later, "no luck"),
        (lambda i: 5 if i.instance.patient_id == "bad" else Keep(), "no decision"),
        (lambda i: Replace([b"x" * 500]) if i.instance.patient_id == "bad" else Keep(), "DICOM"),
    ],
)
def test_a_filter_that_fails_fails_one_instance(with_filters, decide, words, tmp_path):
    client = with_filters(decide)
    good, bad = make_instance(), make_instance(PatientID="bad", pixels=bytes(5000))
    answer = client.store(bad, good)
    assert answer.status_code == 202
    assert stored_uids(answer.json) == sops(good)
    assert failures(answer.json) == [(uids_of(bad)[2], 0x0110)]
    assert "site-f0" in answer.headers["Warning"]
    assert words in answer.headers["Warning"]
    left = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not [path for path in left if bad[200:300] in path.read_bytes()]


def test_a_filter_cannot_leave_the_study_of_the_url(with_filters):
    other = make_instance()
    client = with_filters(lambda incoming: Replace([other]))
    data = make_instance()
    answer = client.store(data, path=f"/studies/{uids_of(data)[0]}")
    assert answer.status_code == 409
    assert client.found() == []


def test_nobody_is_asked_who_is_not_configured(tmp_path):
    made = plugin(broken)
    with temporary_app(tmp_path, {}, extensions=[("site", made)]) as app:
        assert Client(app.test_client()).store(make_instance(PatientID="bad")).status_code == 200
    assert made.filter.seen == []


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"IngestFilters": ["missing"]}, "coerce"),
        ({"IngestFilters": ["coerce", "coerce"]}, "twice"),
        ({"Coerce": {"Sett": {}}}, "Sett"),
        ({"Coerce": {"Set": {"InstitutionNam": "x"}}}, "did you mean InstitutionName"),
        ({"Coerce": {"Set": {"Rows": "two"}}}, "Rows"),
        ({"Coerce": {"Set": {"PixelData": "x"}}}, "PixelData"),
        ({"Coerce": {"Set": {"OriginalAttributesSequence": []}}}, "cannot be changed"),
        ({"Coerce": {"Set": {"PatientID": "x"}, "Remove": ["PatientID"]}}, "PatientID"),
        ({"Coerce": {"Remove": "PatientID"}}, "list"),
        ({"Coerce": {"Reason": "WHIM"}}, "CORRECT"),
    ],
)
def test_what_is_wrong_stops_the_start(tmp_path, config, words):
    with (
        pytest.raises(ConfigError, match=words),
        temporary_app(tmp_path, {"IngestFilters": ["coerce"]} | config),
    ):
        pass


@pytest.mark.dicomweb_config(COERCE)
class TestCoerceContract(IngestFilterContract):
    @pytest.fixture
    def ingest_filter(self, dicomweb_context):
        (made,) = dicomweb_context.providers.ingest_filters.values()
        return made


@pytest.mark.dicomweb_config(COERCE)
def test_coerce_changes_what_arrives_and_records_it(client):
    files = make_study(series=1, instances=3, InstitutionName="old", PatientBirthDate="19700101")
    answer = client.store(*files)
    assert answer.status_code == 202
    assert warnings(answer.json) == [(uid, COERCION) for uid in sops(*files)]
    assert "(0008,0080)" in answer.headers["Warning"]
    for data in files:
        made = read(client.original(data).data)
        assert made.InstitutionName == "Ward 7"
        assert made.OperatorsName == ["A^B", "C"]
        assert made.SeriesNumber == 5
        assert "PatientBirthDate" not in made
        (item,) = made.OriginalAttributesSequence
        (was,) = item.ModifiedAttributesSequence
        assert was.InstitutionName == "old"
        assert was.PatientBirthDate == "19700101"
        assert item.SourceOfPreviousValues == "elsewhere"
        assert item.ModifyingSystem
        assert item.ReasonForTheAttributeModification == "COERCE"
    assert client.found("/series", SeriesNumber="5")


@pytest.mark.dicomweb_config(COERCE)
def test_what_needs_no_change_is_kept(client):
    data = make_instance(InstitutionName="Ward 7", OperatorsName=["A^B", "C"], SeriesNumber=5)
    client.stored(data)
    assert client.original(data).data == data


@pytest.mark.dicomweb_config(COERCE)
def test_metadata_pass_the_filters_too(client):
    data = make_instance()
    body = json.dumps([json.loads(read(data).to_json())]).encode()
    answer = client.post(
        b"--b\r\nContent-Type: application/dicom+json\r\n\r\n" + body + b"\r\n--b--",
        'multipart/related; type="application/dicom+json"; boundary=b',
    )
    assert warnings(answer.json) == [(uids_of(data)[2], COERCION)]
    assert read(client.original(data).data).InstitutionName == "Ward 7"


def test_a_value_that_the_character_set_does_not_have(tmp_path):
    config = {"IngestFilters": ["coerce"], "Coerce": {"Set": {"InstitutionName": "山"}}}
    with temporary_app(tmp_path, config) as app:
        client = Client(app.test_client())
        bad, good = make_instance(SpecificCharacterSet="ISO_IR 100"), make_instance()
        answer = client.post(*multipart_body([bad, good]))
        assert stored_uids(answer.json) == sops(good)
        assert failures(answer.json) == [(uids_of(bad)[2], 0x0110)]
        assert "filter-coerce" in answer.headers["Warning"]


@pytest.mark.dicomweb_config(COERCE)
def test_what_is_in_use_is_told(client):
    assert client.flask.get("/extensions").json["in use"]["ingest filters"] == ["coerce"]
