"""Believes what trusted reverse proxies say about the client and about the public URL.

`X-Forwarded-*` and `Forwarded` (RFC 7239, quoted values too) count only when the peer is one of
`TrustedProxies`. Host and protocol only shape URLs; the client's address decides about access.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from flask import Flask

from dicomweb_server import hookimpl
from dicomweb_server.config import Option, texts
from dicomweb_server.context import ServerContext
from dicomweb_server.http.urls import FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO

_HEADERS = frozenset(
    {
        "HTTP_FORWARDED",
        "HTTP_X_FORWARDED_FOR",
        "HTTP_X_FORWARDED_HOST",
        "HTTP_X_FORWARDED_PROTO",
    }
)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_PAIR = re.compile(r'\s*([A-Za-z]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;,]*)\s*(?:;|$)')
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")*')


def _networks(value: Any) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts(value))
    except ValueError as error:
        raise ValueError(f"must be a list of IP addresses or networks ({error})") from error


TRUSTED_PROXIES = Option(
    "TrustedProxies",
    _networks(["127.0.0.0/8", "::1/128"]),
    "Addresses or networks of reverse proxies whose headers are believed.",
    _networks,
)


def first_element(header: str) -> dict[str, str]:
    """The parameters of the first element of a `Forwarded` header, names in lower case."""
    match = _ELEMENT.match(header)
    element = match.group() if match else ""
    pairs: dict[str, str] = {}
    for name, value in _PAIR.findall(element):
        text = value.strip()
        if len(text) > 1 and text[0] == text[-1] == '"':
            text = re.sub(r"\\(.)", r"\1", text[1:-1])
        pairs.setdefault(name.lower(), text)
    return pairs


def public_view(environ: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """(host, protocol) as the client used them: the first rule that yields a host wins."""
    host = environ.get("HTTP_X_FORWARDED_HOST", "").split(",")[0].strip()
    proto = environ.get("HTTP_X_FORWARDED_PROTO", "").split(",")[0].strip()
    if host and proto:
        return host, proto
    forwarded = first_element(environ.get("HTTP_FORWARDED", ""))
    return forwarded.get("host"), forwarded.get("proto")


def _address(text: str) -> str:
    """An address without its port."""
    text = text.strip().strip('"')
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


class ClientAddress:
    """Finds the client behind any number of trusted proxies."""

    def __init__(self, trusted: Iterable[Network]) -> None:
        self._trusted = tuple(trusted)
        self.is_trusted = lru_cache(maxsize=1024)(self._is_trusted)

    def _is_trusted(self, address: str) -> bool:
        """Whether an address is that of a trusted proxy; a Unix socket (no address) is."""
        if not address:
            return True
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        parsed = getattr(parsed, "ipv4_mapped", None) or parsed
        return any(parsed in network for network in self._trusted)

    def of(self, environ: Mapping[str, Any]) -> str | None:
        """The nearest address that is not a trusted proxy: what is further left may be forged."""
        header = environ.get("HTTP_X_FORWARDED_FOR", "")
        chain = [_address(part) for part in header.split(",") if part.strip()]
        if not chain:
            elements = _ELEMENT.findall(environ.get("HTTP_FORWARDED", ""))
            named = (first_element(element).get("for") for element in elements)
            chain = [_address(text) for text in named if text]
        for address in reversed(chain):
            if not self.is_trusted(address):
                return address
        return chain[0] if chain else None


@hookimpl
def register_options() -> list[Option[Any]]:
    return [TRUSTED_PROXIES]


@hookimpl
def prepare_app(app: Flask, context: ServerContext) -> None:
    client = ClientAddress(context.config[TRUSTED_PROXIES])
    inner = app.wsgi_app

    def behind_proxies(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        said = not environ.keys().isdisjoint(_HEADERS)
        if said and client.is_trusted(environ.get("REMOTE_ADDR", "")):
            environ[FORWARDED_HOST], environ[FORWARDED_PROTO] = public_view(environ)
            environ[FORWARDED_FOR] = client.of(environ)
        return inner(environ, start_response)

    app.wsgi_app = behind_proxies  # type: ignore[method-assign]
