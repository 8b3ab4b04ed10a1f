"""What every `Authenticator` and every `Authorizer` must do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from dicomweb_server.interfaces.auth import (
    ANONYMOUS,
    Action,
    AuthenticationFailed,
    Authenticator,
    Authorizer,
    Identity,
    Scope,
)
from dicomweb_server.testing.threads import together


def request_with(headers: Mapping[str, str]) -> Request:
    """A request as an authenticator gets it."""
    builder = EnvironBuilder(path="/dicom-web/studies", headers=list(headers.items()))
    builder.environ_base = {"REMOTE_ADDR": "192.0.2.7"}
    return Request(builder.get_environ())


class AuthenticatorContract:
    """Give the fixture `authenticator`, and headers of requests in `RIGHT` and `WRONG`.

    `RIGHT` are credentials that it takes, of the user `USER`; each of `WRONG` is meant for it
    and wrong. `FOREIGN` are credentials of another kind.
    """

    RIGHT: ClassVar[Mapping[str, str]]
    WRONG: ClassVar[tuple[Mapping[str, str], ...]]
    USER: ClassVar[str]
    FOREIGN: ClassVar[tuple[Mapping[str, str], ...]] = (
        {},
        {"Authorization": ""},
        {"Authorization": "Somehow abc"},
    )

    @pytest.fixture
    def authenticator(self) -> Authenticator:
        """The authenticator under test."""
        raise NotImplementedError("override the fixture `authenticator`")

    def test_right_credentials_say_who_asks(self, authenticator: Authenticator) -> None:
        for _ in range(2):
            identity = authenticator.authenticate(request_with(self.RIGHT))
            assert identity is not None
            assert identity.authenticated
            assert identity.user == self.USER

    def test_credentials_of_another_kind_are_for_others(self, authenticator: Authenticator) -> None:
        for headers in self.FOREIGN:
            assert authenticator.authenticate(request_with(headers)) is None

    def test_wrong_credentials_are_refused(self, authenticator: Authenticator) -> None:
        for headers in self.WRONG:
            with pytest.raises(AuthenticationFailed) as caught:
                authenticator.authenticate(request_with(headers))
            assert str(caught.value)

    def test_a_refusal_is_not_remembered_against_right_credentials(
        self, authenticator: Authenticator
    ) -> None:
        with pytest.raises(AuthenticationFailed):
            authenticator.authenticate(request_with(self.WRONG[0]))
        assert authenticator.authenticate(request_with(self.RIGHT)) is not None

    def test_a_refusal_does_not_repeat_the_credentials(self, authenticator: Authenticator) -> None:
        for headers in self.WRONG:
            with pytest.raises(AuthenticationFailed) as caught:
                authenticator.authenticate(request_with(headers))
            for value in headers.values():
                assert value not in str(caught.value)

    def test_the_challenge_is_a_header(self, authenticator: Authenticator) -> None:
        challenge = authenticator.challenge()
        assert challenge.isascii()
        assert challenge.isprintable()
        assert challenge.split()[0].isidentifier()

    def test_it_is_ready(self, authenticator: Authenticator) -> None:
        assert authenticator.ready is True

    def test_many_threads_log_in_at_once(self, authenticator: Authenticator) -> None:
        def log_in(_: int) -> list[Identity | None]:
            return [authenticator.authenticate(request_with(self.RIGHT)) for _ in range(5)]

        for found in together(log_in, range(4)):
            assert all(identity is not None and identity.user == self.USER for identity in found)


class AuthorizerContract:
    """Give the fixture `authorizer`, and in `ALLOWED` (identity, action) pairs that it allows."""

    ALLOWED: ClassVar[tuple[tuple[Identity, Action], ...]]

    @pytest.fixture
    def authorizer(self) -> Authorizer:
        """The authorizer under test."""
        raise NotImplementedError("override the fixture `authorizer`")

    @pytest.mark.parametrize("action", Action)
    @pytest.mark.parametrize("user", ["", "alice", "Ωé", "a" * 1000])
    def test_every_question_has_an_answer(
        self, authorizer: Authorizer, action: Action, user: str
    ) -> None:
        identity = Identity(user, ("group",), authenticated=bool(user))
        scope = authorizer.scope(identity, action)
        assert isinstance(scope, Scope)
        assert not (scope.everything and scope.nothing)

    @pytest.mark.parametrize("action", [a for a in Action if a is not Action.PUBLIC])
    def test_who_has_not_logged_in_may_nothing(
        self, authorizer: Authorizer, action: Action
    ) -> None:
        assert authorizer.scope(ANONYMOUS, action).nothing
        assert authorizer.scope(Identity("alice", authenticated=False), action).nothing

    def test_who_is_allowed_may(self, authorizer: Authorizer) -> None:
        for identity, action in self.ALLOWED:
            assert not authorizer.scope(identity, action).nothing

    def test_the_same_question_has_the_same_answer(self, authorizer: Authorizer) -> None:
        for identity, action in self.ALLOWED:
            first, second = (authorizer.scope(identity, action) for _ in range(2))
            # Scopes are part of the keys of caches.
            assert first == second
            assert repr(first) == repr(second)
            assert hash(first) == hash(second)
