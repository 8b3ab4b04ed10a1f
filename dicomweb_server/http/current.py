"""What belongs to the current request, without the proxies through which Flask finds it.

Each use of `request` or `g` looks the context up: where one function uses them often, that is some
percent of a small request.
"""

from __future__ import annotations

from typing import Any, cast

from flask import Request, g, request

ROUTE = "dicomweb_server.route"
"""Key of the WSGI environment with the rule that the path fitted, "" for none, once the answer is
made: for middleware that counts requests."""


def current_request() -> Request:
    """The request itself."""
    return cast(Request, cast(Any, request)._get_current_object())


def current_values() -> Any:
    """What `g` stands for: the attributes of the current request."""
    return cast(Any, g)._get_current_object()
