"""The beginning of what is made while it is sent, made before."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO

_IN_MEMORY = 4 << 20
_READ = 1 << 20


def made_ahead(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The same bytes, of which `size` or a little more are made now: their errors are raised here.

    They wait in memory, or in a temporary file when they are many.
    """
    with ExitStack() as opened:
        spool = opened.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY))
        while spool.tell() < size and (piece := next(pieces, None)) is not None:
            spool.write(piece)
        opened.pop_all()
    return _all(spool, pieces)


def _all(spool: IO[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    with spool:
        spool.seek(0)
        while data := spool.read(_READ):
            yield data
    yield from rest
