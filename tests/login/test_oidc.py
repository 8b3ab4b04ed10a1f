"""OpenID Connect: who signed a token, for whom, and what happens without the provider."""

import base64
import hashlib
import hmac
import json
import sys
import time
from typing import ClassVar

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from dicomweb_auth_oidc import OidcAuthenticator

from dicomweb_server.config import ConfigError
from dicomweb_server.testing.apps import temporary_app
from dicomweb_server.testing.contracts import AuthenticatorContract
from dicomweb_server.testing.providers import build_provider
from tests.login.provider import CLIENT, Provider

SECRET = "0123456789abcdef0123456789abcdef"


def section(provider, **more):
    return {
        "Issuer": provider.issuer,
        "Audience": CLIENT,
        "UserClaim": "preferred_username",
        "GroupsClaim": "realm_access.roles",
    } | more


def config(provider, **more):
    return {
        "AuthenticationEnabled": True,
        "Authentication": {"Order": ["oidc"], "oidc": section(provider, **more)},
        "Authorization": {
            "Type": "rules",
            "Rules": [{"Groups": ["readers"], "Actions": ["search"]}],
        },
    }


@pytest.fixture
def ask(tmp_path, provider):
    with temporary_app(tmp_path, config(provider)) as app:
        client = app.test_client()

        def call(token, path="/dicom-web/studies"):
            return client.get(path, headers={"Authorization": f"Bearer {token}"})

        yield call


def test_a_token_of_the_provider_is_a_login(ask, provider):
    assert ask(provider.token()).status_code == 200
    assert ask(provider.token(realm_access={"roles": ["others"]})).status_code == 403
    assert ask(provider.token(realm_access=None)).status_code == 403
    assert len(provider.asked) == 2  # the discovery document, and the keys, once


def test_tokens_of_elliptic_curves_are_taken(ask, provider):
    provider.rotate("ES256")
    assert ask(provider.token()).status_code == 200


def unsigned(provider):
    def part(document):
        return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()

    header = {"alg": "none", "typ": "JWT", "kid": provider.kid}
    return f"{part(header)}.{part(provider.claims())}."


def public_pem(provider):
    return provider.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def confused(provider):
    """Signed with the public key as if it were a shared secret."""
    head, body, _ = jwt.encode(
        provider.claims(), SECRET, "HS256", headers={"kid": provider.kid}
    ).split(".")
    mac = hmac.new(public_pem(provider), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


WRONG = {
    "another key": lambda p: p.token(key=rsa.generate_private_key(65537, 2048)),
    "unknown key": lambda p: p.token(headers={"kid": "other"}),
    "no key": lambda p: p.token(headers={"kid": ""}),
    "expired": lambda p: p.token(exp=int(time.time()) - 3600),
    "not yet": lambda p: p.token(nbf=int(time.time()) + 3600),
    "for ever": lambda p: p.token(exp=None),
    "another audience": lambda p: p.token(aud="account"),
    "no audience": lambda p: p.token(aud=None),
    "another issuer": lambda p: p.token(iss=p.origin + "/realms/other"),
    "no issuer": lambda p: p.token(iss=None),
    "no user": lambda p: p.token(preferred_username=None),
    "user with a line break": lambda p: p.token(preferred_username="a\nb"),
    "user that is a list": lambda p: p.token(preferred_username=["a"]),
    "critical": lambda p: p.token(headers={"crit": ["b64"], "b64": True}),
    "another algorithm": lambda p: p.token(algorithm="PS256"),
    "none": unsigned,
    "HS256 with the public key": confused,
    "changed": lambda p: p.token()[:-8] + "AAAAAAAA",
    "not JSON": lambda p: "a.b.c",
    "empty": lambda p: "..",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_token_is_none(ask, provider, name):
    token = WRONG[name](provider)
    answer = ask(token)
    assert answer.status_code == 401
    (challenge,) = answer.headers.getlist("WWW-Authenticate")
    assert challenge.startswith('Bearer realm="DICOMweb", error="invalid_token"')
    assert token not in answer.text
    assert ask(provider.token()).status_code == 200


def test_clocks_may_differ_a_little(ask, provider):
    assert ask(provider.token(exp=int(time.time()) - 20)).status_code == 200


def test_other_credentials_are_for_others(ask):
    for token in ("abc", "a.b", "a.b.c.d"):
        answer = ask(token)
        assert answer.status_code == 401
        assert "none of those taken here: oidc" in answer.json["Details"]


# --- the provider's keys -------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("dicomweb_auth_oidc.provider.time.monotonic", lambda: now[0])
    return now


def test_a_new_key_is_asked_for_once_in_a_while(clock, ask, provider):
    assert ask(provider.token()).status_code == 200
    clock[0] += 60
    provider.rotate()
    assert ask(provider.token()).status_code == 200
    assert len(provider.asked) == 4
    for _ in range(5):
        assert ask(provider.token(headers={"kid": "invented"})).status_code == 401
    assert len(provider.asked) == 4
    provider.rotate()
    assert ask(provider.token()).status_code == 401  # asked a moment ago
    clock[0] += 11
    assert ask(provider.token()).status_code == 200
    assert len(provider.asked) == 6


def test_a_key_that_was_withdrawn_is_forgotten(clock, ask, provider):
    old = provider.token()
    assert ask(old).status_code == 200
    provider.rotate()
    assert ask(old).status_code == 200
    clock[0] += 601
    assert ask(old).status_code == 401


@pytest.mark.parametrize(
    "breakage",
    [
        lambda p: setattr(p, "broken", True),
        lambda p: p.documents.clear(),
        lambda p: p.documents.update({path: [] for path in p.documents}),
        lambda p: [d.update(issuer="http://other") for d in p.documents.values()],
        lambda p: [d.update(jwks_uri="http://192.0.2.1/keys") for d in p.documents.values()],
        lambda p: [d.update(jwks_uri=7) for d in p.documents.values()],
        lambda p: [d.update(keys="none") for d in p.documents.values()],
    ],
)
def test_without_the_provider_nobody_gets_in(clock, ask, provider, breakage, caplog):
    whole = {path: dict(document) for path, document in provider.documents.items()}
    breakage(provider)
    answer = ask(provider.token())
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert "provider of logins" in answer.json["Details"]
    assert provider.issuer in caplog.text
    asked = len(provider.asked)
    assert ask(provider.token()).status_code == 503
    assert len(provider.asked) == asked
    provider.broken, provider.documents = False, whole
    clock[0] += 11
    assert ask(provider.token()).status_code == 200


def test_keys_outlive_a_short_absence_and_no_longer_one(clock, ask, provider):
    assert ask(provider.token()).status_code == 200
    provider.broken = True
    clock[0] += 500
    assert ask(provider.token()).status_code == 200
    clock[0] += 200
    assert ask(provider.token()).status_code == 503


def test_a_provider_that_is_gone_is_503(tmp_path):
    gone = Provider()
    gone.close()
    with temporary_app(tmp_path, config(gone)) as app:
        answer = app.test_client().get(
            "/dicom-web/studies", headers={"Authorization": f"Bearer {gone.token()}"}
        )
        assert answer.status_code == 503


def test_no_redirect_is_followed(ask, provider, monkeypatch):
    handler = provider.server.RequestHandlerClass

    def do_redirect(self):
        self.send_response(302)
        self.send_header("Location", f"{provider.origin}{self.path}?again")
        self.end_headers()

    monkeypatch.setattr(handler, "do_GET", do_redirect)
    assert ask(provider.token()).status_code == 503


# --- without asking ------------------------------------------------------------------------


def test_keys_may_stand_in_the_configuration(tmp_path, provider):
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [provider.jwk()]}))
    for keys in ({"keys": [provider.jwk(alg=None)]}, str(path)):
        if isinstance(keys, dict):
            del keys["keys"][0]["alg"]
        authenticator = build_provider(OidcAuthenticator, tmp_path, section(provider, Keys=keys))
        reader = authenticator._reader
        assert reader.identity(provider.token()).user == "alice"
    assert provider.asked == []


def test_a_shared_secret_works_with_its_algorithm_alone(tmp_path, provider):
    own = section(provider, Secret=SECRET, Algorithms=["HS256"])
    reader = build_provider(OidcAuthenticator, tmp_path, own)._reader
    assert reader.identity(provider.token(SECRET, "HS256")).user == "alice"
    for token in (provider.token(), provider.token("f" * 32, "HS256"), unsigned(provider)):
        with pytest.raises(Exception, match="token"):
            reader.identity(token)


def test_a_secret_among_the_providers_keys_is_not_used(ask, provider):
    text = base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()
    provider.publish([provider.jwk(), {"kty": "oct", "k": text, "kid": "shared", "alg": "HS256"}])
    assert ask(provider.token()).status_code == 200
    assert ask(provider.token(SECRET, "HS256", {"kid": "shared"})).status_code == 401


@pytest.mark.parametrize(
    ("claim", "groups"),
    [
        ("", ()),
        ("realm_access.roles", ("offline_access", "readers")),
        ("roles", ("a",)),
        ("https://example.org/roles", ("b",)),
        ("realm_access", ()),
        ("sub.roles", ()),
    ],
)
def test_groups_come_from_a_claim(tmp_path, provider, claim, groups):
    own = section(provider, Keys={"keys": [provider.jwk()]}, GroupsClaim=claim)
    reader = build_provider(OidcAuthenticator, tmp_path, own)._reader
    more = {"roles": "a", "https://example.org/roles": ["b", 7, ""]}
    assert reader.identity(provider.token(**more)).groups == groups


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"Issuer": ""}, "Issuer is missing"),
        ({"Issuer": "http://idp.example"}, "https://.*AllowHttp"),
        ({"Issuer": "ftp://idp.example"}, "https://"),
        ({"Audience": []}, "Audience is missing"),
        ({"Audience": ["a", ""]}, "Audience is missing"),
        ({"Audience": 3}, "Audience"),
        ({"UserClaim": ""}, "UserClaim is empty"),
        ({"Algorithms": ["none"]}, "Algorithms must be a list of some of RS256"),
        ({"Algorithms": []}, "Algorithms must be"),
        ({"Algorithms": ["HS256"]}, "needs a Secret"),
        ({"Algorithms": ["HS256", "RS256"], "Secret": SECRET}, "others than HS256"),
        ({"Algorithms": ["HS256"], "Secret": "short"}, "shorter than the 32 bytes"),
        ({"Algorithms": ["HS256"], "Secret": SECRET, "Keys": {"keys": []}}, "one of the two"),
        ({"Keys": {"keys": []}}, "no public key"),
        ({"Keys": {"keys": 3}}, "no list of keys"),
        ({"Keys": {"kty": "RSA"}}, "Keys must be"),
        ({"Keys": "nowhere.json"}, "nowhere.json cannot be read"),
        ({"ClockSkew": 10**6}, "ClockSkew"),
        ({"KeyLifetime": 3}, "did you mean KeysLifetime"),
    ],
    ids=str,
)
def test_what_could_let_in_somebody_stops_the_start(tmp_path, provider, own, words):
    with (
        pytest.raises(ConfigError, match=rf"(?s)Authentication\.oidc.*{words}") as caught,
        temporary_app(tmp_path, config(provider, **own)),
    ):
        pass
    assert "short'" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_missing_library_is_a_sentence(tmp_path, provider, monkeypatch):
    monkeypatch.delitem(sys.modules, "dicomweb_auth_oidc.tokens", raising=False)
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ConfigError, match=r"pip install 'dicomweb-server\[oidc\]'"):
        build_provider(OidcAuthenticator, tmp_path, section(provider))


@pytest.fixture(scope="module")
def shared_provider():
    running = Provider()
    yield running
    running.close()


class TestOidc(AuthenticatorContract):
    RIGHT: ClassVar = {}
    WRONG = ({"Authorization": "Bearer a.b.c"}, {"Authorization": "bearer .."})
    USER = "alice"
    FOREIGN = (
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer abc"},
        {"Authorization": "Basic abc"},
    )

    @pytest.fixture
    def authenticator(self, tmp_path, shared_provider):
        self.RIGHT = {"Authorization": f"Bearer {shared_provider.token()}"}
        return build_provider(OidcAuthenticator, tmp_path, section(shared_provider))
