"""TLS: its options in Orthanc's spelling, and how connections are encrypted."""

from __future__ import annotations

import errno
import logging
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomweb_server.config import NO_TEXTS, Config, ConfigError, Option, boolean, text, whole

log = logging.getLogger(__name__)

_LOWEST = 4
_VERSIONS = {4: ssl.TLSVersion.TLSv1_2, 5: ssl.TLSVersion.TLSv1_3}


def _ciphers(value: Any) -> tuple[str, ...]:
    names = value.replace(",", ":").split(":") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError("must be a list of names of ciphers")
    return tuple(filter(None, (name.strip() for name in names)))


SSL_ENABLED = Option("SslEnabled", False, "Serve https instead of http.", boolean)
SSL_CERTIFICATE = Option(
    "SslCertificate",
    "certificate.pem",
    "PEM file with the certificate, those between it and its authority, and the private key.",
    text,
)
SSL_VERIFY_PEERS = Option(
    "SslVerifyPeers", False, "Serve only clients that show a certificate.", boolean
)
SSL_TRUSTED = Option(
    "SslTrustedClientCertificates",
    "trustedCertificates.pem",
    "PEM file with the authorities of those certificates.",
    text,
)
SSL_MINIMUM = Option(
    "SslMinimumProtocolVersion",
    _LOWEST,
    "Oldest version that is spoken: 4 is TLS 1.2, 5 is TLS 1.3; smaller numbers count as 4.",
    whole(0, 5),
)
SSL_CIPHERS = Option(
    "SslCiphersAccepted",
    NO_TEXTS,
    "Ciphers of TLS 1.2 by OpenSSL's names, a list or one text; empty: those of Python.",
    _ciphers,
)
OPTIONS: tuple[Option[Any], ...] = (
    *(SSL_ENABLED, SSL_CERTIFICATE, SSL_VERIFY_PEERS, SSL_TRUSTED, SSL_MINIMUM, SSL_CIPHERS),
)


def scheme(config: Config) -> str:
    """`http` or `https`: what the server itself speaks."""
    return "https" if config[SSL_ENABLED] else "http"


class TlsConnection(ssl.SSLSocket):
    """A connection that ends after some seconds of silence.

    The kernel's own limit has no effect here: Python asks for the rest of a record again and again.
    """

    silence: float = 60.0

    def setblocking(self, flag: bool) -> None:
        """Blocking means: for `silence` seconds."""
        self.settimeout(self.silence if flag else 0.0)

    def limit(self, seconds: float) -> None:
        """Change how long the other side may be silent."""
        self.silence = seconds
        self.settimeout(seconds)

    def do_handshake(self, block: bool = False) -> None:
        with _ending():
            super().do_handshake(block)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        with _ending():
            return super().recv(buflen, flags)


@contextmanager
def _ending() -> Iterator[None]:
    """Silence is an ordinary end of a connection, and nothing to be logged as a failure."""
    try:
        yield
    except TimeoutError as error:
        raise ConnectionResetError(errno.ECONNRESET, "it was silent for too long") from error


@dataclass(frozen=True, slots=True)
class _Files:
    """What a context is made of, resolved."""

    certificate: Path
    trusted: Path | None
    version: int
    ciphers: tuple[str, ...]


def _files(config: Config) -> _Files:
    trusted = config.path(config[SSL_TRUSTED]) if config[SSL_VERIFY_PEERS] else None
    return _Files(
        config.path(config[SSL_CERTIFICATE]), trusted, config[SSL_MINIMUM], config[SSL_CIPHERS]
    )


def _no_password() -> str:
    raise ConfigError("its private key is encrypted; possible is one without password")


def _built(files: _Files) -> ssl.SSLContext:
    """The context; raises `ConfigError` with the option that is wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslsocket_class = TlsConnection
    context.minimum_version = _VERSIONS[max(files.version, _LOWEST)]
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    with _reading(SSL_CERTIFICATE, files.certificate, "a certificate and its private key"):
        context.load_cert_chain(files.certificate, password=_no_password)
    if files.trusted is not None:
        with _reading(SSL_TRUSTED, files.trusted, "certificates of authorities"):
            context.load_verify_locations(files.trusted)
        context.verify_mode = ssl.CERT_REQUIRED
    if files.ciphers:
        try:
            context.set_ciphers(":".join(files.ciphers))
        except ssl.SSLError as error:
            raise ConfigError(
                f"{SSL_CIPHERS.name}: OpenSSL knows none of {', '.join(files.ciphers)}; "
                f"`openssl ciphers` lists what is possible"
            ) from error
    return context


@contextmanager
def _reading(option: Option[str], path: Path, wanted: str) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{option.name}: {path}: {error}") from None
    except ssl.SSLError as error:
        mismatch = "mismatch" in str(error).lower()
        found = "the private key is of another certificate" if mismatch else "they are not in it"
        raise ConfigError(
            f"{option.name}: {path} must hold {wanted}, as PEM in one file; {found}"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{option.name}: {path} cannot be read: {error.strerror}; possible is a PEM file with "
            f"{wanted}"
        ) from error


class Encryption:
    """Encrypts the connections of a server; takes a renewed certificate without a restart."""

    def __init__(self, config: Config, silence: float) -> None:
        self._files = _files(config)
        self._silence = silence
        self._lock = threading.Lock()
        self._context = _built(self._files)
        self._state = self._seen()
        if config[SSL_MINIMUM] < _LOWEST:
            log.warning(
                "%s is %d: versions before TLS 1.2 are broken and not spoken",
                *(SSL_MINIMUM.name, config[SSL_MINIMUM]),
            )

    @property
    def certificate(self) -> str:
        """The path of the certificate."""
        return str(self._files.certificate)

    def wrap_socket(self, connection: Any, **options: Any) -> ssl.SSLSocket:
        """Encrypt a connection that was accepted, as `ssl.SSLContext.wrap_socket` does."""
        self._refresh()
        connection.settimeout(self._silence)
        wrapped = self._context.wrap_socket(connection, **options)
        if isinstance(wrapped, TlsConnection):
            wrapped.silence = self._silence
        return wrapped

    def _seen(self) -> tuple[float, ...]:
        paths = (self._files.certificate, self._files.trusted)
        return tuple(path.stat().st_mtime for path in paths if path is not None)

    def _refresh(self) -> None:
        """Read the files again if they changed; what cannot be used leaves the old ones."""
        with self._lock:
            try:
                seen = self._seen()
                if seen == self._state:
                    return
                self._state = seen
                self._context = _built(self._files)
            except (OSError, ConfigError) as error:
                log.warning("the certificate stays the one that was read before: %s", error)


def encryption(config: Config, silence: float = 60.0) -> Encryption | None:
    """What encrypts connections; None for a server without TLS. Raises `ConfigError`."""
    return Encryption(config, silence) if config[SSL_ENABLED] else None
