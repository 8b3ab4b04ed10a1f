"""Login `link`: links to one study or series that expire, for people and viewers without login.

`POST /links` makes one, `GET /links` lists them, `DELETE /links/{id}` revokes one. A link shows
what its maker may see at the time when it is used, and never changes anything.
"""

from __future__ import annotations

from flask import Blueprint

from dicomweb_server import hookimpl
from dicomweb_server.context import ServerContext
from dicomweb_server.interfaces.auth import Authenticator
from dicomweb_signed_links.authenticator import LinkAuthenticator
from dicomweb_signed_links.routes import links_blueprint


@hookimpl
def register_authenticators() -> list[type[Authenticator]]:
    return [LinkAuthenticator]


@hookimpl
def register_blueprints(context: ServerContext) -> list[Blueprint]:
    used = [a for a in context.providers.authenticators if isinstance(a, LinkAuthenticator)]
    return [links_blueprint(authenticator) for authenticator in used]
