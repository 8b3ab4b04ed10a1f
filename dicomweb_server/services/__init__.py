"""The use cases. They know neither Flask nor SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from dicomweb_server.config import Config, Option, boolean, whole
from dicomweb_server.dicom import JsonOptions, Limits, TagDictionary
from dicomweb_server.dicom.instance import MAX_DEPTH
from dicomweb_server.dicom.json_model import BinaryMode
from dicomweb_server.imaging.view import DefaultWindow
from dicomweb_server.interfaces.index import Index, Overwrite
from dicomweb_server.interfaces.ingest import IngestFilter
from dicomweb_server.interfaces.metadata import MetadataMode
from dicomweb_server.interfaces.renderers import Renderer
from dicomweb_server.interfaces.state import StateStore
from dicomweb_server.reference_options import (
    DEFAULT_ENCODING,
    LIMIT_FIND_INSTANCES,
    LIMIT_FIND_RESULTS,
    METADATA_CACHE,
    OTHER_BINARY_MODE,
    OVERWRITE,
    STORE_MD5,
)
from dicomweb_server.services import limits, main_tags, pixels
from dicomweb_server.services.bulk import BulkService
from dicomweb_server.services.folders import cache_folder
from dicomweb_server.services.frames import FrameService
from dicomweb_server.services.housekeeping import SWEEP_SECONDS, Housekeeper
from dicomweb_server.services.ingest import IngestService
from dicomweb_server.services.limits import Room
from dicomweb_server.services.main_tags import EXTRA_MAIN_DICOM_TAGS
from dicomweb_server.services.metadata import AnswerCache, MetadataService
from dicomweb_server.services.presentable import PresentableService
from dicomweb_server.services.protection import ProtectionService
from dicomweb_server.services.reading import ReadingOptions
from dicomweb_server.services.removal import RemovalService
from dicomweb_server.services.rendering import RenderService
from dicomweb_server.services.retrieve import RetrieveService
from dicomweb_server.services.search import SearchLimits, SearchService
from dicomweb_server.services.storages import Storages
from dicomweb_server.services.transcoding import Transcoder
from dicomweb_server.settings import SERIES_METADATA, STUDIES_METADATA

DECIMAL_STRINGS = Option(
    "DicomJsonDecimalStrings",
    True,
    "DS as JSON strings with their exact text, as Orthanc does; false: as numbers.",
    boolean,
)
CACHE_SIZE = Option(
    "MetadataCacheSizeMB", 2048, "Size of the files with assembled metadata, in MiB.", whole(1)
)
SCAN_LIMIT = Option(
    "SearchScanLimit",
    10_000,
    "Instances that one search looks at, at most, for attributes that are not indexed.",
    whole(1),
)
STRICT_STORE = Option(
    "StrictStore",
    False,
    "Report instances that are not to the letter (VR, length, form of values) with WarningReason "
    "B007H and 202; they are stored unchanged as without it.",
    boolean,
)
_LIMITS = Limits()
HEADER_SIZE = Option(
    "MaximumHeaderSizeMB",
    _LIMITS.header_bytes >> 20,
    "Most MiB of a file that are read as its header: all but its pixel data and other bulk data.",
    whole(1, 1024),
)
HEADER_ELEMENTS = Option(
    "MaximumHeaderElements",
    _LIMITS.elements,
    "Most elements and items of a header, at all depths; each takes about 400 bytes of memory.",
    whole(1000, 10_000_000),
)
HEADER_DEPTH = Option(
    "MaximumHeaderDepth",
    _LIMITS.depth,
    "Most items of sequences inside of each other.",
    whole(1, MAX_DEPTH),
)
OPTIONS = (
    DECIMAL_STRINGS,
    CACHE_SIZE,
    SCAN_LIMIT,
    STRICT_STORE,
    EXTRA_MAIN_DICOM_TAGS,
    HEADER_SIZE,
    HEADER_ELEMENTS,
    HEADER_DEPTH,
    *limits.OPTIONS,
    *pixels.OPTIONS,
    SWEEP_SECONDS,
)


@dataclass(frozen=True)
class Services:
    """Every use case of one application."""

    storages: Storages
    ingest: IngestService
    search: SearchService
    metadata: MetadataService
    retrieve: RetrieveService
    bulk: BulkService
    removal: RemovalService
    protection: ProtectionService
    frames: FrameService
    transcoder: Transcoder
    render: RenderService
    presentable: PresentableService
    housekeeper: Housekeeper

    @classmethod
    def build(
        cls,
        config: Config,
        dictionary: TagDictionary,
        storages: Storages,
        index: Index,
        state: StateStore,
        modes: Mapping[str, MetadataMode],
        filters: Mapping[str, IngestFilter],
        frames: FrameService,
        renderers: Sequence[Renderer],
    ) -> Services:
        """The use cases as the configuration wants them."""
        transcoder = Transcoder(frames, dictionary)
        bulk = BulkService(index, storages, dictionary)
        metadata = MetadataService(
            index,
            modes,
            studies=config[STUDIES_METADATA],
            series=config[SERIES_METADATA],
            options=_json_options(config),
            load=bulk.load,
            cache=_cache(config, index),
        )
        removal = RemovalService(index, storages, metadata.forget)
        protection = ProtectionService(index, state)
        return cls(
            storages=storages,
            ingest=IngestService(
                storages,
                index,
                _reading_options(config, dictionary),
                Room(_archive_limits(config), index, state, removal, protection),
                Overwrite(config[OVERWRITE]),
                filters=filters,
                strict=config[STRICT_STORE],
                forget_study=metadata.forget,
            ),
            search=SearchService(
                index,
                dictionary,
                _search_limits(config),
                main_tags.main_tags(config[EXTRA_MAIN_DICOM_TAGS], dictionary).all,
            ),
            metadata=metadata,
            retrieve=RetrieveService(
                *(index, storages, dictionary, frames, transcoder),
                ahead=config[pixels.AHEAD] << 20,
            ),
            bulk=bulk,
            removal=removal,
            protection=protection,
            frames=frames,
            transcoder=transcoder,
            render=RenderService(
                frames,
                index,
                renderers,
                bulk.load,
                default_window=cast(DefaultWindow, config[pixels.DEFAULT_WINDOW]),
                thumbnail=config[pixels.THUMBNAIL_SIZE],
                padding=config[pixels.VIEWPORT_PADDING],
                font=pixels.annotation_font(config),
            ),
            presentable=PresentableService(index, frames, bulk),
            housekeeper=Housekeeper(
                cache_folder(config),
                (metadata.sweep, frames.sweep),
                config[SWEEP_SECONDS],
            ),
        )


def _json_options(config: Config) -> JsonOptions:
    mode = cast(BinaryMode, config[OTHER_BINARY_MODE])
    return JsonOptions(config[DECIMAL_STRINGS], mode)


def _reading_options(config: Config, dictionary: TagDictionary) -> ReadingOptions:
    header = Limits(
        header_bytes=config[HEADER_SIZE] << 20,
        elements=config[HEADER_ELEMENTS],
        depth=config[HEADER_DEPTH],
    )
    return ReadingOptions(dictionary, config[DEFAULT_ENCODING], config[STORE_MD5], header)


def _archive_limits(config: Config) -> limits.Limits:
    return limits.Limits(
        size=config[limits.STORAGE_SIZE] << 20,
        patients=config[limits.PATIENT_COUNT],
        recycle=config[limits.STORAGE_MODE] == "Recycle",
        free=config[limits.FREE_SPACE] << 20,
    )


def _search_limits(config: Config) -> SearchLimits:
    return SearchLimits(
        config[LIMIT_FIND_RESULTS], config[LIMIT_FIND_INSTANCES], config[SCAN_LIMIT]
    )


def _cache(config: Config, index: Index) -> AnswerCache:
    # One that keeps nothing still forgets what was kept before.
    maximum = config[CACHE_SIZE] << 20 if config[METADATA_CACHE] else 0
    return AnswerCache(cache_folder(config) / "metadata", maximum, index)
