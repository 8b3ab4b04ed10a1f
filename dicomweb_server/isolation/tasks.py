"""What helpers do: each task is a function of its arguments and of the bytes that go with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, TypeAlias

from dicomweb_server.dicom import load_header
from dicomweb_server.imaging import (
    Image,
    ImageFormat,
    View,
    Viewport,
    Window,
    pack,
    unpack,
)
from dicomweb_server.imaging.image import Pixels
from dicomweb_server.interfaces.codecs import Codec, CodecError
from dicomweb_server.interfaces.renderers import Renderer, Rendering

Blobs: TypeAlias = Sequence[bytes]
"""Read when they are asked for: those of a long animation are never in memory together."""
Result: TypeAlias = tuple[Mapping[str, Any], Iterable[bytes | memoryview]]


@dataclass(frozen=True)
class Toolbox:
    """The codecs and renderers of the configuration, the preferred ones first."""

    codecs: Sequence[Codec]
    renderers: Sequence[Renderer]

    def decoder(self, transfer_syntax: str) -> Codec:
        """Who decodes frames of a transfer syntax; raises `CodecError` when nobody does."""
        for codec in self.codecs:
            if transfer_syntax in codec.decodes:
                return codec
        raise CodecError(f"No codec of this server decodes the transfer syntax {transfer_syntax}.")

    def encodes(self, transfer_syntax: str, form: ImageFormat) -> bool:
        """Whether somebody encodes frames of a format in a transfer syntax."""
        return any(
            transfer_syntax in codec.encodes and codec.can_encode(transfer_syntax, form)
            for codec in self.codecs
        )

    def encoder(self, transfer_syntax: str, form: ImageFormat) -> Codec:
        """Who encodes frames of a format in a transfer syntax; raises `CodecError`."""
        for codec in self.codecs:
            if transfer_syntax in codec.encodes and codec.can_encode(transfer_syntax, form):
                return codec
        raise CodecError(
            f"No codec of this server encodes frames of {form.allocated} bits allocated, "
            f"{form.stored} stored, {form.samples} samples of {form.photometric} in the transfer "
            f"syntax {transfer_syntax}."
        )

    def renderer(self, media_type: str) -> Renderer:
        """Who writes a media type; raises `CodecError` when nobody does."""
        for renderer in self.renderers:
            if media_type in renderer.media_types:
                return renderer
        raise CodecError(f"Nothing in this server writes {media_type}.")


@dataclass(frozen=True, slots=True)
class Source:
    """How the bytes of a frame are to be understood.

    `transfer_syntax` is "" for native frames in little endian, each of which begins with a byte.
    """

    form: ImageFormat
    transfer_syntax: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Source:
        """What `as_document` made."""
        return cls(ImageFormat(**document["form"]), document["transfer_syntax"])

    def as_document(self) -> dict[str, Any]:
        """The same in JSON."""
        return asdict(self)

    def image(self, tools: Toolbox, frame: bytes, reduce: int = 0) -> Image:
        """The pixels of a frame."""
        if not self.transfer_syntax:
            return unpack(frame, self.form)
        codec = tools.decoder(self.transfer_syntax)
        return codec.decode(frame, self.transfer_syntax, self.form, reduce=reduce)


def decode(tools: Toolbox, arguments: Mapping[str, Any], blobs: Blobs) -> Result:
    """A frame as native bytes."""
    image = Source.of(arguments["source"]).image(tools, blobs[0])
    return {"form": asdict(image.format)}, [pack(image)]


def transcode(tools: Toolbox, arguments: Mapping[str, Any], blobs: Blobs) -> Result:
    """A frame in another transfer syntax."""
    source = Source.of(arguments["source"])
    target = arguments["target"]
    image = _encodable(tools, source, source.image(tools, blobs[0]), target)
    codec = tools.encoder(target, image.format)
    encoded = codec.encode(image, target, quality=arguments["quality"])
    return {"form": asdict(encoded.format)}, [encoded.frame]


def _encodable(tools: Toolbox, source: Source, image: Image, target: str) -> Image:
    """The image as a transfer syntax can hold it, if its colours must be others for that."""
    if source.transfer_syntax or not source.form.is_halved:
        return image
    from dicomweb_server.imaging.colour import rgb_image

    forms = (form for form in source.form.unpacked if tools.encodes(target, form))
    return rgb_image(image) if next(forms, image.format) != image.format else image


def render(tools: Toolbox, arguments: Mapping[str, Any], blobs: Blobs) -> Result:
    """Frames as an image file.

    The header comes first, then that of the presentation state if there is one, then the bulk
    values of both, then the frames.
    """
    # Only here: the server itself needs none of it.
    from dicomweb_server.imaging.presentation import present
    from dicomweb_server.imaging.rendering import icc_profile
    from dicomweb_server.imaging.rendering import render as show

    attributes = _attributes(blobs[0])
    paths, of_state = arguments["paths"], arguments["paths_of_state"]
    headers = 1 if of_state is None else 2
    state = None if of_state is None else _attributes(blobs[1])
    behind = headers + len(paths)
    load = dict(zip(paths, blobs[headers:behind], strict=True)).__getitem__
    first_frame = behind + len(of_state or ())
    of_its_own = zip(of_state or (), blobs[behind:first_frame], strict=True)
    load_of_state = dict(of_its_own).__getitem__
    how = view_of(arguments["view"])
    source = Source.of(arguments["source"])
    numbers = arguments["numbers"]
    reduce = _halvings(source.form, how)
    profile = b""

    def frames() -> Iterator[Pixels]:
        nonlocal profile
        for place, number in enumerate(numbers, first_frame):
            image = source.image(tools, blobs[place], 0 if state is not None else reduce)
            if state is None:
                pixels = show(image, attributes, number, how, load)
            else:
                pixels = present(image, attributes, number, state, how, load, load_of_state)
            profile = icc_profile(pixels, attributes, number, how, load)
            yield pixels

    shown = frames()
    first = next(shown)  # it tells the profile
    rendering = Rendering(arguments["quality"], arguments["seconds"], profile)
    renderer = tools.renderer(arguments["media_type"])
    return {}, [renderer.write(chain((first,), shown), arguments["media_type"], rendering)]


@lru_cache(maxsize=2)
def _attributes(header: bytes) -> dict[str, Any]:
    """The header of an object whose frames are rendered one after the other."""
    return load_header(header)


def _halvings(form: ImageFormat, how: View) -> int:
    """How far a frame may be reduced while it is decoded, with pixels to spare for scaling."""
    if how.size is None or how.viewport is not None:
        return 0
    halvings = 0
    while max(form.rows, form.columns) >> (halvings + 1) >= 2 * how.size:
        halvings += 1
    return halvings


def view_of(document: Mapping[str, Any]) -> View:
    """A view from the JSON of `dataclasses.asdict`."""
    fields = dict(document)
    for name, kind in (("window", Window), ("viewport", Viewport)):
        if fields[name] is not None:
            fields[name] = kind(**fields[name])
    return View(**fields | {"annotation": frozenset(fields["annotation"])})


Task: TypeAlias = Callable[[Toolbox, Mapping[str, Any], Blobs], Result]
TASKS: Mapping[str, Task] = {task.__name__: task for task in (decode, transcode, render)}
