"""Options of the core that more than one part reads, and the sections that choose providers."""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

from dicomweb_server.config import (
    EMPTY,
    IGNORE_UNKNOWN,
    NO_TEXTS,
    Option,
    boolean,
    mapping,
    one_of,
    optional_boolean,
    text,
    texts,
    whole,
)

_HOST_NAME = re.compile(r"(?=.{1,253}$)(\w([\w-]{0,61}\w)?(\.|$))+", re.ASCII)


def addresses(value: Any) -> tuple[str, ...]:
    """IP addresses or names of hosts, without port."""
    hosts = texts(value)
    for host in hosts:
        if not _is_address(host) and not _HOST_NAME.fullmatch(host):
            raise ValueError("must be a list of IP addresses or host names, without port")
    return hosts


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


NAME = Option("Name", "MyOrthanc", "Name of this server.", text)
HTTP_PORT = Option("HttpPort", 8042, "TCP port of the HTTP server.", whole(1, 65535))
HTTP_BIND_ADDRESSES = Option(
    "HttpBindAddresses",
    NO_TEXTS,
    "Addresses to listen on; empty: loopback, or all when RemoteAccessAllowed.",
    addresses,
)
HTTP_WORKERS = Option("HttpWorkers", 0, "Server processes; 0: one for each core.", whole())
HTTP_THREADS = Option(
    "HttpThreadsCount", 50, "Requests that run at the same time in each process.", whole(1, 1000)
)
STORAGE_DIRECTORY = Option(
    "StorageDirectory", "data", "Folder of the DICOM files; relative to this file.", text
)
INDEX_DIRECTORY = Option(
    "IndexDirectory", "", "Folder of the index and caches; empty: StorageDirectory.", text
)
READ_ONLY = Option("ReadOnly", False, "Refuse to store and delete.", boolean)
MAXIMUM_BODY = Option(
    "MaximumRequestBodySizeMB", 0, "Largest body of a request, in MiB; 0: no limit.", whole()
)
DESCRIBE_ERRORS = Option(
    "HttpDescribeErrors", True, "Answer errors with a JSON document instead of nothing.", boolean
)
COMPRESSION = Option(
    "HttpCompressionEnabled",
    True,
    "Send JSON and XML compressed to clients that accept gzip.",
    boolean,
)

REQUEST_TIMEOUT = Option(
    "HttpRequestTimeout",
    30,
    "Seconds that a connection may stay silent in the middle of a request or answer.",
    whole(1),
)

REPEATED_ANSWERS = Option(
    "RepeatedAnswersMB",
    16,
    "Memory of each worker for answers that are sent again to who asks the same again, in MiB, "
    "until something in the index changes; 0: every answer is made anew.",
    whole(),
)

ROOT = Option("DicomWeb.Root", "/dicom-web/", "Root of the DICOMweb routes.", text)
PUBLIC_ROOT = Option(
    "DicomWeb.PublicRoot", "", "Root in generated URLs; empty: DicomWeb.Root.", text
)
ENABLE = Option("DicomWeb.Enable", True, "Whether the DICOMweb routes exist.", boolean)
HOST = Option(
    "DicomWeb.Host",
    "",
    'Host of generated URLs; empty (or "localhost"): the one that the client called.',
    text,
)
SSL = Option("DicomWeb.Ssl", False, "Generate https:// URLs.", boolean)
STUDIES_METADATA = Option(
    "DicomWeb.StudiesMetadata", "Full", "Mode of the metadata of studies.", text
)
SERIES_METADATA = Option("DicomWeb.SeriesMetadata", "Full", "Mode of the metadata of series.", text)

STORAGES = Option(
    "Storages",
    EMPTY,
    'Storages by alias: {"default": {"Type": "filesystem", "Path": "..."}}.',
    mapping,
)
DEFAULT_STORAGE = Option(
    "DefaultStorage", "default", "Alias of the storage that new instances go to.", text
)
INDEX = Option("Index", EMPTY, 'The index: {"Type": "sql", "Url": "..."}.', mapping)
STATE_STORE = Option("StateStore", EMPTY, 'The state store: {"Type": "sql"}.', mapping)
AUTHENTICATION = Option(
    "Authentication", EMPTY, 'Who finds out who asks: {"Order": ["basic"]}.', mapping
)
AUTHORIZATION = Option(
    "Authorization", EMPTY, 'Who may do what: {"Type": "allow-authenticated"}.', mapping
)


def _origins(value: Any) -> tuple[str, ...]:
    listed = texts(value)
    for origin in listed:
        parts = urlsplit(origin)
        if origin != "*" and (not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}"):
            raise ValueError(
                f'must list origins such as "https://viewer.example:8443", without a path; found '
                f"{origin!r}"
            )
    return listed


CORS_ORIGINS: Option[tuple[str, ...]] = Option(
    "CorsAllowedOrigins",
    (),
    'Origins whose pages may use the server: ["https://viewer.example"]; "*" for any, without a '
    "login kept by the browser.",
    _origins,
)
INGEST_FILTERS = Option(
    "IngestFilters",
    NO_TEXTS,
    "Names of the filters that instances pass on their way in, in order.",
    texts,
)

_CODECS: tuple[str, ...] = ("imagecodecs",)
_RENDERERS: tuple[str, ...] = ("pillow",)
CODECS = Option(
    "Codecs",
    _CODECS,
    "Names of the codecs that decode and encode frames, the preferred one first.",
    texts,
)
RENDERERS = Option(
    "Renderers",
    _RENDERERS,
    "Names of what writes rendered images, the preferred one first.",
    texts,
)

REMOTE_ACCESS = Option("RemoteAccessAllowed", False, "Serve clients on other machines.", boolean)
REMOTE_ACCESS_OLD = Option(
    "RemoteAccessEnabled", False, "Older spelling of RemoteAccessAllowed.", boolean
)
AUTHENTICATION_ENABLED = Option(
    "AuthenticationEnabled",
    None,
    "Whether clients must log in; null: if RemoteAccessAllowed.",
    optional_boolean,
)

LOG_LEVEL = Option(
    "LogLevel",
    "info",
    "Least important messages that are logged.",
    one_of("debug", "info", "warning", "error"),
)

LOG_FORMAT = Option(
    "LogFormat",
    "text",
    "How messages are logged: text, or json with one object a line.",
    one_of("text", "json"),
)
TRACE_HOOKS = Option(
    "TraceHooks",
    False,
    "Log each call of a hook, and how long each extension works at start and for each request.",
    boolean,
)
GRACEFUL_TIMEOUT = Option(
    "GracefulTimeout",
    30,
    "Seconds that requests have to end when the server stops or reloads.",
    whole(1),
)

OPTIONS = (
    *(NAME, HTTP_PORT, HTTP_BIND_ADDRESSES, HTTP_WORKERS, HTTP_THREADS),
    *(STORAGE_DIRECTORY, INDEX_DIRECTORY, READ_ONLY, MAXIMUM_BODY, DESCRIBE_ERRORS, COMPRESSION),
    *(REQUEST_TIMEOUT, REPEATED_ANSWERS),
    *(ROOT, PUBLIC_ROOT, ENABLE, HOST, SSL, STUDIES_METADATA, SERIES_METADATA),
    *(STORAGES, DEFAULT_STORAGE, INDEX, STATE_STORE, AUTHENTICATION, AUTHORIZATION),
    CORS_ORIGINS,
    *(INGEST_FILTERS, CODECS, RENDERERS),
    *(REMOTE_ACCESS, REMOTE_ACCESS_OLD, AUTHENTICATION_ENABLED, LOG_LEVEL, LOG_FORMAT),
    *(TRACE_HOOKS, GRACEFUL_TIMEOUT, IGNORE_UNKNOWN),
)


def slashed(root: str) -> str:
    """A root with a slash at both ends."""
    stripped = root.strip("/")
    return f"/{stripped}/" if stripped else "/"
