"""Frames as pictures (PS3.18 10.4.1.1.3 and 10.4.1.1.4): decoded, shown and written in helpers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

from dicomweb_server.dicom import CONVERTIBLE_SYNTAXES, DicomError, load_header
from dicomweb_server.dicom.instance import first_text
from dicomweb_server.imaging import View, Window, bulk_values, pack
from dicomweb_server.imaging.cine import seconds_per_frame
from dicomweb_server.imaging.references import first_frame
from dicomweb_server.imaging.view import DefaultWindow
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import Index, InstanceGone, InstanceRecord
from dicomweb_server.interfaces.renderers import Renderer
from dicomweb_server.isolation.tasks import Source
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services.frames import FrameService, StoredImage

MOST_FRAMES = 1000
"""Frames of one animation."""
MOST_TOGETHER = 256 << 20
"""Bytes of its frames as they are stored, and pixels of all of them as they are shown."""
_BESIDE = 2
"""Instances at either side of the middle one of a series that may stand for it too."""
_MOST_TRIES = 8
"""Pictures that are tried until one can be shown, for each of them costs time."""
_MODALITIES = ("SR", "PR", "KO", "SEG", "RTSTRUCT", "RTPLAN", "REG", "DOC", "OT")
"""Of series that tell less of a study than those with its pictures."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be made of frames: the view, the media type, its quality (1 to 100)."""

    view: View
    media_type: str
    quality: int = 90


class RenderService:
    """Renders frames of stored images."""

    def __init__(
        self,
        frames: FrameService,
        index: Index,
        renderers: Sequence[Renderer],
        load: Callable[[InstanceRecord], Callable[[str], bytes]],
        *,
        default_window: DefaultWindow,
        thumbnail: int,
        padding: bool,
        font: str = "",
    ) -> None:
        self._frames = frames
        self._index = index
        self._renderers = renderers
        self._load = load
        self.default_window = default_window
        self.thumbnail = thumbnail
        self._padding = padding
        self._font = font

    @property
    def media_types(self) -> tuple[str, ...]:
        """What can be written, the preferred one first."""
        return tuple(dict.fromkeys(t for each in self._renderers for t in each.media_types))

    @property
    def animated(self) -> frozenset[str]:
        """Those that hold several frames."""
        return frozenset[str]().union(*(each.animated for each in self._renderers))

    @property
    def deep(self) -> frozenset[str]:
        """Those that hold grey frames of 16 bits."""
        return frozenset[str]().union(*(each.deep for each in self._renderers))

    def can_show(self, image: StoredImage) -> bool:
        """Whether frames of the image can be decoded at all."""
        return not image.is_video and (
            image.is_native or self._frames.decodes(image.transfer_syntax)
        )

    def render(
        self,
        record: InstanceRecord,
        image: StoredImage,
        numbers: Sequence[int],
        asked: Asked,
        state: InstanceRecord | None = None,
    ) -> bytes:
        """A file with the frames; several only in a media type of `animated`.

        `state`: a presentation state that they are shown by.

        Raises:
            NoSuchFrame: there is no such frame.
            DicomError: they cannot be located or shown.
        """
        for number in numbers:
            image.pixels.frame(number)
        view = replace(asked.view, default_window=self.default_window, font=self._font)
        if view.viewport is not None and not self._padding:
            view = replace(view, viewport=replace(view.viewport, padded=False))
        asked = replace(asked, view=view)
        if state is not None:
            # What is kept is deleted with the image, and must not outlive the state.
            return self._made(record, image, numbers, asked, state)
        name = f"{list(numbers)} {asked}"
        return self._frames.kept(
            image, name, lambda: self._made(record, image, numbers, asked, None)
        )

    def _made(
        self,
        record: InstanceRecord,
        image: StoredImage,
        numbers: Sequence[int],
        asked: Asked,
        state: InstanceRecord | None,
    ) -> bytes:
        if not self.can_show(image):
            raise DicomError(
                f"Frames of the transfer syntax {image.transfer_syntax} cannot be rendered."
            )
        source = self._frames.source(image)
        if len(numbers) > 1:
            self._check(image, numbers, asked.view)
        paths = list(dict.fromkeys(bulk_values(image.attributes)))
        load = self._load(record)
        arguments = _arguments(source, numbers, asked) | {
            "paths": paths,
            "seconds": seconds_per_frame(image.attributes),
        }
        headers = [image.header]
        values = [load(path) for path in paths]
        if state is not None:
            headers.append(self._header(state))
            of_state = list(dict.fromkeys(bulk_values(load_header(headers[-1]))))
            arguments["paths_of_state"] = of_state
            values += [self._load(state)(path) for path in of_state]
        frames = [self._frames.stored(image, number) for number in numbers]
        return self._frames.runner.run("render", arguments, *headers, *values, *frames)[1]

    def frame_by(self, record: InstanceRecord, state: InstanceRecord) -> int:
        """The frame of an image that a presentation state shows, the first of several."""
        return first_frame(load_header(self._header(state)), record.sop_uid)

    def _header(self, record: InstanceRecord) -> bytes:
        details = self._index.details(record.row)
        if details is None:
            raise InstanceGone("The presentation state is not there any more.")
        return details.header

    def _check(self, image: StoredImage, numbers: Sequence[int], view: View) -> None:
        size = sum(self._frames.stored_size(image, number) for number in numbers)
        width, height = image.form.columns, image.form.rows
        if view.viewport is not None:
            width, height = view.viewport.width or width, view.viewport.height or height
        pixels = len(numbers) * width * height
        if len(numbers) > MOST_FRAMES or size > MOST_TOGETHER or pixels > MOST_TOGETHER:
            raise DicomError(
                f"An animation of {len(numbers)} frames of {width} x {height} pixels, which are "
                f"stored in {size >> 20} MiB, is too long; possible are {MOST_FRAMES} frames, "
                f"{MOST_TOGETHER >> 20} MiB and {MOST_TOGETHER} pixels in all."
            )

    def icon(self, label: str, asked: Asked) -> bytes:
        """A picture with a word, for what cannot be shown as a picture."""
        from dicomweb_server.imaging.icons import icon

        image = icon(label)
        view = replace(asked.view, window=Window(128, 256, "linear-exact"), deep=False)
        view = replace(view, annotation=frozenset())
        arguments = _arguments(Source(image.format), (1,), replace(asked, view=view))
        return self._frames.runner.run("render", arguments, b"{}", pack(image))[1]

    def pictures(self, resource: Resource, scope: Scope) -> tuple[int, int]:
        """How many instances of a resource have frames that can be decoded, and how many have not.

        Without looking at each: by what their transfer syntaxes say.
        """
        counts = self._index.count_pixel_data(resource, scope)
        shown = sum(
            pictures
            for syntax, (_, pictures) in counts.items()
            if syntax in CONVERTIBLE_SYNTAXES or self._frames.decodes(syntax)
        )
        return shown, sum(whole for whole, _ in counts.values()) - shown

    def representatives(
        self, resource: Resource, scope: Scope
    ) -> Iterator[tuple[InstanceRecord, StoredImage]]:
        """The pictures that may stand for a study or a series, the best one first; few of them.

        The middle instance of the series with the most instances that can be shown, then those
        beside it, then those of the next series; a series of pictures goes before one of
        segmentations, presentation states and the like.
        """
        counts = Counter(
            (record.study_uid, record.series_uid)
            for record in self._index.instances(resource, scope)
        )
        ranked = list[tuple[tuple[bool, int], list[InstanceRecord]]]()
        for (study, series), count in counts.items():
            records = self._index.instances(Resource(study, series), scope)
            near = _around_the_middle(records, count)
            _, image = next(self._shown(near), (None, None))
            if image is not None:
                modality = first_text(image.attributes, "00080060")
                ranked.append(((modality not in _MODALITIES, count), near))
        ranked.sort(key=lambda each: each[0], reverse=True)
        near = [record for _, records in ranked for record in records]
        return islice(self._shown(near), _MOST_TRIES)

    def _shown(
        self, records: Iterable[InstanceRecord]
    ) -> Iterator[tuple[InstanceRecord, StoredImage]]:
        for record in records:
            image = self._frames.image(record)
            if image is not None and self.can_show(image):
                yield record, image


def _around_the_middle(records: Iterator[InstanceRecord], count: int) -> list[InstanceRecord]:
    """The middle one of so many, then those beside it, the nearest ones first."""
    middle = count // 2
    start = max(middle - _BESIDE, 0)
    numbered = list(enumerate(islice(records, start, middle + _BESIDE + 1), start))
    return [record for _, record in sorted(numbered, key=lambda each: abs(each[0] - middle))]


def _arguments(source: Source, numbers: Sequence[int], asked: Asked) -> dict[str, Any]:
    """Those of the task `render`, for frames without bulk values and presentation state."""
    return {
        "source": source.as_document(),
        "numbers": list(numbers),
        "paths": [],
        "paths_of_state": None,
        "view": asdict(asked.view) | {"annotation": sorted(asked.view.annotation)},
        "media_type": asked.media_type,
        "quality": asked.quality,
        "seconds": 1.0,
    }
