"""What blueprints, commands and providers receive: everything of one application, frozen."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from dicomweb_server.config import Config, ConfigError
from dicomweb_server.dicom import TagDictionary
from dicomweb_server.interfaces.auth import Authenticator, Authorizer
from dicomweb_server.interfaces.codecs import Codec
from dicomweb_server.interfaces.index import Index
from dicomweb_server.interfaces.ingest import IngestFilter
from dicomweb_server.interfaces.metadata import MetadataMode
from dicomweb_server.interfaces.metrics import Metric
from dicomweb_server.interfaces.provider import Provider
from dicomweb_server.interfaces.renderers import Renderer
from dicomweb_server.interfaces.state import StateStore
from dicomweb_server.interfaces.storage import BlobStore
from dicomweb_server.services import Services
from dicomweb_server.services.main_tags import MainTags, resolve
from dicomweb_server.services.storages import Storages

if TYPE_CHECKING:
    from dicomweb_server.plugins import Extensions

log = logging.getLogger(__name__)


COMMAND_KEY = "dicomweb_server.opened"


def context_of_command() -> AbstractContextManager[ServerContext]:
    """For commands of extensions: the context of the configuration that the line names.

    It is closed at the end of the `with` block.
    """
    current = click.get_current_context()
    opened: AbstractContextManager[ServerContext] = current.meta[COMMAND_KEY](current.obj)
    return opened


@dataclass(frozen=True)
class Providers:
    """The objects that the configuration chose."""

    storages: Mapping[str, BlobStore]
    default_storage: str
    index: Index
    state: StateStore
    metadata_modes: Mapping[str, MetadataMode]
    authenticators: tuple[Authenticator, ...]
    authorizer: Authorizer
    ingest_filters: Mapping[str, IngestFilter] = field(default_factory=dict)
    """In the order of `IngestFilters`; the keys name their extensions."""
    codecs: tuple[Codec, ...] = ()
    renderers: tuple[Renderer, ...] = ()
    """Both in the order of preference. What they do is done in helper processes."""

    def all(self) -> Iterable[Provider]:
        """Each provider once."""
        yield from self.storages.values()
        yield from (self.index, self.state)
        yield from self.metadata_modes.values()
        yield from self.authenticators
        yield self.authorizer
        yield from self.ingest_filters.values()
        yield from self.codecs
        yield from self.renderers


@dataclass(frozen=True)
class ServerContext:
    """One application: its configuration, its extensions, what they provide, its use cases."""

    config: Config
    extensions: Extensions
    providers: Providers
    dictionary: TagDictionary
    services: Services
    main_tags: MainTags

    @property
    def index(self) -> Index:
        return self.providers.index

    @property
    def state(self) -> StateStore:
        return self.providers.state

    @property
    def storages(self) -> Storages:
        return self.services.storages

    def metrics(self) -> Iterator[Metric]:
        """Numbers that extensions export; what one of them fails to tell is logged and left out."""
        for info in self.extensions.infos:
            try:
                yield from self.extensions.items_of(info.name, "collect_metrics", context=self)
            except ConfigError as error:
                log.warning("%s", error)

    def resolve_tag(self, name: str, where: str) -> str:
        """The tag that a configuration names at `where`; raises `ConfigError` if there is none."""
        return resolve(name, where, self.dictionary)

    def prepare(self) -> None:
        """Bring the schema up to date and make the storages ready, before the first use.

        Raises `ConfigError` when a storage lost what the index knows to lie in it.
        """
        self.index.migrate()
        self.storages.prepare(self.index.storages())

    def close(self) -> None:
        """Release what the providers hold."""
        self.services.housekeeper.stop()
        self.services.frames.runner.close()
        for provider in self.providers.all():
            provider.close()
