"""One pass over the bytes of an instance: what it is, and its digests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from dicomweb_server.dicom import (
    DicomReader,
    Limits,
    NotUnderstood,
    ParsedInstance,
    TagDictionary,
    read_with_pydicom,
)
from dicomweb_server.services.digests import Digests


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How instances are read. `default_charset` is a value of the option DefaultEncoding."""

    dictionary: TagDictionary
    default_charset: str = "ISO_IR 100"
    md5: bool = True
    limits: Limits = Limits()  # noqa: RUF009  # frozen


class Reading:
    """Takes the bytes of one instance in pieces; `finish` says what they are.

    What the fast reader does not understand is read with pydicom when all bytes are there.
    """

    def __init__(self, options: ReadingOptions) -> None:
        self._options = options
        self._fast: DicomReader | None = DicomReader(
            dictionary=options.dictionary,
            default_charset=options.default_charset,
            limits=options.limits,
        )
        self.digests = Digests(md5=options.md5)

    def feed(self, data: bytes | memoryview) -> None:
        """The next bytes; raises `DicomError` when they cannot be an instance."""
        self.digests.update(data)
        if self._fast is not None:
            try:
                self._fast.feed(data)
            except NotUnderstood:
                self._fast = None

    def finish(self, reopen: Callable[[], BinaryIO]) -> ParsedInstance:
        """What the bytes are; raises `DicomError`. `reopen` gives them once more."""
        if self._fast is not None:
            try:
                return self._fast.close()
            except NotUnderstood:
                pass
        with reopen() as file:
            return read_with_pydicom(
                file,
                dictionary=self._options.dictionary,
                default_charset=self._options.default_charset,
                limits=self._options.limits,
            )

    def identity(self) -> tuple[str, str, str, str]:
        """Study, series and SOP instance UID and SOP class as far as they were read; or ""."""
        return ("", "", "", "") if self._fast is None else self._fast.identity()
