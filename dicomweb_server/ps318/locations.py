"""Which parts of a message a BulkDataURI means (PS3.18, 8.6.1.2.3; RFC 2557, 5).

A part says where it belongs by `Content-Location`. Both may be relative: what they are relative to
is the URL of the request.
"""

from collections.abc import Iterator
from urllib.parse import urldefrag, urljoin


def resolved(base: str, location: str) -> str:
    """A location as an absolute URL, as far as it can be one; without its fragment."""
    text = location.strip().strip("<>")
    try:
        return urldefrag(urljoin(base, text)).url
    except ValueError:  # no URL at all: it can still be equal to another one
        return text


def frame_locations(location: str) -> Iterator[str]:
    """Where the parts of single frames may lie, whose list is at `location`, in order.

    Of ``.../frames/3,1`` these are ``.../frames/3`` and ``.../frames/1``. Of any other they go on
    without end: ``.../frames/1``, ``.../frames/2``, ...
    """
    folder, _, listed = location.rpartition("/")
    if folder.endswith("/frames") and all(n.isdigit() for n in listed.split(",")):
        yield from (f"{folder}/{number}" for number in listed.split(","))
        return
    number = 0
    while True:
        number += 1
        yield f"{location.rstrip('/')}/frames/{number}"
