"""Who may call, from where, under which name, and who must log in."""

import base64

import pytest
from dicomweb_auth_basic import BasicAuthenticator, Failures
from werkzeug.security import generate_password_hash

from dicomweb_server import hookimpl
from dicomweb_server.config import ConfigError
from dicomweb_server.interfaces.auth import (
    EVERYTHING,
    NOTHING,
    Action,
    Authenticator,
    Authorizer,
)
from dicomweb_server.testing.apps import temporary_app
from dicomweb_server.testing.dicom import make_instance, multipart_body, path_of


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def status(client, address="127.0.0.1", host="localhost", path="/dicom-web/studies", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get(
        path, headers=named | {"Host": host}, environ_overrides={"REMOTE_ADDR": address}
    ).status_code


# --- the loopback rule ---------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", ""])
@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8042", "127.0.0.1:1", "[::1]", "x.localhost"]
)
def test_this_machine_is_served(dicomweb_client, address, host):
    assert status(dicomweb_client, address, host) == 200


@pytest.mark.parametrize(
    "address", ["192.0.2.1", "10.0.0.1", "::ffff:192.0.2.1", "2001:db8::1", "x"]
)
def test_other_machines_are_not(dicomweb_client, address):
    assert status(dicomweb_client, address) == 403
    assert status(dicomweb_client, address, path="/health/live") == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "192.0.2.1", "localhost.evil.example", "127.0.0.1.evil.example"]
)
def test_another_name_is_not(dicomweb_client, host):
    assert status(dicomweb_client, host=host) == 403


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X_Forwarded_For": "192.0.2.1"}, 403),
        ({"X_Forwarded_For": "127.0.0.1"}, 200),
        ({"X_Forwarded_For": "127.0.0.1, 192.0.2.1"}, 403),
        ({"X_Forwarded_For": "192.0.2.1, 127.0.0.1"}, 403),
        ({"Forwarded": "for=192.0.2.1"}, 403),
        ({"Forwarded": 'for="[2001:db8::1]:1234"'}, 403),
        ({"Forwarded": "for=127.0.0.1"}, 200),
        ({"Forwarded": "for=unknown"}, 403),
        ({"Forwarded": "for=127.0.0.1, for=192.0.2.1"}, 403),
    ],
    ids=str,
)
def test_who_comes_through_a_proxy_is_looked_at(dicomweb_client, headers, expected):
    assert status(dicomweb_client, **headers) == expected


@pytest.mark.dicomweb_config({"DicomWeb": {"Host": "pacs.example.org"}})
def test_the_configured_name_is_ours(dicomweb_client):
    assert status(dicomweb_client, host="pacs.example.org") == 200
    assert status(dicomweb_client, host="evil.example") == 403


# --- remote access -------------------------------------------------------------------------

OPEN = {"RemoteAccessAllowed": True, "AuthenticationEnabled": False}


@pytest.mark.dicomweb_config(OPEN)
def test_an_open_server_serves_everybody(dicomweb_client):
    assert status(dicomweb_client, "192.0.2.1", "pacs.example.org") == 200


@pytest.mark.dicomweb_config({"RemoteAccessEnabled": True, "AuthenticationEnabled": False})
def test_the_older_spelling_works(dicomweb_client):
    assert status(dicomweb_client, "192.0.2.1", "pacs.example.org") == 200


@pytest.mark.parametrize("name", ["RemoteAccessAllowed", "RemoteAccessEnabled"])
@pytest.mark.parametrize("more", [{}, {"AuthenticationEnabled": True}, {"RegisteredUsers": {}}])
def test_remote_access_without_users_refuses_the_start(tmp_path, name, more):
    with (
        pytest.raises(ConfigError, match=r"RegisteredUsers.*AuthenticationEnabled"),
        temporary_app(tmp_path, {name: True} | more),
    ):
        pass


# --- HTTP Basic ----------------------------------------------------------------------------

HASHES = {
    "scrypt": generate_password_hash("secret", "scrypt:1024:8:1"),
    "pbkdf2": generate_password_hash("secret", "pbkdf2:sha256:1000"),
    "clear": "secret",
}
LOGIN = {"RemoteAccessAllowed": True, "RegisteredUsers": HASHES}


@pytest.mark.dicomweb_config(LOGIN)
@pytest.mark.parametrize("user", HASHES)
def test_users_log_in(dicomweb_client, user):
    for address in ("192.0.2.1", "127.0.0.1"):
        assert status(dicomweb_client, address, **basic(user, "secret")) == 200
    assert status(dicomweb_client, **basic(user, "Secret")) == 401
    assert status(dicomweb_client, **basic(user, HASHES[user] + " ")) == 401


@pytest.mark.dicomweb_config(LOGIN)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("nobody", "secret"),
        basic("", ""),
        {"Authorization": "Basic"},
        {"Authorization": "Basic \xff"},
        {"Authorization": "Bearer abc"},
        {"Authorization": "Basic " + "A" * 10_000},
    ],
)
def test_others_get_401_with_a_challenge(dicomweb_client, headers):
    for path in ("/dicom-web/studies", "/extensions", "/nothing"):
        answer = dicomweb_client.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
        assert answer.json["HttpStatus"] == 401


@pytest.mark.dicomweb_config(LOGIN)
def test_probes_need_no_login(dicomweb_client):
    assert dicomweb_client.get("/health/live").status_code == 200
    assert dicomweb_client.get("/health/ready").status_code == 200


@pytest.mark.dicomweb_config(LOGIN)
def test_nothing_is_stored_without_login(dicomweb_client, dicomweb_context):
    body, content_type = multipart_body([make_instance()])
    answer = dicomweb_client.post("/dicom-web/studies", data=body, content_type=content_type)
    assert answer.status_code == 401
    assert answer.headers["Connection"] == "close"
    assert dicomweb_context.index.statistics().instances == 0


@pytest.mark.dicomweb_config({"AuthenticationEnabled": True, "RegisteredUsers": {"a": "b"}})
def test_authentication_without_remote_access(dicomweb_client):
    assert status(dicomweb_client) == 401
    assert status(dicomweb_client, **basic("a", "b")) == 200
    assert status(dicomweb_client, "192.0.2.1", **basic("a", "b")) == 403


def test_passwords_in_clear_text_are_warned_about(tmp_path, caplog):
    with temporary_app(tmp_path, LOGIN):
        pass
    assert "clear" in caplog.text
    assert "hash-password" in caplog.text
    assert "secret" not in caplog.text.replace("hash-password", "")


@pytest.mark.parametrize("users", [[], {"a": 1}, {"": "x"}, {"a:b": "x"}])
def test_wrong_lists_of_users_stop_the_start(tmp_path, users):
    with (
        pytest.raises(ConfigError, match="RegisteredUsers"),
        temporary_app(tmp_path, {"RegisteredUsers": users}),
    ):
        pass


@pytest.mark.dicomweb_config(LOGIN)
def test_guessing_is_slowed_down(dicomweb_client):
    answers = [
        dicomweb_client.get("/dicom-web/studies", headers=basic("clear", f"guess {n}"))
        for n in range(8)
    ]
    assert all(answer.status_code == 401 for answer in answers)
    assert int(answers[-1].headers["Retry-After"]) >= 1
    # The right one must wait too, others are not concerned.
    assert status(dicomweb_client, **basic("clear", "secret")) == 401
    assert status(dicomweb_client, **basic("pbkdf2", "secret")) == 200
    assert status(dicomweb_client, "192.0.2.1", **basic("clear", "secret")) == 200


def test_waiting_grows_and_ends(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("dicomweb_auth_basic.time.monotonic", lambda: now[0])
    failures = Failures()
    for _ in range(5):
        assert failures.wait("key") == 0
        failures.failed("key")
    first = failures.wait("key")
    failures.failed("key")
    assert failures.wait("key") > first > 0
    now[0] += 1000
    assert failures.wait("key") == 0
    failures.failed("key")
    assert failures.wait("key") == 0
    failures.succeeded("key")
    assert failures.wait("other") == 0


# --- pages of other sites ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "https://localhost"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:8000"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"}, 200),
        (
            {
                "Origin": "https://a.example",
                "X-Forwarded-Host": "a.example",
                "X-Forwarded-Proto": "https",
            },
            200,
        ),
    ],
    ids=str,
)
def test_a_page_of_another_site_changes_nothing(client, headers, expected):
    data = make_instance()
    body, content_type = multipart_body([data])
    answer = client.call("POST", "/studies", body=body, content_type=content_type, headers=headers)
    assert answer.status_code == expected
    assert len(client.found()) == (expected == 200)
    client.stored(data)
    deleted = client.call("DELETE", f"/{path_of(data)}", headers=headers)
    assert deleted.status_code == (204 if expected == 200 else 403)


def test_a_page_of_another_site_may_read(client):
    assert client.get("/studies", Origin="http://evil.example").status_code == 200


# --- authenticators and authorizers of extensions ------------------------------------------


class Fails(Authenticator):
    name = "fails"

    def authenticate(self, request):
        raise ZeroDivisionError("secret detail")

    def challenge(self):
        return "Fails"


class ReadsOnly(Authorizer):
    name = "reads-only"

    def scope(self, identity, action):
        if identity.user == "broken":
            raise ZeroDivisionError("secret detail")
        return EVERYTHING if action in (Action.READ, Action.SEARCH) else NOTHING


class Extension:
    @hookimpl
    def register_authenticators(self):
        return [Fails]

    @hookimpl
    def register_authorizers(self):
        return [ReadsOnly]


@pytest.fixture
def dicomweb_extensions():
    return [("test", Extension())]


@pytest.mark.dicomweb_config(
    {
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"a": "b"},
        "Authentication": {"Order": ["fails", "basic"]},
    }
)
def test_login_fails_closed(dicomweb_client):
    answer = dicomweb_client.get("/dicom-web/studies", headers=basic("a", "b"))
    assert answer.status_code == 401
    assert b"secret" not in answer.data


@pytest.mark.dicomweb_config(
    {
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"a": "b", "broken": "b"},
        "Authorization": {"Type": "reads-only"},
    }
)
def test_permission_is_asked_for_every_action(dicomweb_client, dicomweb_context):
    login = basic("a", "b")
    assert status(dicomweb_client, **login) == 200
    assert status(dicomweb_client, path="/extensions", **login) == 403
    body, content_type = multipart_body([make_instance()])
    answer = dicomweb_client.post(
        "/dicom-web/studies", data=body, content_type=content_type, headers=login
    )
    assert answer.status_code == 403
    assert dicomweb_context.index.statistics().instances == 0
    assert dicomweb_client.delete("/dicom-web/studies/1", headers=login).status_code == 403


@pytest.mark.dicomweb_config(
    {
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"broken": "b"},
        "Authorization": {"Type": "reads-only"},
    }
)
def test_permission_fails_closed(dicomweb_client):
    answer = dicomweb_client.get("/dicom-web/studies", headers=basic("broken", "b"))
    assert answer.status_code == 403
    assert b"secret" not in answer.data


def test_basic_is_the_default(dicomweb_context):
    (authenticator,) = dicomweb_context.providers.authenticators
    assert isinstance(authenticator, BasicAuthenticator)
