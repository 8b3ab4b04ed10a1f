"""`ExtraMainDicomTags` in the index: searched without reading headers, filled by `reindex`."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from dicomweb_index_sql.schema import extra_values
from pydicom import Dataset
from sqlalchemy import func, select

from dicomweb_server.cli.main import cli
from dicomweb_server.testing.apps import context_of, temporary_app
from dicomweb_server.testing.dicom import make_dataset, make_instance, path_of, uids_of
from dicomweb_server.testing.dicom import write_dataset as written
from tests.conftest import Client, values

DICTIONARY = {
    "Dictionary": {
        "0009,1001": ["LO", "WardOfAcme", 1, 1, "ACME"],
        "0009,1002": ["DS", "DoseOfAcme", 1, 1, "ACME"],
    }
}
EXTRA = DICTIONARY | {
    "ExtraMainDicomTags": {
        "Patient": ["EthnicGroup"],
        "Study": ["CurrentPatientLocation", "NameOfPhysiciansReadingStudy"],
        "Series": ["KVP", "RequestAttributesSequence", "ScanOptions"],
        "Instance": [
            *("SliceThickness", "AcquisitionDateTime", "ContentDate", "IrradiationEventUID"),
            *(
                "ImageComments",
                "0009,1001",
                "0009,1002",
                "0009,1003",
                "0009,1004",
                "WindowCenter",
                "RecommendedDisplayFrameRateInFloat",
            ),
        ],
    },
}
NO_SCAN = {"SearchScanLimit": 1}  # with more instances than that, reading headers fails


def requested(*steps):
    """Items of RequestAttributesSequence, one for each step."""
    items = []
    for step in steps:
        item = Dataset()
        item.ScheduledProcedureStepID = step
        code = Dataset()
        code.CodeValue = f"C{step}"
        item.ScheduledProtocolCodeSequence = [code]
        items.append(item)
    return items


def kept_by_acme(ward, block, creator):
    """An item of a private sequence, with a private element in another block."""
    item = Dataset()
    item.CodeValue = f"C{ward}"
    item.add_new((0x0009, block + 1), "LO", creator)
    item.add_new((0x0009, (block + 1) << 8 | 1), "LO", f"inner {ward}")
    item.add_new((0x0009, (block + 1) << 8 | 2), "DS", f"{ward[1:]}.250")
    return item


def instance(ward=None, block=0x10, creator="ACME", **attributes):
    """A file, with a private element in some block if it has a ward."""
    data = make_dataset(**attributes)
    if ward is not None:
        data.add_new((0x0009, block), "LO", creator)
        data.add_new((0x0009, block << 8 | 1), "LO", ward)
        data.add_new((0x0009, block << 8 | 2), "DS", f"{ward[1:]}.50")
        data.add_new((0x0009, block << 8 | 3), "IS", f"0{ward[1:]}")
        data.add_new((0x0009, block << 8 | 4), "SQ", [kept_by_acme(ward, block, creator)])
    return written(data)


ARCHIVE = (
    instance(
        **{"PatientID": "A", "EthnicGroup": "GREEK", "CurrentPatientLocation": "Station Süd"},
        **{"NameOfPhysiciansReadingStudy": "Curie^Marie=キュリー", "KVP": "120"},
        **{"ScanOptions": ["FS", "NC"], "RequestAttributesSequence": requested("S1", "S2")},
        **{"SliceThickness": "0.50", "AcquisitionDateTime": "20240305101112.5"},
        **{
            "ContentDate": "20240305",
            "IrradiationEventUID": "1.2.3",
            "ImageComments": "x" * 900 + " end",
        },
        **{"ward": "W1", "WindowCenter": ["40", "-600"]},
        RecommendedDisplayFrameRateInFloat=0.1,
    ),
    instance(
        **{"PatientID": "B", "EthnicGroup": "", "CurrentPatientLocation": "STATION SÜD"},
        **{"NameOfPhysiciansReadingStudy": ["Bohr^Niels", "Curie^Irène"], "KVP": "80"},
        **{"ScanOptions": "NC", "RequestAttributesSequence": requested("S2")},
        **{"SliceThickness": "1", "AcquisitionDateTime": "2024", "ContentDate": "20240306"},
        **{"IrradiationEventUID": "1.2.3.4", "ImageComments": "short", "ward": "W1", "block": 0x33},
    ),
    instance(PatientID="C", KVP="120.0", ward="W2", creator="OTHER", ContentDate="nonsense"),
    instance(PatientID="D", RequestAttributesSequence=[], ScanOptions="", WindowCenter="40.00"),
)

ACME = {"00090010": "ACME", "00091004.00090010": "ACME"}

CASES = [
    ({"EthnicGroup": "GREEK"}, "A"),
    ({"EthnicGroup": "GR?E*"}, "A"),
    ({"EthnicGroup": '""', "emptyvaluematching": "true"}, "BCD"),
    ({"CurrentPatientLocation": "Station Süd"}, "A"),
    ({"CurrentPatientLocation": "Station*"}, "A"),
    ({"CurrentPatientLocation": "*S*"}, "AB"),
    ({"NameOfPhysiciansReadingStudy": "curie^marie"}, "A"),
    ({"NameOfPhysiciansReadingStudy": "CURIE*"}, "AB"),
    ({"NameOfPhysiciansReadingStudy": "=キュリー"}, "A"),
    ({"NameOfPhysiciansReadingStudy": "Bohr*=キュリー"}, ""),
    ({"NameOfPhysiciansReadingStudy": '""', "emptyvaluematching": "true"}, "CD"),
    ({"KVP": "120"}, "AC"),
    ({"KVP": "120,80"}, "ABC"),
    ({"KVP": '""', "emptyvaluematching": "true"}, "D"),
    ({"ScanOptions": "NC"}, "AB"),
    ({"ScanOptions": "F*"}, "A"),
    ({"RequestAttributesSequence.ScheduledProcedureStepID": "S2"}, "AB"),
    ({"00400275.00400009": "S1"}, "A"),
    ({"00400275.00400009": "S2", "ScanOptions": '""', "emptyvaluematching": "true"}, ""),
    ({"00400275.00400008.00080100": "CS1"}, "A"),
    ({"SliceThickness": "0.5"}, "A"),
    ({"SliceThickness": "1.0"}, "B"),
    ({"WindowCenter": "-600"}, "A"),
    ({"WindowCenter": "40"}, "AD"),
    ({"RecommendedDisplayFrameRateInFloat": "0.1"}, "A"),
    ({"AcquisitionDateTime": "20240305"}, "A"),
    ({"AcquisitionDateTime": "2023-20240304"}, "B"),
    ({"ContentDate": "20240305-"}, "AB"),
    ({"ContentDate": "20240305-20240305"}, "A"),
    ({"ContentDate": '""', "emptyvaluematching": "true"}, "D"),
    ({"IrradiationEventUID": "1.2.3"}, "A"),
    ({"IrradiationEventUID": "1.2.3,1.2.3.4"}, "AB"),
    ({"ImageComments": "short"}, "B"),
    ({"ImageComments": "sh*t"}, "B"),
    ({"ImageComments": "*hor*"}, "B"),
    ({"ImageComments": "*x end"}, "A"),
    ({"ImageComments": "x*"}, "A"),
    ({"ImageComments": "*x,?hort"}, "B"),
    ({"00091001": "W1"}, "A"),
    ({"00091002": "1.5"}, "A"),
    ({"00091003": "1"}, "A"),
    ({"00091003": "001"}, "A"),
    ({"00090010": "ACME", "00091002": "1.500"}, "AB"),
    ({"00090010": "ACME", "00091002": "1.5,7"}, "AB"),
    ({"00090010": "ACME", "00091003": "1"}, "AB"),
    ({"00090010": "OTHER", "00091002": "2.5"}, "C"),
    ({"00090010": "OTHER", "00091002": "2"}, ""),
    ({"WardOfAcme": "W1"}, "A"),
    ({"00090010": "ACME", "00091001": "W1"}, "AB"),
    ({"00090010": "OTHER", "00091001": "W2"}, "C"),
    ({"00090010": "NOBODY", "00091001": "W1"}, ""),
    ({"00091004.CodeValue": "CW1"}, "A"),
    ({"00091004.00080100": "CW*"}, "AC"),
    ({"00091004.00091101": "inner W1"}, "A"),
    ({"00090010": "ACME", "00091004.CodeValue": "CW1"}, "AB"),
    ({"00090010": "OTHER", "00091004.CodeValue": "C*"}, "C"),
    ({"00090010": "NOBODY", "00091004.CodeValue": "C*"}, ""),
    (ACME | {"00091004.00091001": "inner W1"}, "AB"),
    (ACME | {"00091004.00091001": "*W?"}, "AB"),
    (ACME | {"00091004.00091002": "1.25"}, "AB"),
    (ACME | {"00091004.00091002": "2.25"}, ""),
    ({"KVP": "120", "SliceThickness": "0.5"}, "A"),
    ({"KVP": "80", "SliceThickness": "0.5"}, ""),
]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """Where the index is: "" for the file of SQLite."""
    return "" if request.param == "sqlite" else request.getfixturevalue("database_url")


@pytest.fixture
def running(tmp_path, url):
    """Opens applications on the same data, each with its configuration."""
    opened = []

    def run(config):
        made = temporary_app(tmp_path, {"Index": {"Url": url}} | config)
        opened.append(made)
        return Client(made.__enter__().test_client())

    yield run
    for each in reversed(opened):
        each.__exit__(None, None, None)


def index_of(client):
    return context_of(client.flask.application).index


def rows_of(client):
    """How many values are kept."""
    statement = select(func.count()).select_from(extra_values)
    return index_of(client).database.read(lambda c: c.execute(statement).scalar_one())


def patients(client, level, keys):
    """The patients of the matches as one text."""
    found = client.found(level, **keys, includefield="PatientID")
    return "".join(sorted(values(found, "00100020")))


def answers_every_case(client, levels=("/studies", "/series", "/instances")):
    wrong = [
        (level, keys, found, expected)
        for keys, expected in CASES
        for level in levels
        if (found := patients(client, level, keys)) != expected
    ]
    assert wrong == []


def test_every_kind_of_attribute_is_found_without_reading_headers(running):
    client = running(EXTRA | NO_SCAN)
    client.stored(*ARCHIVE)
    answers_every_case(client)
    assert client.get("/studies?KVP=120&PatientSize=5").status_code == 413  # not in the index


def test_the_index_and_the_headers_agree(running):
    client = running(DICTIONARY)
    client.stored(*ARCHIVE)
    assert rows_of(client) == 0
    answers_every_case(client)


@pytest.mark.parametrize(
    ("step", "code", "expected"), [("S2", "CS2", "AB"), ("S1", "CS2", ""), ("S1", "CS1", "A")]
)
def test_keys_of_one_sequence_hold_for_one_item(running, step, code, expected):
    """The index narrows the search, and the headers of what is left decide."""
    client = running(EXTRA | {"SearchScanLimit": 2})
    client.stored(*ARCHIVE)
    keys = {"00400275.00400009": step, "00400275.00400008.00080100": code}
    for level in ("/studies", "/series", "/instances"):
        assert patients(client, level, keys) == expected


def test_limits_counts_and_patients_see_them(running):
    client = running(EXTRA | NO_SCAN)
    client.stored(*ARCHIVE)
    page = client.get("/studies?KVP=120&limit=1&offset=1&totalcount=true")
    assert (len(page.json), page.headers["X-Total-Count"]) == (1, "2")
    assert values(client.found("/patients", EthnicGroup="GREEK"), "00100020") == ["A"]


def test_they_come_with_matches_that_ask_for_them(running):
    client = running(EXTRA | NO_SCAN)
    client.stored(*ARCHIVE)
    (found,) = client.found(PatientID="A", includefield="EthnicGroup,CurrentPatientLocation")
    assert values([found], "00102160") == ["GREEK"]
    assert values([found], "00380300") == ["Station Süd"]
    (series,) = client.found("/series", PatientID="A", includefield="all")
    assert values([series], "00180060") == ["120"]


@pytest.mark.parametrize("level", ["/studies", "/series", "/instances"])
@pytest.mark.parametrize("include", ["00091001", "00091001,KVP", "00091001,00090010", "all"])
def test_private_ones_come_with_their_creator(running, level, include):
    """A private element says nothing without it (PS3.5, 7.8.1)."""
    client = running({"ExtraMainDicomTags": {"Study": ["0009,1001"], "Series": ["0009,1004"]}})
    client.stored(*ARCHIVE)
    found = client.found(level, orderby="PatientID", includefield=include)
    assert values(found, "00091001") == ["W1", None, "W2", None]
    assert values(found, "00090010") == ["ACME", None, "OTHER", None]  # B has another block
    plain = client.found(level, orderby="PatientID", includefield="KVP")
    assert values(plain, "00090010") == [None] * 4


def test_creators_are_filled_in_too(running):
    client = running(DICTIONARY)
    client.stored(*ARCHIVE)
    client = running({"ExtraMainDicomTags": {"Study": ["0009,1001"]}} | DICTIONARY)
    (found,) = client.found(PatientID="A", includefield="00091001")
    assert values([found], "00090010") == ["ACME"]
    assert sum(1 for _ in index_of(client).fill()) == 4
    (found,) = client.found(PatientID="A", includefield="all")
    assert (values([found], "00090010"), values([found], "00091001")) == (["ACME"], ["W1"])


@pytest.mark.parametrize(
    ("level", "order", "expected"),
    [
        ("/studies", "EthnicGroup,-PatientID", "ADCB"),
        ("/studies", "-NameOfPhysiciansReadingStudy,PatientID", "ABCD"),
        ("/series", "KVP,PatientID", "BACD"),
        ("/series", "-KVP,-PatientID", "CABD"),
        ("/instances", "SliceThickness,-PatientID", "ABDC"),
        ("/instances", "-ContentDate,PatientID", "BACD"),
        ("/instances", "-00091001,PatientID", "CABD"),
        ("/instances", "EthnicGroup,IrradiationEventUID,PatientID", "ABCD"),
    ],
)
def test_results_are_sorted_by_them(running, level, order, expected):
    client = running(EXTRA | NO_SCAN)
    client.stored(*ARCHIVE)
    found = client.found(level, orderby=order, includefield="PatientID")
    assert "".join(values(found, "00100020")) == expected


def test_who_sees_less_gets_it_sorted_too(running):
    running(EXTRA).stored(*ARCHIVE)
    client = running(EXTRA | RULES)
    bob = {"Authorization": "Basic Ym9iOnNlY3JldA=="}
    for path in ("/studies?orderby=CurrentPatientLocation", "/patients?orderby=-PatientName"):
        assert values(client.get(path, **bob).json, "00100020") == ["A"]


def test_what_cannot_be_sorted_by_is_refused(running):
    running(DICTIONARY).stored(*ARCHIVE)
    client = running(EXTRA)
    for path in ("/studies?orderby=EthnicGroup", "/studies?orderby=KVP"):
        answer = client.get(path)
        assert answer.status_code == 400
        assert "PatientBirthDate, PatientID" in answer.json["Details"]
    assert sum(1 for _ in index_of(client).fill()) == 4
    assert client.get("/studies?orderby=EthnicGroup").status_code == 200
    refused = client.get("/series?orderby=RequestAttributesSequence")
    assert refused.status_code == 400
    assert "KVP" in refused.json["Details"]
    assert client.get("/studies?orderby=KVP").status_code == 400  # of which series?


# --- what changes --------------------------------------------------------------------------


def test_deleting_forgets_them(running):
    client = running(EXTRA)
    client.stored(*ARCHIVE)
    assert rows_of(client) > 20
    for data in ARCHIVE:
        assert client.call("DELETE", f"/studies/{uids_of(data)[0]}").status_code in (200, 204)
    assert rows_of(client) == 0


def test_replacing_takes_the_new_values(running):
    client = running(EXTRA | NO_SCAN | {"OverwriteInstances": "Always"})
    client.stored(*ARCHIVE)
    before = rows_of(client)
    study, series, sop = uids_of(ARCHIVE[0])
    same = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": sop}
    client.stored(instance(PatientID="A", KVP="70", **same))
    assert patients(client, "/studies", {"KVP": "120"}) == "C"
    assert patients(client, "/studies", {"KVP": "70"}) == "A"
    assert patients(client, "/instances", {"00091001": "W1"}) == ""
    assert rows_of(client) < before


def test_a_study_has_those_of_all_its_series(running):
    client = running(EXTRA | NO_SCAN)
    study = uids_of(ARCHIVE[0])[0]
    more = {"PatientID": "A", "StudyInstanceUID": study}
    client.stored(*ARCHIVE, instance(**more, KVP="70"), instance(**more, KVP="60"))
    for kvp, count in (("120", 1), ("70", 1), ("120,70,60", 3)):
        assert len(client.found(f"/studies/{study}/series", KVP=kvp)) == count
    assert patients(client, "/studies", {"KVP": "60"}) == "A"


# --- filling -------------------------------------------------------------------------------


def test_before_they_are_filled_the_headers_are_read(running):
    running(DICTIONARY).stored(*ARCHIVE)
    client = running(EXTRA)
    assert index_of(client).unfilled() == 4
    answers_every_case(client)
    client.stored(instance(PatientID="E", KVP="120"))
    assert patients(client, "/studies", {"KVP": "120"}) == "ACE"
    refused = running(EXTRA | NO_SCAN).get("/studies?KVP=120")
    assert refused.status_code == 413
    assert "KVP" in refused.json["Details"]


def test_filling_makes_them_searchable(running):
    running(DICTIONARY).stored(*ARCHIVE)
    client = running(EXTRA | NO_SCAN)
    assert sum(1 for _ in index_of(client).fill()) == 4
    assert index_of(client).unfilled() == 0
    answers_every_case(client)
    (found,) = client.found(PatientID="A", includefield="EthnicGroup")
    assert values([found], "00102160") == ["GREEK"]


def test_filling_again_changes_nothing(running):
    client = running(EXTRA | NO_SCAN)
    client.stored(*ARCHIVE)
    before = rows_of(client)
    assert list(index_of(client).fill()) == []
    assert rows_of(client) == before


def test_other_tags_are_filled_anew(running):
    running(EXTRA).stored(*ARCHIVE)
    client = running(DICTIONARY | NO_SCAN | {"ExtraMainDicomTags": {"Series": ["PatientSize"]}})
    assert index_of(client).unfilled() == 4
    assert sum(1 for _ in index_of(client).fill()) == 4
    assert rows_of(client) == 0
    assert client.found(PatientSize="1.7") == []


def test_a_server_of_another_configuration_is_noticed(running):
    """As while a new configuration is rolled out: one still stores without the attributes."""
    new, old = running(EXTRA), running(DICTIONARY)
    new.stored(*ARCHIVE[:2])
    study = uids_of(ARCHIVE[0])[0]
    old.stored(instance(PatientID="A", StudyInstanceUID=study, KVP="70"))
    assert index_of(new).unfilled() == 1
    assert patients(new, "/studies", {"KVP": "70"}) == "A"
    assert sum(1 for _ in index_of(new).fill()) == 1
    strict = running(EXTRA | NO_SCAN)
    assert patients(strict, "/studies", {"KVP": "70"}) == "A"


def test_storing_goes_on_while_they_are_filled(running):
    running(DICTIONARY).stored(*ARCHIVE * 1)
    client = running(EXTRA)
    study = uids_of(ARCHIVE[0])[0]

    def store(number):
        client.stored(instance(PatientID="A", StudyInstanceUID=study, KVP=str(200 + number)))

    with ThreadPoolExecutor(4) as pool:
        stores = [pool.submit(store, number) for number in range(12)]
        filled = sum(1 for _ in index_of(client).fill())
        for each in stores:
            each.result()
    assert filled == 4
    assert index_of(client).unfilled() == 0
    strict = running(EXTRA | NO_SCAN)
    for number in range(12):
        assert patients(strict, "/studies", {"KVP": str(200 + number)}) == "A"


def test_a_study_that_is_stored_to_all_the_time_is_filled(running, monkeypatch):
    """By a server that does not know the attributes yet, before each step of the filling."""
    old = running(DICTIONARY)
    old.stored(*ARCHIVE)
    client = running(EXTRA)
    study = uids_of(ARCHIVE[0])[0]
    database, stored = index_of(client).database, []
    transact = database.transact

    def stored_to_before(work):
        stored.append(str(200 + len(stored)))
        old.stored(instance(PatientID="A", StudyInstanceUID=study, KVP=stored[-1]))
        return transact(work)

    with monkeypatch.context() as patched:
        patched.setattr(database, "transact", stored_to_before)
        assert next(index_of(client).fill(), "nothing") is None
    assert index_of(client).unfilled() == 3
    assert sum(1 for _ in index_of(client).fill()) == 3
    strict = running(EXTRA | NO_SCAN)
    assert stored
    for kvp in stored:
        assert patients(strict, "/studies", {"KVP": kvp}) == "A"


def command(tmp_path, url, config, *arguments):
    path = tmp_path / "config.json"
    known = {"StorageDirectory": str(tmp_path / "data"), "Index": {"Url": url}}
    path.write_text(json.dumps(known | config), encoding="utf-8")
    return CliRunner().invoke(cli, ["--config", str(path), *arguments])


@pytest.mark.parametrize("arguments", [("reindex",), ("reindex", "--tags")])
def test_reindex_fills_them(running, tmp_path, url, arguments):
    running(DICTIONARY).stored(*ARCHIVE)
    done = command(tmp_path, url, EXTRA, *arguments)
    assert done.exit_code == 0, done.output
    assert "4 studies were lacking attributes of ExtraMainDicomTags, now none is" in done.output
    answers_every_case(running(EXTRA | NO_SCAN))
    again = command(tmp_path, url, EXTRA, *arguments)
    assert "0 studies were lacking" in again.output


def test_the_start_says_what_to_do(running, caplog):
    running(DICTIONARY).stored(*ARCHIVE)
    caplog.clear()
    running(EXTRA)
    assert "4 studies lack attributes of ExtraMainDicomTags" in caplog.text
    assert "reindex --tags" in caplog.text


# --- rules ---------------------------------------------------------------------------------

RULES = {
    "AuthenticationEnabled": True,
    "RegisteredUsers": {"bob": "secret"},
    "Authorization": {
        "Type": "rules",
        "Rules": [
            {
                "Users": ["bob"],
                "Actions": ["search", "read", "store"],
                "Studies": {"EthnicGroup": "GREEK"},
            }
        ],
    },
}


def test_rules_may_name_them(running):
    running(EXTRA).stored(*ARCHIVE)
    client = running(EXTRA | RULES)
    bob = {"Authorization": "Basic Ym9iOnNlY3JldA=="}
    assert values(client.get("/studies", **bob).json, "00100020") == ["A"]
    assert client.get(f"/{path_of(ARCHIVE[0])}/metadata", **bob).status_code == 200
    assert client.get(f"/{path_of(ARCHIVE[1])}/metadata", **bob).status_code == 404


def test_rules_show_nothing_before_they_are_filled(running):
    running(DICTIONARY).stored(*ARCHIVE)
    client = running(EXTRA | RULES)
    bob = {"Authorization": "Basic Ym9iOnNlY3JldA=="}
    assert client.get("/studies", **bob).status_code == 403
    list(index_of(client).fill())
    assert values(client.get("/studies", **bob).json, "00100020") == ["A"]


def test_one_instance_of_many_is_what_a_match_shows(running):
    client = running(EXTRA)
    study = {"PatientID": "Z", "StudyInstanceUID": "2.25.7", "SeriesInstanceUID": "2.25.8"}
    client.stored(*(make_instance(**study, SliceThickness=f"{n}") for n in range(1, 6)))
    (found,) = client.found(SliceThickness="4")
    assert values([found], "00180050") == ["4"]
