"""Which answers are the same when the same is asked again, and what such an answer consists of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from dicomweb_server.http.pieces import FileRange, LocalFile, Piece

F = TypeVar("F", bound=Callable[..., Any])
Kept = tuple[bytes | FileRange, ...]
"""The pieces of an answer, in their order."""
RECORDING = "dicomweb_server.recording"
_ATTRIBUTE = "__dicomweb_repeatable__"
_FILES = 64
"""Files in an answer at most: each is opened before anything of it is sent."""


def repeatable(view: F) -> F:
    """Declare that a view answers the same to the same request until the index changes.

    Then an answer may be kept and sent again without the view being called: it must depend on
    nothing but the request, who asks, the configuration, and what the index and the storages hold.
    """
    setattr(view, _ATTRIBUTE, True)
    return view


def is_repeatable(view: Callable[..., Any] | None) -> bool:
    """Whether a view is declared so."""
    return getattr(view, _ATTRIBUTE, False)


class Recording:
    """Notes the pieces of an answer as they are sent; `finished` is called with all of them.

    `limit`: bytes of memory that they may take. It is not called for answers that take more, that
    broke off, or of which there is something that cannot be had again.
    """

    def __init__(self, limit: int, finished: Callable[[Kept], None]) -> None:
        self._limit = limit
        self._finished = finished
        self._current: list[bytes | FileRange] | None = None
        self._started = False

    @property
    def started(self) -> bool:
        """Whether the answer is one that is followed piece by piece."""
        return self._started

    def follow(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """The same pieces, noted while they pass. Of several answers the last one is meant."""
        self._started = True
        noted: list[bytes | FileRange] | None = []
        self._current = noted
        room, files = self._limit, _FILES
        for piece in pieces:
            if noted is not None:
                if isinstance(piece, LocalFile):
                    noted.append(piece.source)
                    files -= 1
                elif piece:
                    noted.append(piece)
                    room -= len(piece)
                if room < 0 or files < 0:
                    noted = None
            yield piece
        if noted is not None and self._current is noted:
            self._finished(tuple(noted))

    def whole(self, *pieces: bytes | FileRange) -> None:
        """The answer has just these pieces."""
        self._started = True
        if sum(len(piece) for piece in pieces if isinstance(piece, bytes)) <= self._limit:
            self._finished(pieces)


def recording_of(environ: Mapping[str, Any]) -> Recording | None:
    """Who notes the answer to a request; nearly always nobody."""
    return environ.get(RECORDING)
