"""Numbers for Prometheus, at `/metrics` and at `/tools/metrics-prometheus`.

Every process counts for itself, in files that all of them share; whichever is asked adds them up.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask

from dicomweb_metrics_prometheus.archive import archive_metrics
from dicomweb_metrics_prometheus.folder import use_folder
from dicomweb_metrics_prometheus.watching import count_instances, watch_requests
from dicomweb_server import hookimpl
from dicomweb_server.config import Option, boolean
from dicomweb_server.context import ServerContext
from dicomweb_server.interfaces.metrics import Metric

ENABLED = Option(
    "MetricsEnabled", True, "Count requests and instances, and tell Prometheus.", boolean
)
PUBLIC = Option(
    "MetricsPublic",
    False,
    "Tell everybody who reaches the server; false: who may administrate it.",
    boolean,
)


@hookimpl
def register_options() -> list[Option[Any]]:
    return [ENABLED, PUBLIC]


@hookimpl
def collect_metrics(context: ServerContext) -> list[Metric]:
    return archive_metrics(context) if context.config[ENABLED] else []


@hookimpl
def register_blueprints(context: ServerContext) -> list[Blueprint]:
    if not context.config[ENABLED]:
        return []
    # The instruments count in files from the start: the folder comes first.
    use_folder()
    from dicomweb_metrics_prometheus.exposing import metrics_blueprint

    return [metrics_blueprint(public=context.config[PUBLIC])]


@hookimpl
def prepare_app(app: Flask, context: ServerContext) -> None:
    if context.config[ENABLED]:
        watch_requests(app)
        count_instances(context)
