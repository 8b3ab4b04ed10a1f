"""What can go wrong with a message, as exceptions that know their HTTP status (PS3.18, 8.5).

`details` is a sentence for the person at the other end: what was found, and what is possible.
"""

from typing import ClassVar


class Ps318Error(Exception):
    """A message that cannot be answered as asked. `status` is the HTTP status code."""

    status: ClassVar[int] = 500
    details: str

    def __init__(self, details: str) -> None:
        super().__init__(details)
        self.details = details


class BadRequest(Ps318Error):
    """The request has a syntax error, or a parameter has a value that it cannot have."""

    status = 400


class NotAcceptable(Ps318Error):
    """Nothing the server can send is acceptable to the client (PS3.18, 8.7.8.1)."""

    status = 406


class Conflict(Ps318Error):
    """The request is well formed and contradicts what the server holds or what the URL says."""

    status = 409


class PayloadTooLarge(Ps318Error):
    """The body or a part of it is too large for the server, or a search too broad (10.6.3.1)."""

    status = 413


class UnsupportedMediaType(Ps318Error):
    """The body has a media type that the resource does not take."""

    status = 415
