"""Numbers about a running server, as extensions tell them to whoever exports them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Sample:
    """One number, and what tells it from the others of its metric.

    Labels MUST NOT hold what a patient or a client can choose: each value is kept for ever.
    """

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with all of its numbers, the same whichever process is asked.

    `name` in the manner of Prometheus: `dicomweb_storage_free_bytes`. A `counter` only grows.
    """

    name: str
    help: str
    samples: tuple[Sample, ...]
    kind: Literal["gauge", "counter"] = "gauge"
