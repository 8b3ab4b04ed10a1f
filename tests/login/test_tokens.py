"""Bearer tokens whose hashes stand in the configuration, and several logins in their order."""

import re
from typing import ClassVar

import pytest
from click.testing import CliRunner
from dicomweb_auth_token import TokenAuthenticator, digest_of

from dicomweb_server import hookimpl
from dicomweb_server.cli.main import cli
from dicomweb_server.config import ConfigError
from dicomweb_server.interfaces.auth import (
    AuthenticationFailed,
    AuthenticationUnavailable,
    Authenticator,
    Identity,
)
from dicomweb_server.testing.apps import temporary_app
from dicomweb_server.testing.contracts import AuthenticatorContract
from dicomweb_server.testing.providers import build_provider

VIEWER, WARD = "viewer-token", "ward-token"


def hashed(token):
    return f"sha256:{digest_of(token)}"


TOKENS = {
    "viewer": hashed(VIEWER),
    "ward 7": {"Hash": hashed(WARD), "User": "ward", "Groups": ["readers"]},
}
CONFIG = {
    "AuthenticationEnabled": True,
    "RegisteredUsers": {"alice": "secret"},
    "Authentication": {"Order": ["basic", "token"], "token": {"Tokens": TOKENS}},
}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


class TestToken(AuthenticatorContract):
    RIGHT = bearer(VIEWER)
    WRONG = (bearer("guessed"), bearer(hashed(VIEWER)), bearer(digest_of(VIEWER)), bearer("ü"))
    USER = "viewer"

    @pytest.fixture
    def authenticator(self, tmp_path):
        return build_provider(TokenAuthenticator, tmp_path, {"Tokens": TOKENS})

    def test_a_token_may_be_of_a_user_with_groups(self, authenticator):
        class Asked:
            environ: ClassVar = {"HTTP_AUTHORIZATION": f"bearer  {WARD} "}

        found = authenticator.authenticate(Asked())
        assert found == Identity("ward", ("readers",), authenticated=True)


@pytest.mark.dicomweb_config(CONFIG)
def test_each_login_takes_its_own(dicomweb_client):
    def call(**headers):
        return dicomweb_client.get("/dicom-web/studies", headers=headers)

    assert call(**bearer(VIEWER)).status_code == 200
    assert dicomweb_client.get("/dicom-web/studies", auth=("alice", "secret")).status_code == 200
    basic = 'Basic realm="DICOMweb", charset="UTF-8"'
    plain = 'Bearer realm="DICOMweb"'
    for headers, wanted in (
        ({}, [basic, plain]),
        (bearer("wrong"), [basic, f'{plain}, error="invalid_token"']),
        ({"Authorization": "Basic YTpi"}, [basic, plain]),
        ({"Authorization": "Other x"}, [basic, plain]),
    ):
        answer = call(**headers)
        assert answer.status_code == 401
        assert answer.headers.getlist("WWW-Authenticate") == wanted


@pytest.mark.dicomweb_config(CONFIG)
def test_a_token_changes_things_too_and_is_in_no_log(dicomweb_client, caplog):
    with caplog.at_level("INFO"):
        answer = dicomweb_client.delete("/dicom-web/studies/1.2", headers=bearer(VIEWER))
    assert answer.status_code == 404
    assert " viewer DELETE " in caplog.text
    assert VIEWER not in caplog.text


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ({"viewer": VIEWER}, "'viewer'.*make-token"),
        ({"viewer": hashed(VIEWER).upper()}, "'viewer'.*make-token"),
        ({"viewer": {"Hash": VIEWER}}, "'viewer'.*make-token"),
        ({"viewer": {}}, "'viewer'.*make-token"),
        ({"viewer": None}, "'viewer'.*make-token"),
        ({"": hashed(VIEWER)}, "without name"),
        ({"a": hashed(VIEWER), "b": hashed(VIEWER)}, "twice"),
        ({"a": {"Hash": hashed(VIEWER), "Group": []}}, "possible are Hash, User, Groups"),
        ({"a": {"Hash": hashed(VIEWER), "Groups": "x"}}, "Groups"),
        ({"a": {"Hash": hashed(VIEWER), "User": ""}}, "User"),
        ([VIEWER], "object"),
    ],
    ids=str,
)
def test_what_is_no_hash_stops_the_start_and_is_not_shown(tmp_path, tokens, words):
    config = CONFIG | {"Authentication": {"Order": ["token"], "token": {"Tokens": tokens}}}
    with pytest.raises(ConfigError, match=words) as caught, temporary_app(tmp_path, config):
        pass
    assert VIEWER not in str(caught.value)


def test_without_tokens_nobody_could_log_in(tmp_path):
    config = {"AuthenticationEnabled": True, "Authentication": {"Order": ["token"]}}
    with pytest.raises(ConfigError, match="nobody can"), temporary_app(tmp_path, config):
        pass


def test_the_command_makes_a_token_and_its_hash(tmp_path):
    first, second = (CliRunner().invoke(cli, ["make-token"]).output for _ in range(2))
    token, digest = re.findall(r": +(\S+)$", first, re.MULTILINE)
    assert len(token) >= 43
    assert "." not in token
    assert token not in second
    config = CONFIG | {
        "Authentication": {"Order": ["token"], "token": {"Tokens": {"made": digest}}}
    }
    with temporary_app(tmp_path, config) as app:
        answer = app.test_client().get("/dicom-web/studies", headers=bearer(token))
        assert answer.status_code == 200


# --- the order -----------------------------------------------------------------------------


class Scripted(Authenticator):
    """Does what the header X-Do says."""

    asked: list

    def authenticate(self, request):
        Scripted.asked.append(self.name)
        what = request.headers.get(f"X-{self.name}", "pass")
        if what == "fail":
            raise AuthenticationFailed("it is wrong", challenge=f'{self.name} error="x"')
        if what == "away":
            raise AuthenticationUnavailable("nobody knows", 7)
        return None if what == "pass" else Identity(what, authenticated=True)

    def challenge(self):
        return self.name


First = type("First", (Scripted,), {"name": "First"})
Second = type("Second", (Scripted,), {"name": "Second"})


class Extension:
    @hookimpl
    def register_authenticators(self):
        return [First, Second]


@pytest.mark.parametrize(
    ("headers", "status", "asked", "challenges"),
    [
        ({"X-First": "a"}, 200, ["First"], []),
        ({"X-Second": "b"}, 200, ["First", "Second"], []),
        ({}, 401, ["First", "Second"], ["First", "Second"]),
        ({"X-First": "fail", "X-Second": "b"}, 401, ["First"], ['First error="x"', "Second"]),
        ({"X-Second": "fail"}, 401, ["First", "Second"], ["First", 'Second error="x"']),
        ({"X-First": "away", "X-Second": "b"}, 503, ["First"], []),
    ],
    ids=str,
)
def test_they_are_asked_in_order(tmp_path, headers, status, asked, challenges):
    config = {
        "AuthenticationEnabled": True,
        "Authentication": {"Order": ["First", "Second"]},
    }
    Scripted.asked = []
    with temporary_app(tmp_path, config, extensions=[("test", Extension())]) as app:
        answer = app.test_client().get("/dicom-web/studies", headers=headers)
    assert answer.status_code == status
    assert Scripted.asked == asked
    assert answer.headers.getlist("WWW-Authenticate") == challenges
    if status == 503:
        assert answer.headers["Retry-After"] == "7"
