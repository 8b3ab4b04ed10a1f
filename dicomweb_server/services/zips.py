"""ZIP archives of instances, written while they are sent.

Files are stored, not compressed: pixel data rarely gets smaller, and the network waits for nobody.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dicomweb_server.dicom import load_header
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.ps318.matching import texts_of

_UNSAFE = re.compile(r"[^\w.+ -]+")
_LONGEST = 60
_LARGE = 1 << 31

Content = Callable[[InstanceRecord], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the archive: its name, and how to read its bytes."""

    name: str
    size: int
    content: Callable[[], Iterator[bytes]]


class _Sink(io.RawIOBase):
    """Keeps what the archive writes until it is sent. It cannot seek, so sizes follow the data."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last call."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def archive(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The bytes of a ZIP archive (with ZIP64 where it needs that), a piece at a time."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archived:
        for entry in entries:
            with archived.open(entry.name, "w", force_zip64=entry.size >= _LARGE) as file:
                for piece in entry.content():
                    file.write(piece)
                    yield sink.taken()
    yield sink.taken()


class Names:
    """Readable and different names: patient / study / series / instance.dcm."""

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}

    def of(self, record: InstanceRecord, header: bytes) -> str:
        """The name of an instance in the archive."""
        attributes = load_header(header)
        patient = self._folder(
            "", f"patient {record.patient_id}", _text(attributes, "00100020", "00100010")
        )
        study = self._folder(patient, record.study_uid, _text(attributes, "00080020", "00081030"))
        series = self._folder(
            study, record.series_uid, _text(attributes, "00200011", "00080060", "0008103E")
        )
        number = _text(attributes, "00200013")
        name = f"{int(number):06}" if number.isascii() and number.isdigit() else number
        return f"{self._different(series, record.sop_uid, name or record.sop_uid)}.dcm"

    def _folder(self, parent: str, identity: str, name: str) -> str:
        return self._different(parent, identity, name) + "/"

    def _different(self, parent: str, identity: str, name: str) -> str:
        """The name; with the end of its identity when another one has it already."""
        path = f"{parent}{_safe(name) or _safe(identity)}"
        owner = self._taken.setdefault(path, identity)
        if owner != identity:
            path = f"{path} {_safe(identity)}"
            self._taken[path] = identity
        return path


def _text(attributes: dict[str, Any], *tags: str) -> str:
    values = [texts_of(attributes.get(tag)) for tag in tags]
    return " ".join(each[0].partition("=")[0].replace("^", " ") for each in values if each)


def _safe(text: str) -> str:
    """Text that every file system takes as one name."""
    return _UNSAFE.sub("_", text)[:_LONGEST].strip(" .")
