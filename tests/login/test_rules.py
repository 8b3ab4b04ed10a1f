"""Who may see some studies only: rules, and that what is outside looks like what is not there."""

import json
from urllib.parse import urlencode

import pytest

from dicomweb_server.config import ConfigError
from dicomweb_server.testing.apps import temporary_app
from dicomweb_server.testing.dicom import make_instance, multipart_body, path_of

USERS = {"full": "f", "north": "n", "ct": "c", "writer": "w", "reader": "r", "idle": "i"}
RULES = [
    {"Users": ["full"], "Actions": ["*"]},
    {"Groups": ["north"], "Actions": ["search", "read"], "Studies": {"InstitutionName": "North*"}},
    {
        "Users": ["ct"],
        "Actions": ["search", "read", "delete"],
        "Studies": {"ModalitiesInStudy": ["CT", "MR"], "StudyDate": "20200101-"},
    },
    {
        "Users": ["writer"],
        "Actions": ["search", "read", "store", "delete"],
        "Studies": {"InstitutionName": ["North", "North West"], "ModalitiesInStudy": "CT"},
    },
    {"Users": ["reader"], "Actions": ["*"], "Methods": ["GET"]},
]
CONFIG = {
    "AuthenticationEnabled": True,
    "RegisteredUsers": USERS,
    "Authorization": {"Type": "rules", "Rules": RULES, "Groups": {"north": ["north"]}},
}
pytestmark = pytest.mark.dicomweb_config(CONFIG)
ANY = "application/dicom; transfer-syntax=*"


def instance(study, series=1, number=1, **attributes):
    named = {
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.{series}",
        "SOPInstanceUID": f"{study}.{series}.{number}",
        "InstanceNumber": number,
        "Modality": "CT",
        "StudyDate": "20210101",
        "InstitutionName": "North",
        "OperatorsName": f"Operator^{study}",
    }
    return make_instance(pixels=bytes(64), **named | attributes)


NORTH = [instance("1.1"), instance("1.1", 2, Modality="MR"), instance("1.1", 2, 2, Modality="MR")]
SOUTH = [instance("1.2", InstitutionName="South", PatientID="P2", PatientName="Hidden^Name")]
OLD = [instance("1.3", InstitutionName="Northern", StudyDate="20190101")]
BARE = [instance("1.4", InstitutionName=None, Modality="US")]


def login(user):
    return {"auth": (user, USERS.get(user, "x"))}


@pytest.fixture
def ask(client):
    def call(user, path="/studies", method="GET", accept=None, **options):
        headers = options.pop("headers", {}) | ({"Accept": accept} if accept else {})
        return client.call(method, path, headers=headers, **login(user), **options)

    return call


@pytest.fixture
def archive(ask):
    body, content_type = multipart_body([*NORTH, *SOUTH, *OLD, *BARE])
    answer = ask("full", method="POST", body=body, content_type=content_type)
    assert answer.status_code == 200
    return ask


def uids(answer, tag="0020000D"):
    assert answer.status_code == 200, answer.data
    return {each[tag]["Value"][0] for each in json.loads(answer.data)}


SEEN = {
    "full": {"1.1", "1.2", "1.3", "1.4"},
    "reader": {"1.1", "1.2", "1.3", "1.4"},
    "north": {"1.1", "1.3"},
    "ct": {"1.1", "1.2"},
    "writer": {"1.1"},
}


@pytest.mark.parametrize("user", SEEN)
@pytest.mark.parametrize("path", ["/studies", "/series", "/instances"])
def test_searches_find_what_is_inside(archive, user, path):
    assert uids(archive(user, path)) == SEEN[user]
    # Neither a filter from headers nor another attribute in the answer gets around it.
    assert uids(archive(user, f"{path}?OperatorsName=Operator*")) == SEEN[user]
    assert uids(archive(user, f"{path}?includefield=all")) == SEEN[user]
    assert uids(archive(user, f"{path}?StudyInstanceUID=1.1,1.2")) == SEEN[user] & {"1.1", "1.2"}


@pytest.mark.parametrize("user", SEEN)
@pytest.mark.parametrize("path", ["/studies", "/series", "/instances"])
@pytest.mark.parametrize("more", ["", "&OperatorsName=Operator*"])
def test_pages_are_pages_of_what_is_inside(archive, user, path, more):
    tag = {"/studies": "0020000D", "/series": "0020000E", "/instances": "00080018"}[path]
    whole = uids(archive(user, path), tag)
    paged = [
        uids(archive(user, f"{path}?limit=1&offset={offset}{more}"), tag)
        for offset in range(len(whole) + 2)
    ]
    assert [len(page) for page in paged] == [1] * len(whole) + [0, 0]
    assert set().union(*paged) == whole


def test_a_study_is_inside_as_a_whole(archive):
    (found,) = json.loads(archive("writer").data)
    assert found["00201206"]["Value"] == [2]
    assert found["00201208"]["Value"] == [3]
    assert found["00080061"]["Value"] == ["CT", "MR"]
    assert len(json.loads(archive("writer", "/studies/1.1/metadata").data)) == 3


def every_path(data):
    instance_path = f"/{path_of(data)}"
    series_path = instance_path.partition("/instances/")[0]
    study_path = series_path.partition("/series/")[0]
    yield from (study_path, series_path, instance_path)
    yield from (f"{p}/metadata" for p in (study_path, series_path, instance_path))
    yield f"{instance_path}/bulk/7fe00010"


@pytest.mark.parametrize("user", SEEN)
@pytest.mark.parametrize("data", [NORTH[2], SOUTH[0], OLD[0], BARE[0]])
def test_search_and_retrieval_agree(archive, user, data):
    study = path_of(data).split("/")[1]
    for path in every_path(data):
        full = archive("full", path)
        assert full.status_code == 200
        answer = archive(user, path, headers={"If-None-Match": full.headers.get("ETag", '"-"')})
        if study in SEEN[user]:
            assert answer.status_code == (304 if "ETag" in full.headers else 200)
            plain = archive(user, path)
            assert len(plain.data) == len(full.data)
            assert plain.headers.get("ETag") == full.headers.get("ETag")
        else:
            absent = path.replace(f"/studies/{study}", "/studies/9.9")
            nothing = archive(user, absent)
            assert answer.status_code == nothing.status_code == 404
            assert answer.data.replace(study.encode(), b"9.9") == nothing.data.replace(
                study.encode(), b"9.9"
            )
            named = {k for k, _ in answer.headers}
            assert named == {k for k, _ in nothing.headers}


@pytest.mark.parametrize(
    "accept",
    [None, ANY, 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2'],
)
def test_negotiation_does_not_tell_what_is_outside(archive, accept):
    answer = archive("north", "/studies/1.2", accept=accept)
    assert answer.status_code == archive("north", "/studies/9.9", accept=accept).status_code


@pytest.mark.parametrize("user", ["ct", "writer"])
def test_only_what_is_inside_is_deleted(archive, user):
    for study in sorted(SEEN["full"] - SEEN[user]):
        assert archive(user, f"/studies/{study}", "DELETE").status_code == 404
    assert uids(archive("full")) == SEEN["full"]
    for study in sorted(SEEN[user]):
        assert archive(user, f"/studies/{study}", "DELETE").status_code == 204
    assert uids(archive("full")) == SEEN["full"] - SEEN[user]


def test_who_has_no_rule_may_nothing(archive):
    for path in ("/studies", *every_path(SOUTH[0])):
        assert archive("idle", path).status_code == 403
        assert archive("nobody", path).status_code == 401
    assert archive("north", "/studies/1.1", "DELETE").status_code == 403
    assert archive("north", "/studies/1.2", "DELETE").status_code == 403


def test_a_rule_may_be_about_methods(archive):
    assert archive("reader", "/studies").status_code == 200
    assert archive("reader", "/studies", "HEAD").status_code == 403
    assert archive("reader", "/studies/1.1", "DELETE").status_code == 403


SECRET = {
    "StudyInstanceUID": "1.2",
    "StudyDescription": "Secret",
    "SeriesInstanceUID": "1.2.1",
    "SOPInstanceUID": "1.2.1.1",
    "PatientName": "Hidden^Name",
    "PatientComments": "Secret comment",
    "InstitutionName": "South",
    "OperatorsName": "Operator^1.2",
}


def test_of_a_patient_only_what_is_inside_is_shown_and_found(ask):
    secret = {k: v for k, v in SECRET.items() if k in ("PatientComments", "StudyDescription")}
    hidden = instance("1.2", InstitutionName="South", PatientName="Hidden^Name", **secret)
    shown = instance("1.1", PatientName="Known^Name", StudyDescription="Open")
    for data in (hidden, shown):
        assert stored(ask, "full", data)[0] == 200

    def find(user, **keys):
        answer = ask(user, "/patients?" + urlencode(keys))
        assert answer.status_code == 200, answer.data
        return json.loads(answer.data)

    for fields in (*SECRET, "all"):
        (found,) = find("north", includefield=fields)
        assert found["00100010"]["Value"] == [{"Alphabetic": "Known^Name"}]
        assert "Secret" not in json.dumps(found)
        assert "South" not in json.dumps(found)
        assert "1.2" not in json.dumps(found)
    for key, value in SECRET.items():
        assert len(find("full", **{key: value})) == 1
        assert find("north", **{key: value}) == []
    assert len(find("north", StudyDescription="Open", OperatorsName="*1.1")) == 1
    assert len(find("north", NumberOfPatientRelatedStudies="1")) == 1
    assert find("north", NumberOfPatientRelatedStudies="2") == []


# --- storing -------------------------------------------------------------------------------


def stored(ask, user, *files, path="/studies"):
    """(HTTP status, failure reasons, stored UIDs)."""
    body, content_type = multipart_body(files)
    answer = ask(user, path, "POST", body=body, content_type=content_type)
    document = json.loads(answer.data)
    failed = document.get("00081198", {}).get("Value", [])
    done = document.get("00081199", {}).get("Value", [])
    return (
        answer.status_code,
        {item["00081155"]["Value"][0]: item["00081197"]["Value"][0] for item in failed},
        {item["00081155"]["Value"][0] for item in done},
    )


def test_who_may_store_stores_what_is_inside(archive):
    assert stored(archive, "writer", instance("1.5")) == (200, {}, {"1.5.1.1"})
    more = instance("1.1", 1, 2)
    assert stored(archive, "writer", more) == (200, {}, {"1.1.1.2"})
    assert uids(archive("writer")) == {"1.1", "1.5"}


@pytest.mark.parametrize(
    "attributes",
    [{"InstitutionName": "South"}, {"InstitutionName": None}, {"Modality": "MR"}],
    ids=str,
)
@pytest.mark.parametrize("study", ["1.1", "1.2", "1.9"])
def test_what_is_outside_is_refused_whatever_is_there(archive, dicomweb_context, attributes, study):
    before = dicomweb_context.index.statistics()
    data = instance(study, 7, 7, **attributes)
    assert stored(archive, "writer", data) == (409, {f"{study}.7.7": 0x0124}, set())
    assert dicomweb_context.index.statistics() == before


def test_nothing_is_added_to_a_study_that_is_outside(archive):
    data = instance("1.2", 7, 7, PatientID="P2")
    assert stored(archive, "writer", data)[:2] == (409, {"1.2.7.7": 0x0124})
    assert stored(archive, "writer", data, path="/studies/1.2")[:2] == (409, {"1.2.7.7": 0x0124})
    # The same UID of another patient is another study, and tells nothing of the first.
    assert stored(archive, "writer", instance("1.2", 7, 7, PatientID="P3"))[0] == 200
    assert len(json.loads(archive("writer", "/studies/1.2/metadata").data)) == 1
    assert len(json.loads(archive("full", "/studies/1.2/metadata").data)) == 2
    assert len(json.loads(archive("writer", "/studies/1.2/metadata").data)) == 1
    assert archive("writer", "/studies/1.2", "DELETE").status_code == 204
    assert len(json.loads(archive("full", "/studies/1.2/metadata").data)) == 1


def test_a_request_is_judged_instance_by_instance(archive):
    files = [instance("1.6"), instance("1.6", 2, Modality="MR"), instance("1.7")]
    status, failed, done = stored(archive, "writer", *files)
    assert (status, failed, done) == (202, {"1.6.2.1": 0x0124}, {"1.6.1.1", "1.7.1.1"})


def test_a_refusal_leaves_no_file(archive, tmp_path):
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    stored(archive, "writer", instance("1.8", InstitutionName="South"))
    after = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert [p for p in after if "index" not in p.name] == [
        p for p in before if "index" not in p.name
    ]


# --- the metadata cache --------------------------------------------------------------------


def test_the_cache_serves_all_who_may_see_a_study_and_nobody_else(archive, tmp_path):
    assert archive("full", "/studies/1.2/metadata").status_code == 200
    assert archive("north", "/studies/1.2/metadata").status_code == 404
    texts = {archive(user, "/studies/1.1/metadata").data for user in ("full", "north", "writer")}
    assert len(texts) == 1
    names = [path for path in (tmp_path / "data").rglob("*.json") if "metadata" in path.parts]
    assert len(names) == 2


# --- the configuration ---------------------------------------------------------------------


def one(**rule):
    return [{"Users": ["a"], "Actions": ["read"]} | rule]


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([], "Rules is empty"),
        ({}, "list of rules"),
        (["x"], "number 1.*must be an object"),
        ([{"User": ["a"]}], "did you mean Users"),
        ([{"Actions": ["read"]}], "about nobody"),
        ([{"Users": ["a"]}], "allows nothing.*search"),
        (one(Actions=["write"]), "'write'; possible are search, read, store, delete, admin"),
        (one(Users="a"), "Users.*list of strings"),
        (one(Methods=["get"]), "'get'; possible are GET"),
        (one(Methods=[]), "no method"),
        (one(Studies=["x"]), "Studies"),
        (one(Studies={"PatientID": 3}), "PatientID.*text or a list"),
        (one(Studies={"PatientID": []}), "PatientID.*text or a list"),
        (
            one(Studies={"00400275.00400009": "A", "00400275.00401001": "B"}),
            "RequestAttributesSequence.*same item",
        ),
        (one(Studies={"PatientID": "*"}), "every study fulfils"),
        (one(Studies={"PatientID": ["a", ""]}), "every study fulfils"),
        (one(Studies={"Institution": "x"}), "Institution"),
        (one(Studies={"InstitutionNam": "x"}), "InstitutionName"),
        (one(Studies={"OperatorsName": "x"}), "OperatorsName.*possible are.*InstitutionName.*PatientID"),
        (one(Studies={"NumberOfStudyRelatedInstances": "3"}), "possible are.*ModalitiesInStudy"),
        (one(Studies={"InstanceAvailability": "ONLINE"}), "possible are"),
        (one(Studies={"StudyDate": "soon"}), "StudyDate"),
        (one(Studies={"limit": "3"}), "no attribute"),
        (one(Actions=["*"], Studies={"PatientID": "1"}), "admin"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_rule_stops_the_start(tmp_path, rules, words):
    extra = {"ExtraMainDicomTags": {"Series": ["RequestAttributesSequence"]}}
    config = CONFIG | extra | {"Authorization": {"Type": "rules", "Rules": rules}}
    with (
        pytest.raises(ConfigError, match=f"(?s)Authorization.*{words}"),
        temporary_app(tmp_path, config),
    ):
        pass
