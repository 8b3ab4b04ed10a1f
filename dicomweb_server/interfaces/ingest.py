"""What looks at instances on their way in, and may change or refuse them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from dicomweb_server.dicom import ParsedInstance
from dicomweb_server.interfaces.index import Origin
from dicomweb_server.interfaces.provider import Provider
from dicomweb_server.ps318.store_response import COERCION_OF_DATA_ELEMENTS, PROCESSING_FAILURE


@dataclass(frozen=True, slots=True)
class Incoming:
    """An instance that has arrived whole and is not stored yet.

    Attributes:
        instance: what was read of it; `attributes` is its header in the DICOM JSON model. It is
            shared: nobody must change it.
        size: bytes of its file.
        open: gives the file (PS3.10) for reading from its start, any number of times while
            `decide` runs and `Replace.chunks` are read. Whoever calls it closes what it gives.
        origin: where it comes from.
    """

    instance: ParsedInstance
    size: int
    open: Callable[[], BinaryIO]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Keep:
    """The instance goes on as it is."""


@dataclass(frozen=True, slots=True)
class Replace:
    """Another file (PS3.10) goes on instead, `chunks` being its bytes.

    It may be read from `Incoming.open` while it is written. The client is told with Warning Reason
    (0008,1196) `warning`; whoever changes attributes records them in the Original Attributes
    Sequence, as `dicomweb_server.dicom.edit_file` does.
    """

    chunks: Iterable[bytes]
    warning: int = COERCION_OF_DATA_ELEMENTS
    message: str = ""


@dataclass(frozen=True, slots=True)
class Discard:
    """The instance is taken from the client and not kept: it is told so with a warning (B006H)."""

    message: str


@dataclass(frozen=True, slots=True)
class Reject:
    """The instance is refused with this Failure Reason (0008,1197); `message` is a sentence."""

    message: str
    failure: int = PROCESSING_FAILURE


Decision: TypeAlias = Keep | Replace | Discard | Reject


class IngestFilter(Provider, ABC):
    """Decides about each instance before it is stored; `IngestFilters` lists those to ask.

    Each sees what the one before it made. Only what arrives is filtered, not what is there already.
    """

    @abstractmethod
    def decide(self, incoming: Incoming) -> Decision:
        """What becomes of the instance.

        Called from many threads at once. MUST NOT hold pixel data in memory. An exception fails
        this instance with 0110H and nothing else; its text is told to the client.
        """
