"""Metadata mode `Full`, HTTP Basic and allow-authenticated keep their contracts."""

import base64

import pytest
from dicomweb_auth_basic import REGISTERED_USERS, BasicAuthenticator
from dicomweb_authz_authenticated import AllowAuthenticated
from werkzeug.security import generate_password_hash

from dicomweb_server.interfaces.auth import Action, Identity
from dicomweb_server.testing.contracts import (
    AuthenticatorContract,
    AuthorizerContract,
    MetadataModeContract,
)
from dicomweb_server.testing.providers import build_provider


def basic(user, password):
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


class TestFull(MetadataModeContract):
    @pytest.fixture
    def mode(self, dicomweb_context):
        return dicomweb_context.providers.metadata_modes["Full"]


class TestBasicClear(AuthenticatorContract):
    RIGHT = basic("älice", "pä:ss")
    USER = "älice"
    WRONG = (
        basic("älice", "wrong"),
        basic("älice", ""),
        basic("nobody", "pä:ss"),
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"no colon").decode()},
    )

    @pytest.fixture
    def authenticator(self, tmp_path):
        return build_provider(
            BasicAuthenticator,
            tmp_path,
            config={"RegisteredUsers": {"älice": "pä:ss"}},
            options=[REGISTERED_USERS],
        )


HASHED = generate_password_hash("secret", "pbkdf2:sha256:1000")


class TestBasicHashed(TestBasicClear):
    RIGHT = basic("bob", "secret")
    USER = "bob"
    WRONG = (basic("bob", "Secret"), basic("bob", HASHED), basic("", "secret"))

    @pytest.fixture
    def authenticator(self, tmp_path):
        return build_provider(
            BasicAuthenticator,
            tmp_path,
            config={"RegisteredUsers": {"bob": HASHED}},
            options=[REGISTERED_USERS],
        )


class TestAllowAuthenticated(AuthorizerContract):
    ALLOWED = tuple((Identity("alice", authenticated=True), action) for action in Action)

    @pytest.fixture
    def authorizer(self, tmp_path):
        return build_provider(AllowAuthenticated, tmp_path)
