"""What is generated for readers: the example configuration and tables inside of documents.

Everything comes from declarations (options, hooks, extensions), so that it cannot be forgotten.
A table stands in a Markdown file between `<!-- generated: NAME -->` and `<!-- end: NAME -->`.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dicomweb_server import plugins, reference_options, services, settings, tls
from dicomweb_server.config import Option
from dicomweb_server.hook_descriptions import hooks_section
from dicomweb_server.http.description import RouteDescription, described_routes
from dicomweb_server.plugins import Extensions, load_extensions
from dicomweb_server.web.app import build_app, create_context
from dicomweb_server.web.capabilities import openapi

DISTRIBUTION = "dicomweb-server"
EXAMPLE = "config.example.json"
OPENAPI = "docs/openapi.json"
DOCUMENTS = (
    "docs/configuration.md",
    "docs/conformance-statement.md",
    "docs/extensions.md",
    "extensions/README.md",
)

_PROVIDERS: Mapping[str, tuple[str, str]] = {
    "register_storages": ("BlobStore", "storage"),
    "register_indexes": ("Index", "index"),
    "register_state_stores": ("StateStore", "state store"),
    "register_metadata_modes": ("MetadataMode", "metadata mode"),
    "register_ingest_filters": ("IngestFilter", "ingest filter"),
    "register_codecs": ("Codec", "codec"),
    "register_renderers": ("Renderer", "renderer"),
    "register_authenticators": ("Authenticator", "authenticator"),
    "register_authorizers": ("Authorizer", "authorizer"),
}
"""Hooks that register classes: the interface, and what it is called in sentences."""

_HEADER = """\
// Every option with its default. Copy what you want to change to config.json; what a
// configuration does not name keeps its default. Comments, ${VAR} and ${VAR:-default} are
// understood. Written by `dicomweb-server docs`; the manual is docs/configuration.md.
"""


class Documented:
    """The default extensions, without whatever else is installed here."""

    def __init__(self) -> None:
        loaded = load_extensions()
        self.extensions: Extensions = loaded
        self.infos = [info for info in loaded.infos if info.origin == DISTRIBUTION]
        self.names = {info.name for info in self.infos}

    def collect(self, hook: str) -> list[tuple[str, Any]]:
        """(extension, item) of what the default extensions give to a hook."""
        return [pair for pair in self.extensions.collect(hook) if pair[0] in self.names]

    def providers(self, hook: str) -> dict[str, type[Any]]:
        """name -> class of what the default extensions offer by a hook."""
        return {cls.name: cls for _, cls in self.collect(hook)}

    def groups(self) -> Iterator[tuple[str, list[Option[Any]]]]:
        """Every option, under headings, as the example and the manual list them."""
        core = [
            *settings.OPTIONS,
            *tls.OPTIONS,
            *plugins.OPTIONS,
            *reference_options.OPTIONS,
            *services.OPTIONS,
        ]
        used = [option for option in core if not option.unused]
        for heading, names in _HEADINGS.items():
            yield heading, [o for name in names for o in used if o.name == name]
        placed = {name for names in _HEADINGS.values() for name in names}
        other = [o for o in used if o.name not in placed and not o.section]
        own = [option for _, option in self.collect("register_options")]
        yield "Options of extensions", [*other, *(o for o in own if not o.section)]
        yield "DicomWeb", [o for o in (*used, *own) if o.section == "DicomWeb"]
        yield "Accepted without effect", [o for o in core if o.unused]


_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "Server": (
        *("Name", "HttpPort", "HttpBindAddresses", "HttpWorkers", "HttpThreadsCount"),
        *("HttpRequestTimeout", "MaximumRequestBodySizeMB", "HttpDescribeErrors"),
        *("HttpCompressionEnabled", "GracefulTimeout", "LogLevel", "LogFormat"),
        *("TraceHooks", "IgnoreUnknownOptions"),
    ),
    "Who may": (
        *("RemoteAccessAllowed", "RemoteAccessEnabled", "AuthenticationEnabled"),
        *("Authentication", "Authorization", "ReadOnly"),
    ),
    "TLS": tuple(option.name for option in tls.OPTIONS),
    "Where data lies": (
        *("StorageDirectory", "IndexDirectory", "Storages", "DefaultStorage", "Index"),
        *("StateStore", "MetadataCacheSizeMB", "MaximumStorageSize", "MaximumPatientCount"),
        *("MaximumStorageMode", "MinimumFreeSpaceMB"),
    ),
    "Instances": (
        *("OverwriteInstances", "StoreMD5ForAttachments", "DefaultEncoding", "Dictionary"),
        *("DefaultPrivateCreator", "DicomJsonDecimalStrings", "LimitFindResults"),
        *("LimitFindInstances", "IngestFilters"),
    ),
    "Extensions": ("Plugins", "DisabledExtensions"),
}


def generated_files(root: Path) -> dict[str, str]:
    """path below `root` -> the text that should stand in it."""
    documented = Documented()
    files = {EXAMPLE: example(documented), OPENAPI: openapi_document()}
    for name in DOCUMENTS:
        path = root / name
        if path.exists():
            files[name] = fill(path.read_text(encoding="utf-8"), documented, name)
    return files


# --- what the routes say about themselves ---------------------------------------------------


def _routes() -> list[RouteDescription]:
    context = create_context({})
    try:
        return list(described_routes(build_app(context)))
    finally:
        context.close()


def openapi_document() -> str:
    """The text of docs/openapi.json: every route of a server with its default options."""
    document = openapi(_routes(), "dicomweb-server", "http://localhost:8042")
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _routes_table(_: Documented) -> str:
    rows = [
        (
            f"`{route.method} {route.path}`",
            route.summary,
            ", ".join(f"`{each}`" for each in route.produces) or "-",
            route.action.value,
        )
        for route in _routes()
    ]
    return _table(("Route", "What it does", "Media types", "Action"), rows)


# --- the example configuration -------------------------------------------------------------


def json_default(option: Option[Any]) -> Any:
    """The default as a configuration file would spell it."""
    return json.loads(json.dumps(option.default, default=_spelled))


def _spelled(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


def example(documented: Documented) -> str:
    """The text of config.example.json."""
    entries: list[str] = []
    tail: list[str] = []
    for heading, options in documented.groups():
        if heading == "Accepted without effect":
            tail = [f"  // {heading}, so that an existing file works:", *map(_unused, options)]
        elif heading == "DicomWeb":
            inner = ",\n\n".join(_entry(o, 4, documented) for o in options)
            entries.append(f'  // --- {heading} ---\n\n  "DicomWeb": {{\n{inner}\n  }}')
        elif options:
            first, *rest = (_entry(option, 2, documented) for option in options)
            entries += [f"  // --- {heading} ---\n\n{first}", *rest]
    return f"{_HEADER}{{\n{(',' + chr(10) * 2).join(entries)}\n\n" + "\n".join(tail) + "\n}\n"


def _unused(option: Option[Any]) -> str:
    return f"  //   {option.name} ({json.dumps(json_default(option))}): {option.unused}"


def _entry(option: Option[Any], indent: int, documented: Documented) -> str:
    pad = " " * indent
    expand = _EXPANDED.get(option.name)
    value = expand(documented) if expand else json.dumps(json_default(option))
    return f"{pad}// {option.help}\n{pad}{json.dumps(option.key)}: {value}"


def _own(cls: type[Any]) -> list[str]:
    """The options of a provider's own section, each below what it means."""
    lines = []
    for number, option in enumerate(cls.options, 1):
        comma = "," if number < len(cls.options) else ""
        value = json.dumps(json_default(option))
        lines += [f"// {option.help}", f"{json.dumps(option.name)}: {value}{comma}"]
    return lines


def _chosen(name: str, cls: type[Any]) -> list[str]:
    """A section in which `Type` names a provider, with its own options."""
    return [f'"Type": "{name}"' + ("," if cls.options else ""), *_own(cls)]


def _hidden(lines: Iterable[str]) -> list[str]:
    """Lines as a comment: what somebody may want instead of the default."""
    return [f"// {line}" for line in lines]


def _braced(lines: Iterable[str], indent: int = 2) -> str:
    pad = " " * indent
    return "{\n" + "".join(f"{pad}  {line}\n" for line in lines) + pad + "}"


def _alternatives(documented: Documented, hook: str, default: str) -> list[str]:
    """The providers that the default does not choose, as comments, as far as they have options."""
    lines: list[str] = []
    for name, cls in sorted(documented.providers(hook).items()):
        if name != default and cls.options:
            instead = "or:" if default else "As Index, or:"
            lines += _hidden([instead, *_chosen(name, cls)])
    return lines


def _typed(hook: str, default: str) -> Callable[[Documented], str]:
    """Makes a section that chooses a provider; "" for one that is empty, and as `Index` says."""

    def expand(documented: Documented) -> str:
        cls = documented.providers(hook).get(default)
        return _braced(
            [*(_chosen(default, cls) if cls else ()), *_alternatives(documented, hook, default)]
        )

    return expand


def _storages(documented: Documented) -> str:
    hook, default = "register_storages", "filesystem"
    lines = _chosen(default, documented.providers(hook)[default])
    inner = _braced([*lines, *_alternatives(documented, hook, default)], 4)
    return f'{{\n    "default": {inner}\n  }}'


def _authentication(documented: Documented) -> str:
    lines = []
    for name, cls in sorted(documented.providers("register_authenticators").items()):
        if cls.options:
            own = [f"  {line}" for line in _own(cls)]
            lines += _hidden([f'"{name}": {{', *own, "},"])
    return _braced([*lines, '"Order": ["basic"]'])


_EXPANDED: Mapping[str, Callable[[Documented], str]] = {
    "Storages": _storages,
    "Index": _typed("register_indexes", "sql"),
    "StateStore": _typed("register_state_stores", ""),
    "Authentication": _authentication,
    "Authorization": _typed("register_authorizers", "allow-authenticated"),
}
"""Sections whose default is empty: the example shows what empty means."""


# --- tables of the documents ---------------------------------------------------------------


def fill(text: str, documented: Documented, where: str) -> str:
    """A document with its generated tables made anew."""

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        maker = _TABLES.get(name)
        if maker is None:
            raise ValueError(f"{where}: nothing generates {name!r}; possible: {', '.join(_TABLES)}")
        return f"<!-- generated: {name} -->\n{maker(documented)}\n<!-- end: {name} -->"

    pattern = r"<!-- generated: ([a-z-]+) -->.*?<!-- end: \1 -->"
    return re.sub(pattern, replace, text, flags=re.DOTALL)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines
    )


def _options_table(documented: Documented) -> str:
    pieces = []
    for heading, options in documented.groups():
        if heading == "Accepted without effect" or not options:
            continue
        rows = [
            (f"`{o.name}`", f"`{json.dumps(json_default(o))}`", o.help + _secret(o))
            for o in options
        ]
        pieces.append(f"### {heading}\n\n" + _table(("Option", "Default", "Meaning"), rows))
    return "\n\n".join(pieces)


def _secret(option: Option[Any]) -> str:
    return " Secret." if option.secret else ""


def _unused_table(documented: Documented) -> str:
    unused = dict(documented.groups())["Accepted without effect"]
    return _table(("Option", "Why it has no effect"), [(f"`{o.name}`", o.unused) for o in unused])


def _provider_options(documented: Documented) -> str:
    rows = []
    for hook, (_, what) in _PROVIDERS.items():
        for name, cls in sorted(documented.providers(hook).items()):
            for option in cls.options:
                default = f"`{json.dumps(json_default(option))}`"
                rows.append((f"{what} `{name}`", f"`{option.name}`", default, option.help))
    return _table(("Section of", "Option", "Default", "Meaning"), rows)


def _paragraph(text: str | None) -> str:
    """A docstring in one line."""
    return " ".join(inspect.cleandoc(text or "").split())


def _defaults_table(documented: Documented) -> str:
    rows = []
    for info in documented.infos:
        plugin = documented.extensions.manager.get_plugin(info.name)
        names = [
            f"{what} `{cls.name}`"
            for hook, (_, what) in _PROVIDERS.items()
            for owner, cls in documented.collect(hook)
            if owner == info.name
        ]
        names += [
            f"option `{option.name}`"
            for owner, option in documented.collect("register_options")
            if owner == info.name
        ]
        hooks = ", ".join(f"`{hook}`" for hook in info.hooks)
        folder = getattr(plugin, "__name__", "").partition(".")[0]
        first = _paragraph(getattr(plugin, "__doc__", "")).partition(". ")[0].rstrip(".")
        rows.append((f"`{info.name}`", f"`{folder}`", hooks, ", ".join(names), first))
    return _table(("Extension", "Folder", "Hooks", "Offers", "What it does"), rows)


_TABLES: Mapping[str, Callable[[Documented], str]] = {
    "routes": _routes_table,
    "options": _options_table,
    "unused-options": _unused_table,
    "provider-options": _provider_options,
    "hooks": lambda _: hooks_section(),
    "default-extensions": _defaults_table,
}
