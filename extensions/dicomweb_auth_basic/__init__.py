"""HTTP Basic authentication with the users of the configuration (`RegisteredUsers`)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import re
import secrets
import threading
import time
from collections import OrderedDict
from functools import cache
from typing import Any

import click
from flask import Request
from werkzeug.security import check_password_hash, generate_password_hash

from dicomweb_server import hookimpl
from dicomweb_server.config import Option, mapping
from dicomweb_server.interfaces.auth import AuthenticationFailed, Authenticator, Identity
from dicomweb_server.interfaces.provider import Settings

log = logging.getLogger(__name__)

REALM = "DICOMweb"
_HASH = re.compile(
    r"scrypt:(?P<cost>\d{1,8}):\d{1,4}:\d{1,4}\$[^$]+\$[0-9a-f]{128}"
    r"|pbkdf2:(?P<digest>\w+)(:\d{1,9})?\$[^$]+\$(?P<hex>[0-9a-f]+)"
)
_LIKE_A_HASH = re.compile(
    r"(scrypt|pbkdf2)[:$]|\$(\d|2[abxy]|y|apr1|argon2\w*|scrypt)\$|\{(S?SHA\d*|S?MD5|CRYPT)\}"
)
"""How our hashes begin, and those of other programs: htpasswd, crypt, LDAP."""
_REMEMBERED = 1024
_FREE_FAILURES = 5
_LONGEST_WAIT = 60.0
_FORGET_AFTER = 900.0


def _users(value: Any) -> dict[str, str]:
    users = mapping(value)
    for name, password in users.items():
        _check_user(name, password)
    return dict(users)


def _check_user(name: str, password: Any) -> None:
    """Raise ValueError with a sentence that names the user and never the password."""
    if not name or ":" in name:
        # What follows a colon may be a password.
        shown = f"{name.partition(':')[0]}:..." if name else ""
        raise ValueError(f"must hold user names without colon, and holds {shown!r}")
    if not isinstance(password, str):
        raise ValueError(f"must hold strings; the password of {name!r} is none")
    if not password:
        raise ValueError(f"holds an empty password for {name!r}; nobody could log in with it")
    if _LIKE_A_HASH.match(password) and not _is_hashed(password):
        raise ValueError(
            f"holds for {name!r} what begins like a hash and is none that can be checked; "
            f"`dicomweb-server hash-password` makes those that can"
        )


NO_USERS: dict[str, str] = {}

REGISTERED_USERS = Option(
    "RegisteredUsers",
    NO_USERS,
    "User names and passwords, hashed by `dicomweb-server hash-password` or in clear text.",
    _users,
    secret=True,
)


class Failures:
    """Slows guessing down: after some failures a key must wait, longer with each further one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Seconds until the key may try again."""
        count, last = self._counts.get(key, (0, 0.0))
        if count < _FREE_FAILURES:
            return 0.0
        pause = min(2.0 ** (count - _FREE_FAILURES), _LONGEST_WAIT)
        return max(0.0, last + pause - time.monotonic())

    def failed(self, key: str) -> None:
        """One more failure."""
        now = time.monotonic()
        with self._lock:
            count, last = self._counts.pop(key, (0, now))
            self._counts[key] = (1 if now - last > _FORGET_AFTER else count + 1, now)
            while len(self._counts) > 10_000:
                self._counts.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """The key knows the password."""
        with self._lock:
            self._counts.pop(key, None)


class BasicAuthenticator(Authenticator):
    """Checks user name and password (RFC 7617)."""

    name = "basic"
    lasting = True

    def __init__(self, settings: Settings) -> None:
        self._users = settings.config[REGISTERED_USERS]
        clear = [user for user, password in self._users.items() if not _is_hashed(password)]
        if clear:
            log.warning(
                "the passwords of %s stand in clear text in RegisteredUsers; "
                "`dicomweb-server hash-password` makes hashes",
                ", ".join(sorted(clear)),
            )
        self._failures = Failures()
        # Hashing a password takes 50 ms on purpose; a digest under a key that never leaves this
        # process remembers what was right.
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._decoy = _decoy() if self._users else ""

    @property
    def ready(self) -> bool:
        return bool(self._users)

    def challenge(self) -> str:
        return f'Basic realm="{REALM}", charset="UTF-8"'

    def authenticate(self, request: Request) -> Identity | None:
        header = request.environ.get("HTTP_AUTHORIZATION", "")
        scheme, _, encoded = header.partition(" ")
        if scheme.lower() != "basic":
            return None
        user, password = _decode(encoded)
        key = f"{request.environ.get('REMOTE_ADDR', '')} {user}"
        pause = self._failures.wait(key)
        if pause:
            raise AuthenticationFailed(
                "too many failures; try again later", int(pause) + 1, user=user
            )
        if not self._is_right(user, password):
            self._failures.failed(key)
            raise AuthenticationFailed("user name or password is wrong", user=user)
        self._failures.succeeded(key)
        return Identity(user, authenticated=True)

    def _is_right(self, user: str, password: str) -> bool:
        expected = self._users.get(user)
        secret = f"{user}\0{expected}\0{password}".encode()
        digest = hmac.new(self._key, secret, hashlib.sha256).digest()
        if digest in self._known:
            return True
        if not _matches(expected or self._decoy, password) or expected is None:
            return False
        self._known[digest] = None
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return True


@cache
def _decoy() -> str:
    """What is compared when nobody has the name: a guess at a user that is none takes as long.

    Made once per process, and only where there are users.
    """
    return generate_password_hash(secrets.token_hex(8))


def _is_hashed(password: str) -> bool:
    found = _HASH.fullmatch(password)
    if found is None:
        return False
    if found["digest"] is None:
        cost = int(found["cost"])
        return cost > 1 and cost & (cost - 1) == 0  # scrypt takes powers of two
    try:
        return len(found["hex"]) == 2 * hashlib.new(found["digest"]).digest_size
    except ValueError:
        return False


def _matches(expected: str, password: str) -> bool:
    if _is_hashed(expected):
        return check_password_hash(expected, password)
    return hmac.compare_digest(expected.encode(), password.encode())


def _decode(encoded: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise AuthenticationFailed("the credentials are not valid Base64 of UTF-8") from error
    user, colon, password = text.partition(":")
    if not colon:
        raise AuthenticationFailed("the credentials have no colon between user and password")
    return user, password


@hookimpl
def register_options() -> list[Option[Any]]:
    return [REGISTERED_USERS]


@hookimpl
def register_authenticators() -> list[type[Authenticator]]:
    return [BasicAuthenticator]


@click.command("hash-password")
@click.password_option(help="The password; asked for when not given.")
def hash_password(password: str) -> None:
    """Print the hash of a password for RegisteredUsers."""
    if not password:
        raise click.BadParameter("an empty password is none", param_hint="--password")
    click.echo(generate_password_hash(password))


@hookimpl
def register_commands(cli: click.Group) -> None:
    cli.add_command(hash_password)
