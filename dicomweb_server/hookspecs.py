"""Every hook: the map of what an extension can change.

An extension is a module (or object) whose functions carry `@hookimpl` and the names below. A
hook takes only the parameters it wants. Hooks that register classes return a list of them; the
configuration chooses among the registered classes by their `name`. An exception in any of
those that are called at start stops it with a sentence that names the extension.

The manual is made from the sections of each docstring: `hook_descriptions` reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click
    from flask import Blueprint, Flask

    from dicomweb_server.config import Option
    from dicomweb_server.context import ServerContext
    from dicomweb_server.interfaces.auth import Authenticator, Authorizer
    from dicomweb_server.interfaces.codecs import Codec
    from dicomweb_server.interfaces.index import Index
    from dicomweb_server.interfaces.ingest import IngestFilter
    from dicomweb_server.interfaces.metadata import MetadataMode
    from dicomweb_server.interfaces.metrics import Metric
    from dicomweb_server.interfaces.renderers import Renderer
    from dicomweb_server.interfaces.requests import RequestSummary
    from dicomweb_server.interfaces.state import StateStore
    from dicomweb_server.interfaces.storage import BlobStore

PROJECT = "dicomweb_server"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


# --- at start: classes, chosen by name in the configuration --------------------------------


@hookspec
def register_storages() -> list[type[BlobStore]]:
    """Classes that keep the bytes of instances; `Storages.<alias>.Type` names one.

    Returns:
        subclasses of `BlobStore`, each with a `name` of its own.

    Called:
        at start, before the storages are built.
    """
    raise AssertionError


@hookspec
def register_indexes() -> list[type[Index]]:
    """Classes that keep and search what is known of instances; `Index.Type` names one.

    Returns:
        subclasses of `Index`, each with a `name` of its own.

    Called:
        at start, before the index is built.
    """
    raise AssertionError


@hookspec
def register_state_stores() -> list[type[StateStore]]:
    """Classes that keep documents, leases and logs; `StateStore.Type` names one.

    Returns:
        subclasses of `StateStore`, each with a `name` of its own.

    Called:
        at start, before the state store is built.
    """
    raise AssertionError


@hookspec
def register_metadata_modes() -> list[type[MetadataMode]]:
    """Ways to answer Retrieve Metadata; `StudiesMetadata` and `SeriesMetadata` name one each.

    Returns:
        subclasses of `MetadataMode`, each with a `name` of its own.

    Called:
        at start, before the modes are built.
    """
    raise AssertionError


@hookspec
def register_ingest_filters() -> list[type[IngestFilter]]:
    """Classes that look at instances on their way in; `IngestFilters` lists those to ask, in order.

    Each may keep, replace, discard or reject an instance.

    Returns:
        subclasses of `IngestFilter`, each with a `name` of its own.

    Called:
        at start, before the filters are built.
    """
    raise AssertionError


@hookspec
def register_codecs() -> list[type[Codec]]:
    """Classes that decode and encode frames; `Codecs` lists those to use, the preferred one first.

    Returns:
        subclasses of `Codec`, each with a `name` of its own.

    Called:
        at start, and once more by the process from which those are made that decode.
    """
    raise AssertionError


@hookspec
def register_renderers() -> list[type[Renderer]]:
    """Classes that write rendered images; `Renderers` lists those to use, the preferred one first.

    Returns:
        subclasses of `Renderer`, each with a `name` of its own.

    Called:
        at start, and once more by the process from which those are made that render.
    """
    raise AssertionError


@hookspec
def register_authenticators() -> list[type[Authenticator]]:
    """Classes that find out who asks; `Authentication.Order` lists those to ask, in order.

    Returns:
        subclasses of `Authenticator`, each with a `name` of its own.

    Called:
        at start, before the authenticators are built.
    """
    raise AssertionError


@hookspec
def register_authorizers() -> list[type[Authorizer]]:
    """Classes that say what an identity may do; `Authorization.Type` names one.

    Returns:
        subclasses of `Authorizer`, each with a `name` of its own.

    Called:
        at start, before the authorizer is built.
    """
    raise AssertionError


# --- at start: contributions ----------------------------------------------------------------


@hookspec
def register_options() -> list[Option[object]]:
    """Options of the configuration file that the extension reads.

    Returns:
        options whose names nobody else declares.

    Called:
        at start, before the configuration is checked and anything else of the extension is used.
    """
    raise AssertionError


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add commands to `dicomweb-server`; `dicomweb_server.context.context_of_command` opens the
    configuration for them.

    Args:
        cli: an empty group that takes the commands with `add_command`. Those of the core win over
            commands of the same name.

    Returns:
        nothing.

    Called:
        by each call of `dicomweb-server`, before its line is read. Never under plain gunicorn.
    """


@hookspec
def register_blueprints(context: ServerContext) -> list[Blueprint]:
    """Flask blueprints with routes of the extension; `@requires` says what each of them does.

    Routes of the core win over routes of the same path.

    Args:
        context: the application's configuration, extensions, providers and use cases.

    Returns:
        blueprints that nobody has registered yet, perhaps none.

    Called:
        at start, once for each application, after the routes of the core were added.
    """
    raise AssertionError


@hookspec
def prepare_app(app: Flask, context: ServerContext) -> None:
    """Change the finished application: wrap `app.wsgi_app`, add handlers.

    An extension that is called earlier wraps first and so sees a request later. Functions that
    Flask is to call around all views, or around the core's, make the server call its views for each
    request instead of sending known answers again (`RepeatedAnswersMB`).

    Args:
        app: the Flask application with all routes.
        context: the application's configuration, extensions, providers and use cases.

    Returns:
        nothing.

    Called:
        at start, once for each application, at its end; gunicorn forks its workers afterwards.
    """


# --- while the server runs ------------------------------------------------------------------


@hookspec
def request_finished(summary: RequestSummary) -> None:
    """Told of every request, refused ones too. Must be quick.

    An exception is logged with the name of the extension, and hurts neither the answer nor others.

    Args:
        summary: who asked for what from where, how it ended, and which studies it was about.

    Returns:
        nothing.

    Called:
        for each request when its answer begins, in the thread that answers; from many at once.
    """


@hookspec
def collect_metrics(context: ServerContext) -> list[Metric]:
    """Numbers to export now. An exception loses these numbers only, and is logged.

    Args:
        context: the application's configuration, extensions, providers and use cases.

    Returns:
        metrics that are the same whichever process is asked, perhaps none.

    Called:
        whenever somebody asks for the numbers, in one process.
    """
    raise AssertionError
