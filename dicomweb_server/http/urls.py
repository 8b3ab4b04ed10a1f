"""The base URL of what the server hands out: RetrieveURL, BulkDataURI, Content-Location."""

from __future__ import annotations

from typing import Any

from dicomweb_server.config import Config
from dicomweb_server.http.hosts import has_no_port, is_host, is_loopback_name
from dicomweb_server.settings import HOST, PUBLIC_ROOT, ROOT, SSL, slashed

FORWARDED_HOST = "dicomweb.forwarded_host"
FORWARDED_PROTO = "dicomweb.forwarded_proto"
FORWARDED_FOR = "dicomweb.forwarded_for"
"""Keys of the WSGI environment with what a *trusted* proxy says; the extension `proxy-headers`
sets them, and another may do so in its place."""


def public_root(config: Config) -> str:
    """`PublicRoot`, or `Root`, with slashes at both ends."""
    return slashed(config[PUBLIC_ROOT] or config[ROOT])


def configured_host(config: Config) -> str:
    """The fixed host, or ""; "localhost", the default of old documentation, counts as unset."""
    return "" if config[HOST] == "localhost" else config[HOST]


def origin(config: Config, environ: dict[str, Any]) -> str:
    """`scheme://host` as the client should call the server."""
    scheme = "https" if config[SSL] else "http"
    fixed = configured_host(config)
    if fixed:
        return f"{scheme}://{fixed}"
    if environ.get("wsgi.url_scheme") == "https":
        scheme = "https"
    if environ.get(FORWARDED_PROTO) in ("http", "https"):
        scheme = environ[FORWARDED_PROTO]
    for host in (environ.get(FORWARDED_HOST), _called_by(environ)):
        if host and is_host(host):
            return f"{scheme}://{host}"
    return f"{scheme}://localhost:{environ.get('SERVER_PORT', '8042')}"


def _called_by(environ: dict[str, Any]) -> str | None:
    """The `Host` header; with the port that some clients (dicomweb-client) leave out.

    Only for names of this machine: any other name may be that of a proxy on another port.
    """
    host: str | None = environ.get("HTTP_HOST")
    port = environ.get("SERVER_PORT", "80")
    if host and port not in ("80", "443") and has_no_port(host) and is_loopback_name(host):
        return f"{host}:{port}"
    return host


def base_url(config: Config, environ: dict[str, Any]) -> str:
    """The base URL with a slash at its end, for example `http://localhost:8042/dicom-web/`."""
    return origin(config, environ) + public_root(config)
