"""Picks classes by their configured name and builds them: the only place that does."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from dicomweb_server.config import (
    Config,
    ConfigError,
    Option,
    checked_value,
    nearest_name,
    unknown_option,
)
from dicomweb_server.context import Providers, ServerContext
from dicomweb_server.dicom import TagDictionary
from dicomweb_server.interfaces.auth import Authenticator, Authorizer
from dicomweb_server.interfaces.codecs import Codec
from dicomweb_server.interfaces.index import Index
from dicomweb_server.interfaces.ingest import IngestFilter
from dicomweb_server.interfaces.metadata import MetadataMode
from dicomweb_server.interfaces.provider import Settings
from dicomweb_server.interfaces.renderers import Renderer
from dicomweb_server.interfaces.state import StateStore
from dicomweb_server.interfaces.storage import BlobStore
from dicomweb_server.isolation import Toolbox
from dicomweb_server.plugins import ExtensionError, Extensions
from dicomweb_server.reference_options import (
    DEFAULT_PRIVATE_CREATOR,
    DICTIONARY,
    INGEST_TRANSCODING,
)
from dicomweb_server.services import Services, pixels
from dicomweb_server.services.main_tags import EXTRA_MAIN_DICOM_TAGS, main_tags
from dicomweb_server.services.storages import Storages
from dicomweb_server.settings import (
    AUTHENTICATION,
    AUTHORIZATION,
    CODECS,
    DEFAULT_STORAGE,
    INDEX,
    INGEST_FILTERS,
    RENDERERS,
    SERIES_METADATA,
    STATE_STORE,
    STORAGES,
    STUDIES_METADATA,
)

_TRANSCODE = "transcode"
"""The ingest filter of the option IngestTranscoding."""


class Registry:
    """The classes that extensions offer of one kind, by name."""

    def __init__(self, extensions: Extensions, hook: str, kind: type[Any], what: str) -> None:
        self.what = what
        self._extensions, self._kind = extensions, kind
        self.classes: dict[str, type[Any]] = {}
        self.owners: dict[str, str] = {}
        for owner, offered in extensions.collect(hook):
            self._accept(owner, offered, hook, kind)

    def _accept(self, owner: str, offered: Any, hook: str, kind: type[Any]) -> None:
        if not (isinstance(offered, type) and issubclass(offered, kind)):
            raise ExtensionError(
                f"extension {owner}: {hook} must offer subclasses of {kind.__name__}, "
                f"found {offered!r}"
            )
        if inspect.isabstract(offered):
            missing = ", ".join(sorted(getattr(offered, "__abstractmethods__", ())))
            raise ExtensionError(f"extension {owner}: {offered.__name__} lacks {missing}")
        name = getattr(offered, "name", None)
        if not isinstance(name, str) or not name:
            raise ExtensionError(f"extension {owner}: {offered.__name__} has no name")
        if name in self.classes:
            raise ExtensionError(
                f"two extensions offer the {self.what} {name!r}: {self.owners[name]} and {owner}; "
                f"name one of them in DisabledExtensions"
            )
        self.classes[name], self.owners[name] = offered, owner

    def build(self, name: str, where: str, config: Config, section: Any, *, named: str = "") -> Any:
        """An object of the class of that name.

        `where` is its section and `named` the option that chose it, for error messages.
        """
        chosen = self.classes.get(name)
        if chosen is None:
            raise ConfigError(
                f"{named or where} names the {self.what} {name!r}, which no extension offers; "
                f"possible are {', '.join(sorted(self.classes)) or '(none)'}"
            )
        if not isinstance(section, Mapping):
            raise ConfigError(f"{where} must be an object with options of the {self.what} {name!r}")
        # Where another option chooses the class, `Type` is none of its section.
        values = _checked(chosen, where, section, () if named else ("Type",))
        owner = self.owners[name]
        chosen = self._extensions.offer(owner, self._kind, chosen)
        try:
            with self._extensions.times.measured(owner, "build"):
                return chosen(Settings(config, values, where.partition(".")[2]))
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error


def _checked(
    chosen: type[Any], where: str, section: Mapping[str, Any], others: Sequence[str]
) -> dict[str, Any]:
    """The provider's own section, checked by its declared options; `others` are not its own."""
    declared = {option.name: option for option in chosen.options}
    values: dict[str, Any] = {}
    for key, value in section.items():
        if key in others:
            continue
        if key not in declared:
            raise ConfigError(f"{where}: {_unknown(key, [*others, *declared])}")
        values[key] = checked_value(declared[key], value, f"{where}.{key}")
    return values


def _unknown(key: str, possible: Sequence[str]) -> str:
    if not possible:
        return f"unknown option {key}; there is none to set here"
    nearest = nearest_name(key, possible)
    hint = f"did you mean {nearest}? " if nearest else ""
    return f"unknown option {key}; {hint}possible are {', '.join(possible)}"


def _type_of(section: Any, where: str, default: str) -> str:
    if not isinstance(section, Mapping):
        raise ConfigError(f'{where} must be an object such as {{"Type": "{default}"}}')
    name = section.get("Type", default)
    if not isinstance(name, str):
        raise ConfigError(f"{where}.Type must be a string, found {name!r}")
    return name


def _storages(extensions: Extensions, config: Config) -> dict[str, BlobStore]:
    registry = Registry(extensions, "register_storages", BlobStore, "storage")
    sections = config[STORAGES] or {"default": {}}
    built = {}
    for alias, section in sections.items():
        where = f"Storages.{alias}"
        built[alias] = registry.build(
            _type_of(section, where, "filesystem"), where, config, section
        )
    if config[DEFAULT_STORAGE] not in built:
        raise ConfigError(
            f"DefaultStorage is {config[DEFAULT_STORAGE]!r}, which Storages does not define; "
            f"possible are {', '.join(built)}"
        )
    return built


def _single(
    extensions: Extensions,
    hook: str,
    kind: type[Any],
    what: str,
    where: str,
    section: Any,
    default: str,
    config: Config,
) -> Any:
    registry = Registry(extensions, hook, kind, what)
    return registry.build(_type_of(section, where, default), where, config, section)


def _authenticators(extensions: Extensions, config: Config) -> tuple[Authenticator, ...]:
    registry = Registry(extensions, "register_authenticators", Authenticator, "authenticator")
    section = config[AUTHENTICATION]
    order = section.get("Order", ["basic"])
    if not isinstance(order, list) or not all(isinstance(name, str) for name in order):
        raise ConfigError(f"Authentication.Order must be a list of names, found {order!r}")
    unknown = section.keys() - {"Order"} - registry.classes.keys()
    if unknown:
        names = ["Order", *registry.classes]
        raise ConfigError(f"Authentication: {unknown_option(sorted(unknown)[0], names)}")
    return tuple(
        registry.build(
            *(name, f"Authentication.{name}", config, section.get(name, {})),
            named="Authentication.Order",
        )
        for name in order
    )


def _metadata_modes(extensions: Extensions, config: Config) -> dict[str, MetadataMode]:
    registry = Registry(extensions, "register_metadata_modes", MetadataMode, "metadata mode")
    return {
        config[option]: registry.build(config[option], option.name, config, {}, named=option.name)
        for option in (STUDIES_METADATA, SERIES_METADATA)
    } | {"Full": registry.build("Full", "metadata of instances", config, {})}


def _listed(registry: Registry, option: Option[tuple[str, ...]], config: Config) -> dict[str, Any]:
    """An object of each class that an option lists, in its order; the keys name the extensions."""
    names = config[option]
    if len(set(names)) < len(names):
        raise ConfigError(f"{option.name} names a {registry.what} twice: {', '.join(names)}")
    return {
        f"{name} of the extension {registry.owners.get(name, '')}": registry.build(
            name, option.name, config, {}, named=option.name
        )
        for name in names
    }


def _ingest_filters(extensions: Extensions, config: Config) -> dict[str, IngestFilter]:
    registry = Registry(extensions, "register_ingest_filters", IngestFilter, "ingest filter")
    filters = _listed(registry, INGEST_FILTERS, config)
    if config[INGEST_TRANSCODING] and _TRANSCODE not in config[INGEST_FILTERS]:
        # Last: what the others look at is what arrived.
        named = INGEST_TRANSCODING.name
        made = registry.build(_TRANSCODE, named, config, {}, named=named)
        filters[f"{_TRANSCODE} of the extension {registry.owners[_TRANSCODE]}"] = made
    return filters


def build_codecs(extensions: Extensions, config: Config) -> tuple[Codec, ...]:
    """The codecs of `Codecs`, the preferred one first."""
    registry = Registry(extensions, "register_codecs", Codec, "codec")
    return tuple(_listed(registry, CODECS, config).values())


def build_renderers(extensions: Extensions, config: Config) -> tuple[Renderer, ...]:
    """The renderers of `Renderers`, the preferred one first."""
    registry = Registry(extensions, "register_renderers", Renderer, "renderer")
    return tuple(_listed(registry, RENDERERS, config).values())


def secret_keys(extensions: Extensions) -> frozenset[str]:
    """Keys inside of providers' sections that hold secrets."""
    hooks = ("storages", "indexes", "state_stores", "metadata_modes", "authenticators")
    offered = [
        cls for hook in (*hooks, "authorizers") for _, cls in extensions.collect(f"register_{hook}")
    ]
    declared = [option for cls in offered for option in getattr(cls, "options", ())]
    return frozenset(option.name for option in declared if option.secret)


def build_providers(extensions: Extensions, config: Config) -> Providers:
    """Everything the configuration names; raises `ConfigError` with what is possible."""
    return Providers(
        storages=_storages(extensions, config),
        default_storage=config[DEFAULT_STORAGE],
        index=_single(
            *(extensions, "register_indexes", Index, "index", "Index"),
            *(config[INDEX], "sql", config),
        ),
        state=_single(
            *(extensions, "register_state_stores", StateStore, "state store", "StateStore"),
            *(config[STATE_STORE] or config[INDEX], "sql", config),
        ),
        metadata_modes=_metadata_modes(extensions, config),
        authenticators=_authenticators(extensions, config),
        authorizer=_single(
            *(extensions, "register_authorizers", Authorizer, "authorizer", "Authorization"),
            *(config[AUTHORIZATION], "allow-authenticated", config),
        ),
        ingest_filters=_ingest_filters(extensions, config),
        codecs=build_codecs(extensions, config),
        renderers=build_renderers(extensions, config),
    )


def _values_of(extensions: Extensions, config: Config, tools: Toolbox) -> dict[str, Any]:
    """What extensions with codecs and renderers declared, as configured: no secrets, in JSON."""
    owners = {extensions.owner_of(each) for each in (*tools.codecs, *tools.renderers)}
    declared = [o for owner in owners for o in extensions.items_of(owner, "register_options")]
    return {option.name: config[option] for option in declared if not option.secret}


def build_context(extensions: Extensions, config: Config) -> ServerContext:
    """The context of one application, with all providers bound to it."""
    providers = build_providers(extensions, config)
    try:
        dictionary = TagDictionary(config[DICTIONARY], config[DEFAULT_PRIVATE_CREATOR])
    except ValueError as error:
        raise ConfigError(f"Dictionary: {error}") from error
    derived = pixels.frame_cache(config, providers.index)
    storages = Storages(providers.storages, providers.default_storage, derived)
    tools = Toolbox(providers.codecs, providers.renderers)
    services = Services.build(
        config,
        dictionary,
        storages,
        providers.index,
        providers.state,
        providers.metadata_modes,
        providers.ingest_filters,
        pixels.frames(
            config, providers.index, storages, tools, _values_of(extensions, config, tools)
        ),
        providers.renderers,
    )
    tags = main_tags(config[EXTRA_MAIN_DICOM_TAGS], dictionary)
    context = ServerContext(config, extensions, providers, dictionary, services, tags)
    for provider in providers.all():
        with extensions.times.measured(extensions.owner_of(provider), "build"):
            provider.bind(context)
    return context
