"""The query parameters of WADO-URI (PS3.18 9.1.2, 9.4.1.2 and 9.5.1.2), without the request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dicomweb_server.dicom.transfer_syntaxes import is_uid
from dicomweb_server.http.views import annotation_of, number_of, quality_of
from dicomweb_server.imaging import View, ViewError, Viewport, Window
from dicomweb_server.ps318.errors import BadRequest

Parameters = Mapping[str, Sequence[str]]
AS_STORED: Final = "*"
TARGET: Final = ("requestType", "studyUID", "seriesUID", "objectUID", "contentType", "charset")
OF_FILES: Final = ("anonymize", "transferSyntax")
OF_PICTURES: Final = (
    *("anonymize", "frameNumber", "annotation", "imageAnnotation", "imageQuality"),
    *("rows", "columns", "region", "windowCenter", "windowWidth"),
    *("presentationSeriesUID", "presentationUID"),
)
_SHOWN: Final = 80
_LARGEST: Final = 2**31 - 1


def one(parameters: Parameters, name: str) -> str | None:
    """The value of a parameter that may stand once."""
    values = parameters.get(name, ())
    if len(values) > 1:
        raise BadRequest(f"{name} has {len(values)} values; possible is one.")
    return values[0] if values else None


def listed(parameters: Parameters, name: str) -> str | None:
    """The value of a parameter that is a list, however often it stands."""
    values = parameters.get(name, ())
    return ",".join(values) if values else None


@dataclass(frozen=True, slots=True)
class Target:
    """The instance that is asked for (9.1.2.1); study and series are "" where none is named."""

    study: str
    series: str
    instance: str

    @classmethod
    def of(cls, parameters: Parameters) -> Target:
        """Raises `BadRequest` for another request type, or without an instance."""
        kind = one(parameters, "requestType")
        if kind != "WADO":
            found = "missing" if kind is None else repr(kind[:_SHOWN])
            raise BadRequest(f"requestType is {found}; possible is WADO.")
        instance = one(parameters, "objectUID")
        if not instance:
            raise BadRequest("objectUID is missing: the SOP Instance UID of what is wanted.")
        study, series = one(parameters, "studyUID"), one(parameters, "seriesUID")
        return cls(study or "", series or "", instance)

    def __str__(self) -> str:
        around = f" in the series {self.series[:_SHOWN]}" if self.series else ""
        around += f" of the study {self.study[:_SHOWN]}" if self.study else ""
        return f"instance {self.instance[:_SHOWN]}{around}"


def wants_anonymous(parameters: Parameters) -> bool:
    """The parameter `anonymize` (9.4.1.2.1)."""
    value = one(parameters, "anonymize")
    if value not in (None, "yes"):
        raise BadRequest(f"anonymize is {value[:_SHOWN]!r}; possible is yes, or no such parameter.")
    return value is not None


def transfer_syntax(parameters: Parameters) -> str | None:
    """The parameter `transferSyntax` (9.4.1.2.3); `*`, which is ours, asks for the stored bytes.

    Raises `BadRequest` for what is no UID, and for parameters of windowing (9.5.1.2.6).
    """
    for name in ("windowCenter", "windowWidth"):
        if name in parameters:
            raise BadRequest(f"{name} means nothing for application/dicom; leave it out.")
    syntax = one(parameters, "transferSyntax")
    if syntax is not None and syntax != AS_STORED and not is_uid(syntax):
        raise BadRequest(f"transferSyntax is {syntax[:_SHOWN]!r}; possible is one UID, or *.")
    return syntax


@dataclass(frozen=True, slots=True)
class PictureQuery:
    """How frames are to be shown (9.5.1.2).

    `region` is left, top, right, bottom in parts of the frame, 0 to 1. `presentation` is the UID of
    a presentation state, with that of its series in front.
    """

    frame: int | None
    annotation: frozenset[str]
    quality: int
    rows: int | None
    columns: int | None
    region: tuple[float, float, float, float] | None
    window: Window | None
    presentation: tuple[str, str] | None

    @classmethod
    def of(cls, parameters: Parameters) -> PictureQuery:
        """Raises `BadRequest` that names the parameter."""
        query = cls(
            _count(parameters, "frameNumber"),
            _annotation(parameters),
            _quality(parameters),
            _count(parameters, "rows"),
            _count(parameters, "columns"),
            _region(parameters),
            _window(parameters),
            _presentation(parameters),
        )
        if query.presentation:
            _refuse_beside_state(parameters)
        return query

    def view(self, rows: int, columns: int, *, anonymous: bool = False) -> View:
        """The view of a frame of so many pixels; raises `BadRequest`."""
        annotation = frozenset[str]() if anonymous else self.annotation
        try:
            viewport = self._viewport(rows, columns)
            overlays = "technique" in annotation
            return View(self.window, viewport, annotation=annotation, overlays=overlays)
        except ViewError as error:
            raise BadRequest(str(error)) from error

    def _viewport(self, rows: int, columns: int) -> Viewport | None:
        """The size is chosen within rows and columns, as the region needs it (9.5.2.5)."""
        if self.region is None and self.rows is None and self.columns is None:
            return None
        if self.region is None:
            return Viewport(self.columns, self.rows, padded=False)
        left, top, right, bottom = self.region
        start = left * columns, top * rows
        size = (right - left) * columns, (bottom - top) * rows
        return Viewport(self.columns, self.rows, *start, *size, padded=False)


def _refuse_beside_state(parameters: Parameters) -> None:
    """What a presentation state says itself must not be said twice (9.5.2.2, 9.5.2.3)."""
    for name in ("windowCenter", "windowWidth", "frameNumber", "region"):
        if name in parameters:
            raise BadRequest(f"presentationUID and {name} exclude each other.")


def _count(parameters: Parameters, name: str) -> int | None:
    text = one(parameters, name)
    if text is None:
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0
    if not 1 <= number <= _LARGEST:
        raise BadRequest(f"{name} is {text[:_SHOWN]!r}; possible are whole numbers from 1.")
    return number


def _annotation(parameters: Parameters) -> frozenset[str]:
    # 9.5.1 spells it in two ways.
    names = ("annotation", "imageAnnotation")
    found = frozenset[str]().union(
        *(annotation_of(listed(parameters, name), name) for name in names)
    )
    unknown = sorted(found - {"patient", "technique"})
    if unknown:
        raise BadRequest(
            f"annotation has {unknown[0][:_SHOWN]!r}; possible are patient and technique."
        )
    return found


def _quality(parameters: Parameters) -> int:
    text = one(parameters, "imageQuality")
    return quality_of({} if text is None else {"imageQuality": text}, "imageQuality")


def _region(parameters: Parameters) -> tuple[float, float, float, float] | None:
    text = one(parameters, "region")
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4:
        raise BadRequest(f"region is {text[:_SHOWN]!r}; possible is xmin,ymin,xmax,ymax.")
    left, top, right, bottom = (number_of(part, "region") for part in parts)
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise BadRequest(
            f"region is {text[:_SHOWN]!r}; its numbers are parts of the image from 0 to 1, and "
            "xmin is less than xmax, ymin less than ymax."
        )
    return left, top, right, bottom


def _window(parameters: Parameters) -> Window | None:
    center, width = one(parameters, "windowCenter"), one(parameters, "windowWidth")
    if center is None and width is None:
        return None
    if center is None or width is None:
        missing = "windowCenter" if center is None else "windowWidth"
        raise BadRequest(f"{missing} is missing: windowCenter and windowWidth go together.")
    try:
        return Window(number_of(center, "windowCenter"), number_of(width, "windowWidth"))
    except ViewError as error:
        raise BadRequest(str(error)) from error


def _presentation(parameters: Parameters) -> tuple[str, str] | None:
    series = one(parameters, "presentationSeriesUID") or ""
    instance = one(parameters, "presentationUID") or ""
    if bool(series) != bool(instance):
        missing = "presentationUID" if series else "presentationSeriesUID"
        raise BadRequest(f"{missing} is missing: presentationUID needs presentationSeriesUID.")
    return (series, instance) if instance else None
