"""Every route, asked by every kind of user: nobody gets more than he may, or learns of more."""

import json
from urllib.parse import parse_qsl

import pytest

from dicomweb_server.http.access import action_of
from dicomweb_server.interfaces.auth import Action
from dicomweb_server.testing.dicom import make_instance, multipart_body

RULES = [
    {"Users": ["full"], "Actions": ["*"]},
    {"Users": ["reader"], "Actions": ["search", "read"]},
    {
        "Users": ["restricted"],
        "Actions": ["search", "read", "store", "delete"],
        "Studies": {"InstitutionName": "North"},
    },
]
CONFIG = {
    "AuthenticationEnabled": True,
    "RegisteredUsers": dict.fromkeys(("full", "reader", "restricted", "nothing"), "secret"),
    "Authentication": {"Order": ["link", "token", "oidc", "basic"]},
    "Authorization": {"Type": "rules", "Rules": RULES},
}
CONFIG["Authentication"]["oidc"] = {
    "Issuer": "http://127.0.0.1:9/",
    "Audience": "dicomweb",
    "Algorithms": ["HS256"],
    "Secret": "0123456789abcdef0123456789abcdef",
}
pytestmark = pytest.mark.dicomweb_config(CONFIG)

MAY = {
    "full": set(Action),
    "reader": {Action.PUBLIC, Action.SEARCH, Action.READ},
    "restricted": {Action.PUBLIC, Action.SEARCH, Action.READ, Action.STORE, Action.DELETE},
    "link": {Action.PUBLIC, Action.SEARCH, Action.READ},
    "nothing": {Action.PUBLIC},
}
STRANGERS = {
    "anonymous": {},
    "wrong": {"auth": ("nobody", "wrong")},
    "wrong token": {"headers": {"Authorization": "Bearer abc"}},
    "wrong JWT": {"headers": {"Authorization": "Bearer a.b.c"}},
    "wrong link": {"query_string": {"link": "link.a.b.c"}},
}
LIMITED = ("restricted", "link")
HIDDEN = ("Hidden", "H-77", "SecretOperator", "South")
SEEN, UNSEEN, ABSENT = "1.1", "1.2", "1.9"


def instance(study, **attributes):
    uids = {
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.1",
        "SOPInstanceUID": f"{study}.1.1",
    }
    return make_instance(pixels=bytes(64), **uids | attributes)


SOUTH = {
    "PatientID": "H-77",
    "PatientName": "Hidden^Name",
    "OperatorsName": "SecretOperator",
    "InstitutionName": "South",
}


@pytest.fixture
def ask(dicomweb_client):
    body, content_type = multipart_body(
        [instance(SEEN, InstitutionName="North"), instance(UNSEEN, **SOUTH)]
    )
    stored = dicomweb_client.post(
        "/dicom-web/studies", data=body, content_type=content_type, auth=("full", "secret")
    )
    assert stored.status_code == 200
    made = dicomweb_client.post(
        "/links", json={"Study": SEEN, "Expires": 60}, auth=("full", "secret")
    )
    assert made.status_code == 201
    token = made.json["Token"]

    def call(user, method, path, **options):
        if user == "link":
            options["headers"] = {"X-DICOMweb-Link": token}
        elif user in STRANGERS:
            options |= STRANGERS[user]
        else:
            options["auth"] = (user, "secret")
        path, _, query = path.partition("?")
        options["query_string"] = dict(parse_qsl(query)) | options.get("query_string", {})
        return dicomweb_client.open(path, method=method, **options)

    return call


def routes(app, study):
    """(method, path, action, rule) of every route, for a study."""
    values = {
        "study": study,
        "series": f"{study}.1",
        "instance": f"{study}.1.1",
        "path": "7fe00010",
        "listed": "1",
        "key": "0" * 16,
        "patient": "0" * 44,
    }
    for rule in app.url_map.iter_rules():
        path = rule.rule
        for name in rule.arguments:
            converter = "path:" if f"<path:{name}>" in path else ""
            path = path.replace(f"<{converter}{name}>", values[name])
        if path == "/wado":
            path += f"?requestType=WADO&objectUID={study}.1.1"
        assert "<" not in path, f"say in this test what stands for a parameter of {rule.rule}"
        action = action_of(app.view_functions[rule.endpoint])
        for method in sorted(rule.methods - {"OPTIONS"}):
            yield method, path, action, rule.rule


def test_there_are_many(dicomweb_app):
    found = list(routes(dicomweb_app, SEEN))
    assert len(found) > 40
    assert {action for _, _, action, _ in found} == set(Action)


@pytest.mark.parametrize("study", [SEEN, UNSEEN, ABSENT])
@pytest.mark.parametrize("user", STRANGERS)
def test_strangers_get_no_further_than_the_door(dicomweb_app, ask, user, study):
    for method, path, action, _ in routes(dicomweb_app, study):
        answer = ask(user, method, path)
        if action is Action.PUBLIC:
            assert answer.status_code == 200
        else:
            assert answer.status_code == 401, (method, path)
            assert len(answer.headers.getlist("WWW-Authenticate")) == 2
            assert_nothing_leaks(answer)


@pytest.mark.parametrize("study", [SEEN, UNSEEN, ABSENT])
@pytest.mark.parametrize("user", MAY)
def test_each_may_what_the_rules_say(dicomweb_app, ask, user, study):
    # What is deleted comes last, so that the others find something.
    for method, path, action, rule in sorted(
        routes(dicomweb_app, study), key=lambda each: each[0] == "DELETE"
    ):
        answer = ask(user, method, path)
        allowed = action in MAY[user]
        if user == "link" and rule.startswith("/links"):
            allowed = False
        assert (answer.status_code not in (401, 403)) == allowed, (method, path, answer.status_code)
        assert answer.status_code < 500
        if user in LIMITED:
            assert_nothing_leaks(answer)


def assert_nothing_leaks(answer):
    text = answer.get_data() + str(answer.headers).encode()
    for word in HIDDEN:
        assert word.encode() not in text, answer.request.path


@pytest.mark.parametrize("user", LIMITED)
def test_what_is_outside_answers_as_what_is_not_there(dicomweb_app, ask, user):
    for (method, path, action, rule), (_, absent, _, _) in zip(
        routes(dicomweb_app, UNSEEN), routes(dicomweb_app, ABSENT), strict=True
    ):
        if action is Action.PUBLIC or rule in ("/extensions",):
            continue
        found, nothing = ask(user, method, path), ask(user, method, absent)
        assert found.status_code == nothing.status_code, (method, path)
        assert found.get_data().replace(b"1.2", b"1.9") == nothing.get_data().replace(
            b"1.2", b"1.9"
        ), (method, path)
        volatile = ("X-Request-ID", "Content-Length")
        assert [h for h in found.headers if h[0] not in volatile] == [
            h for h in nothing.headers if h[0] not in volatile
        ]


@pytest.mark.parametrize("user", LIMITED)
@pytest.mark.parametrize("path", ["studies", "series", "instances"])
def test_no_search_tells_of_what_is_outside(ask, user, path):
    for query in (
        "",
        "?includefield=all",
        "?PatientID=H-77",
        "?PatientName=Hidden*",
        "?OperatorsName=Secret*",
        f"?StudyInstanceUID={UNSEEN}",
        "?InstitutionName=South",
        "?ModalitiesInStudy=OT",
        "?NumberOfStudyRelatedInstances=1",
        "?limit=1&offset=1",
        "?limit=1",
        "?fuzzymatching=true&PatientName=hidden",
    ):
        answer = ask(user, "GET", f"/dicom-web/{path}{query}")
        assert answer.status_code == 200
        found = {each["0020000D"]["Value"][0] for each in json.loads(answer.data)}
        assert found <= {SEEN}, query
        assert_nothing_leaks(answer)


def test_what_is_outside_is_still_there_afterwards(dicomweb_app, ask):
    for user in (*LIMITED, "reader", "nothing", *STRANGERS):
        for method, path, _, _ in routes(dicomweb_app, UNSEEN):
            ask(user, method, path)
    found = ask("full", "GET", "/dicom-web/studies").json
    assert {each["0020000D"]["Value"][0] for each in found} == {SEEN, UNSEEN}
