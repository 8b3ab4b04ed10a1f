"""Tests of the web standard: no server, no files."""

from collections.abc import Callable
from typing import Any

from dicomweb_server.ps318.errors import Ps318Error


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, or the Ps318Error that it raises; any other exception passes."""
    try:
        return call()
    except Ps318Error as error:
        return error
