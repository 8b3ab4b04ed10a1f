"""Options of everything that touches pixels, and the services put together from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dicomweb_server.config import Config, ConfigError, Option, boolean, one_of, text, whole
from dicomweb_server.interfaces.index import Index
from dicomweb_server.isolation import Inline, Limits, Pool, Runner, Toolbox
from dicomweb_server.reference_options import LOSSY_QUALITY
from dicomweb_server.services.derived import CACHE_SIZE, DerivedCache
from dicomweb_server.services.folders import cache_folder
from dicomweb_server.services.frames import FrameLimits, FrameService
from dicomweb_server.services.storages import Storages

PROCESSES = Option(
    "CodecProcesses",
    2,
    "Processes of each worker that decode, encode and render frames, started when they are needed; "
    "0: the worker does it itself, and what a damaged frame does to a codec it does to the worker.",
    whole(0, 64),
)
MEMORY = Option(
    "CodecMemoryMB",
    2048,
    "MiB of memory that such a process may take for a frame; 0: no limit.",
    whole(0),
)
SECONDS = Option(
    "CodecSeconds", 20, "Seconds that such a process may take for a frame.", whole(1, 600)
)
FRAME_SIZE = Option(
    "MaximumFrameSizeMB",
    1024,
    "Most MiB that one decoded frame may have; larger ones are sent as they are stored only.",
    whole(1),
)
AHEAD = Option(
    "TranscodingAheadMB",
    128,
    "MiB of an instance that are decoded before the first is sent, in a temporary file. So damaged "
    "frames show in the status, or the stored file is sent instead; later ones break it off.",
    whole(1),
)
DEFAULT_WINDOW = Option(
    "RenderedDefaultWindow",
    "Standard",
    "How grey frames are shown when the request names no window. Standard: by their own window, or "
    "by modality and pixels; MinMax: from the least to the greatest value of the frame.",
    one_of("Standard", "MinMax"),
)
VIEWPORT_PADDING = Option(
    "ViewportPadding",
    True,
    "Pictures are exactly as large as the viewport that is asked for, with black beside what is "
    "shown; false: they fit into it.",
    boolean,
)
THUMBNAIL_SIZE = Option(
    "ThumbnailSize", 128, "Pixels of the longer side of a thumbnail.", whole(1, 4096)
)
FONT = Option(
    "AnnotationFont",
    "",
    "File of the TrueType or OpenType font that texts are burned into pictures with; empty: DejaVu "
    "Sans, Noto Sans or Liberation Sans of the system, else one that has ASCII letters only.",
    text,
)
OPTIONS = (
    DEFAULT_WINDOW,
    VIEWPORT_PADDING,
    THUMBNAIL_SIZE,
    FONT,
    *(PROCESSES, MEMORY, SECONDS, FRAME_SIZE, AHEAD, CACHE_SIZE),
)


def annotation_font(config: Config) -> str:
    """The path of `AnnotationFont`, "" where none is configured; raises `ConfigError`."""
    if not config[FONT]:
        return ""
    # The server needs nothing of it but this.
    from PIL import ImageFont

    path = config.path(config[FONT])
    try:
        ImageFont.truetype(str(path), 10)
    except OSError as error:
        missing = not path.is_file()
        what = "does not exist" if missing else f"cannot be read as a font: {error}"
        raise ConfigError(
            f"{FONT.name} is {str(path)!r}, which {what}; possible is the path of a TrueType or "
            f'OpenType file, or "" for a font of the system'
        ) from error
    return str(path)


def frame_cache(config: Config, index: Index) -> DerivedCache:
    """The cache of what is made from frames."""
    return DerivedCache(cache_folder(config) / "frames", config[CACHE_SIZE] << 20, index.knows)


def runner(config: Config, tools: Toolbox, values: Mapping[str, Any]) -> Runner:
    """What runs tasks on frames; `values`: of the options that codecs and renderers declare."""
    if not config[PROCESSES]:
        return Inline(tools)
    limits = Limits(config[MEMORY] << 20, config[SECONDS])
    return Pool(tools, config[PROCESSES], limits, values)


def frames(
    config: Config, index: Index, storages: Storages, tools: Toolbox, values: Mapping[str, Any]
) -> FrameService:
    """The service of frames."""
    limits = FrameLimits(config[FRAME_SIZE] << 20, config[LOSSY_QUALITY])
    cache = storages.derived or frame_cache(config, index)
    return FrameService(index, storages, tools, runner(config, tools, values), cache, limits)
