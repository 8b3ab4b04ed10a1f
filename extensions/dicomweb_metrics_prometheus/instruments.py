"""What is counted. Imported once the folder is there; see `folder`."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

# The library looks for the folder when it is imported; somebody else may have done so before.
if not values.ValueClass._multiprocess:
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]

# Its own registry: what other users of the library count in this process is theirs to export.
_REGISTRY = CollectorRegistry()
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

REQUESTS = Counter(
    "dicomweb_http_requests",
    "Requests that were answered.",
    ("route", "method", "status"),
    registry=_REGISTRY,
)
DURATION = Histogram(
    "dicomweb_http_request_duration_seconds",
    "Time from the head of a request to the end of its answer.",
    ("route", "method"),
    buckets=_SECONDS,
    registry=_REGISTRY,
)
IN_FLIGHT = Gauge(
    "dicomweb_http_requests_in_flight",
    "Requests that are being answered.",
    multiprocess_mode="livesum",
    registry=_REGISTRY,
)
SENT = Counter("dicomweb_http_sent_bytes", "Bytes of bodies of answers.", registry=_REGISTRY)
INSTANCES = Counter(
    "dicomweb_instances_received",
    "Instances that came in: stored, replaced, kept (there already) or refused.",
    ("outcome",),
    registry=_REGISTRY,
)
STORED = Counter(
    "dicomweb_stored_bytes", "Bytes of instances that were stored.", registry=_REGISTRY
)


@lru_cache(maxsize=4096)
def of_requests(route: str, method: str, status: str) -> tuple[Counter, Histogram]:
    """The counter and the histogram of such requests: looking them up costs more than counting."""
    return REQUESTS.labels(route, method, status), DURATION.labels(route, method)
