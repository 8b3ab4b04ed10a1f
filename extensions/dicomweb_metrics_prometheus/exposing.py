"""The routes, and the numbers of all processes in the format that the client wants."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from dicomweb_metrics_prometheus import instruments
from dicomweb_metrics_prometheus.folder import VARIABLE, forget_dead_gauges
from dicomweb_server.context import ServerContext
from dicomweb_server.http import current_context, describes, requires
from dicomweb_server.interfaces.auth import Action
from dicomweb_server.interfaces.metrics import Metric

MEDIA_TYPES = ("text/plain", "application/openmetrics-text")
PATHS = ("/metrics", "/tools/metrics-prometheus")


class _OfExtensions(Collector):
    """What extensions tell when they are asked."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    def collect(self) -> Iterator[Family]:
        """Every metric; of several of one name, which would make the page unreadable, the first."""
        seen: set[str] = set()
        for metric in self._context.metrics():
            if metric.name not in seen:
                seen.add(metric.name)
                yield _family(metric)


def _family(metric: Metric) -> Family:
    names = sorted({name for sample in metric.samples for name in sample.labels})
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=names)
    for sample in metric.samples:
        family.add_metric([sample.labels.get(name, "") for name in names], sample.value)
    return family


def exposition(context: ServerContext, accept: str) -> tuple[bytes, str]:
    """The page and its media type."""
    folder = os.environ[VARIABLE]
    forget_dead_gauges(Path(folder))
    registry = CollectorRegistry(auto_describe=False)
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    registry.register(_OfExtensions(context))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


def metrics_blueprint(*, public: bool) -> Blueprint:
    """The routes, for everybody if `public`."""
    routes = Blueprint("metrics", __name__)
    # Made before the workers are forked, so that each counts on from nothing.
    instruments.IN_FLIGHT.set(0)

    @describes("Numbers for Prometheus", produces=MEDIA_TYPES)
    @requires(Action.PUBLIC if public else Action.ADMIN)
    def metrics() -> Response:
        page, media_type = exposition(current_context(), request.headers.get("Accept", ""))
        answer = Response(page, content_type=media_type)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    for path in PATHS:
        routes.add_url_rule(path, view_func=metrics)
    return routes
