"""What is rendered without being a picture (PS3.18 8.7.4): videos, documents, reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dicomweb_server.dicom import load_header
from dicomweb_server.dicom.instance import first_number, first_text
from dicomweb_server.interfaces.index import Index, InstanceRecord
from dicomweb_server.ps318.media_types import media_type_of, parse_or_none
from dicomweb_server.services import blobs
from dicomweb_server.services.bulk import BulkService
from dicomweb_server.services.frames import FrameService, StoredImage
from dicomweb_server.services.pixel_values import encoded
from dicomweb_server.services.reports import is_report, report_html, report_text

_DOCUMENT, _TYPE, _LENGTH = "00420011", "00420012", "00420015"
_SAFE = frozenset(
    {"application/pdf", "text/xml", "application/xml", "model/stl", "model/obj", "model/mtl"}
)


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that can be read in ranges: `read(offset, length)` yields them."""

    size: int
    read: Callable[[int, int], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Presentable:
    """One form of an instance; `open` may raise `DicomError`."""

    media_type: str
    open: Callable[[], Content]
    charset: str = ""

    @property
    def content_type(self) -> str:
        """For the header."""
        return f"{self.media_type}; charset={self.charset}" if self.charset else self.media_type


@dataclass(frozen=True)
class PresentableService:
    """Finds the forms of an instance that are no pictures."""

    index: Index
    frames: FrameService
    bulk: BulkService

    def of(self, record: InstanceRecord) -> Sequence[Presentable]:
        """Its forms, the preferred one first; none if there is nothing to show."""
        image = self.frames.image(record)
        if image is not None:
            return self._video(image) if image.is_video else ()
        details = self.index.details(record.row)
        if details is None:
            return ()
        attributes = load_header(details.header)
        if is_report(attributes):
            html = _text(lambda: report_html(attributes))
            text = _text(lambda: report_text(attributes))
            return (
                Presentable("text/html", html, "utf-8"),
                Presentable("text/plain", text, "utf-8"),
            )
        length = first_number(attributes, _LENGTH)
        return self._document(record, first_text(attributes, _TYPE), length)

    def label(self, record: InstanceRecord) -> str:
        """A word of a few letters for what an instance is."""
        forms = self.of(record)
        if not forms:
            return "DICOM"
        main, _, sub = forms[0].media_type.partition("/")
        if main == "video":
            return "VIDEO"
        return "SR" if sub == "html" else sub.upper()[:5]

    def _video(self, image: StoredImage) -> Sequence[Presentable]:
        (stream,) = encoded(image)
        content = Content(stream.size, stream.read)
        return (Presentable(media_type_of(image.transfer_syntax), lambda: content),)

    def _document(
        self, record: InstanceRecord, told: str, length: int | None
    ) -> Sequence[Presentable]:
        parsed = parse_or_none(told) if told else None
        value = self.bulk.value(record, _DOCUMENT)
        if parsed is None or value is None:
            return ()
        # Others could be scripts in the name of this server.
        media_type = parsed.essence if parsed.essence in _SAFE else "application/octet-stream"
        read = self.bulk.read(value)
        # A byte of padding is none of the document.
        size = value.size - 1 if length == value.size - 1 else value.size
        content = Content(size, lambda offset, count: blobs.stream_range(read, offset, count))
        return (Presentable(media_type, lambda: content),)


def _text(make: Callable[[], str]) -> Callable[[], Content]:
    def opened() -> Content:
        data = make().encode()
        return Content(len(data), lambda offset, count: iter((data[offset : offset + count],)))

    return opened
