"""Puts an application together."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask

from dicomweb_server.config import Config, ConfigError, Option, check, load_raw, locate
from dicomweb_server.context import ServerContext
from dicomweb_server.http.access import CONTEXT_KEY
from dicomweb_server.http.errors import register_error_handlers
from dicomweb_server.http.gone import gone_answer
from dicomweb_server.interfaces.index import InstanceGone
from dicomweb_server.interfaces.storage import BlobNotFound
from dicomweb_server.options import CORE_OPTIONS
from dicomweb_server.plugins import (
    DISABLED,
    PLUGINS,
    ExtensionError,
    Extensions,
    TracedExtensions,
    load_extensions,
)
from dicomweb_server.providers import build_context
from dicomweb_server.settings import (
    DESCRIBE_ERRORS,
    ENABLE,
    READ_ONLY,
    ROOT,
    TRACE_HOOKS,
    slashed,
)
from dicomweb_server.web.access import check_access, check_routes, install_access
from dicomweb_server.web.application import Application
from dicomweb_server.web.cors import install_cors
from dicomweb_server.web.listeners import Listeners, install_listeners
from dicomweb_server.web.paths import tidy_paths
from dicomweb_server.web.patients import patients_blueprint
from dicomweb_server.web.repeated import RepeatedAnswers, functions_of, install_repeated
from dicomweb_server.web.requests import install_request_log
from dicomweb_server.web.server import server
from dicomweb_server.web.studies import studies_blueprint
from dicomweb_server.web.tracing import install_trace

log = logging.getLogger(__name__)


def read_early(
    raw: Mapping[str, Any], *options: Option[Any], base: Path, source: Path | None = None
) -> Config:
    """Some options of the top level, checked, before it is known which others there are."""
    names = [option.name for option in options if option.name in raw]
    return check({name: raw[name] for name in names}, options, base=base, source=source)


def load_all(
    raw: Mapping[str, Any],
    *,
    base: Path,
    source: Path | None = None,
    extra: Sequence[tuple[str, object]] = (),
    traceable: bool = False,
) -> tuple[Config, Extensions]:
    """The extensions that a configuration names, and it checked with their options.

    `traceable`: they are traced if the configuration says so.
    """
    # Which extensions there are decides which options exist.
    first = read_early(raw, DISABLED, PLUGINS, TRACE_HOOKS, base=base, source=source)
    extensions = load_extensions(
        disabled=first[DISABLED],
        paths=[first.path(text) for text in first[PLUGINS]],
        extra=extra,
        traced=traceable and first[TRACE_HOOKS],
    )
    declared: dict[str, Option[Any]] = {option.name: option for option in CORE_OPTIONS}
    for owner, option in extensions.collect("register_options"):
        if not isinstance(option, Option):
            raise ConfigError(f"extension {owner}: register_options returned {option!r}")
        if option.name in declared:
            raise ConfigError(f"extension {owner}: the option {option.name} is declared already")
        declared[option.name] = option
    config = check(raw, declared.values(), base=base, source=source, explain=extensions.why_unknown)
    return config, extensions


def read_configuration(
    config: Mapping[str, Any] | Path | None, beside: Path | None = None
) -> tuple[dict[str, Any], Path, Path | None]:
    """The unchecked document, the folder that its paths are relative to, and where it stands."""
    if isinstance(config, Mapping):
        return dict(config), Path.cwd(), None
    source = config if config is not None else locate(os.environ, beside)
    if source is None:
        return {}, Path.cwd(), None
    base = source if source.is_dir() else source.parent
    return load_raw(source), base.absolute(), source


def create_context(
    config: Mapping[str, Any] | Path | None = None,
    *,
    beside: Path | None = None,
    extra: Sequence[tuple[str, object]] = (),
    instead: Mapping[str, Any] = {},
    traceable: bool = False,
) -> ServerContext:
    """The context for a configuration: a mapping, a file or folder, or None to look for one.

    `instead`: options of the top level that win over those of the configuration. `traceable`:
    the extensions are traced if the configuration says so.
    """
    raw, base, source = read_configuration(config, beside)
    raw |= instead
    checked, extensions = load_all(raw, base=base, source=source, extra=extra, traceable=traceable)
    for warning in (*checked.warnings, *extensions.warnings):
        log.warning("%s", warning)
    return build_context(extensions, checked)


def create_app(
    config: Mapping[str, Any] | Path | None = None,
    *,
    beside: Path | None = None,
    extra: Sequence[tuple[str, object]] = (),
    instead: Mapping[str, Any] = {},
) -> Flask:
    """The WSGI application. Raises `ConfigError` with a sentence when it cannot start.

    `config`: a mapping, a file or folder; None looks for `DICOMWEB_SERVER_CONFIG`, then for
    `config.json` in the folder `beside`. `extra`: (name, extension) pairs of the caller.
    `instead`: options of the top level that win over those of the configuration.
    """
    context = create_context(config, beside=beside, extra=extra, instead=instead, traceable=True)
    check_access(context)
    context.prepare()
    unfilled = context.index.unfilled()
    if unfilled:
        log.warning(
            "%d studies lack attributes of ExtraMainDicomTags, so searches by these read headers: "
            "run `dicomweb-server reindex --tags`, which can be done meanwhile",
            unfilled,
        )
    app = build_app(context)
    context.extensions.report_start()
    return app


def build_app(context: ServerContext) -> Flask:
    """The WSGI application of a context."""
    app = Application("dicomweb_server", static_folder=None)
    app.extensions[CONTEXT_KEY] = context
    app.config["DICOMWEB_DESCRIBE_ERRORS"] = context.config[DESCRIBE_ERRORS]
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    listeners = Listeners(context)
    repeated = install_repeated(app, context, listeners)
    install_request_log(app)
    install_cors(app, context.config)
    install_access(app, context)
    register_error_handlers(app)
    for kind in (BlobNotFound, InstanceGone):
        app.register_error_handler(kind, gone_answer)
    app.register_blueprint(server)
    config = context.config
    app.register_blueprint(patients_blueprint(read_only=config[READ_ONLY]))
    if config[ENABLE]:
        root = slashed(config[ROOT])
        app.register_blueprint(studies_blueprint(root, read_only=config[READ_ONLY]))
    own = functions_of(app)
    _register_blueprints(app, context)
    context.extensions.call("prepare_app", app=app, context=context)
    repeated.start(app)
    _let_them_see(app, own, repeated)
    install_listeners(app, listeners)
    if isinstance(context.extensions, TracedExtensions):
        repeated.stop("TraceHooks counts what is done for each request")
        install_trace(app, context.extensions.trace, context.extensions.plugins())
    check_routes(app)
    app.wsgi_app = tidy_paths(app.wsgi_app)  # type: ignore[method-assign, assignment]
    return app


def _register_blueprints(app: Flask, context: ServerContext) -> None:
    """Add the routes of extensions, after those of the core: the first of a path wins."""
    for owner, blueprint in context.extensions.collect("register_blueprints", context=context):
        if not isinstance(blueprint, Blueprint):
            raise ExtensionError(
                f"extension {owner}: register_blueprints must return Flask blueprints, "
                f"found {blueprint!r}"
            )
        try:
            app.register_blueprint(blueprint)
        except (AssertionError, ValueError) as error:
            raise ExtensionError(f"extension {owner}: {error}") from error


def _let_them_see(
    app: Flask, own: Mapping[str, set[Callable[..., Any]]], repeated: RepeatedAnswers
) -> None:
    """An extension that put a function around the core's views is to see each request to them."""
    after = functions_of(app)
    strangers = {function for name in own for function in after[name] - own[name]}
    if strangers:
        names = sorted({str(getattr(each, "__module__", each)) for each in strangers})
        repeated.stop(f"{', '.join(names)} look at each request")
