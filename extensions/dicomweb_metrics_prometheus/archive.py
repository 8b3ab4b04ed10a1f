"""Numbers that are the same in every process: what the archive holds, and its room."""

from __future__ import annotations

from dicomweb_server.context import ServerContext
from dicomweb_server.interfaces.metrics import Metric, Sample
from dicomweb_server.interfaces.storage import StorageError


def archive_metrics(context: ServerContext) -> list[Metric]:
    """How much there is, and how much there is room for."""
    found = context.index.statistics()
    counts = {
        "patients": found.patients,
        "studies": found.studies,
        "series": found.series,
        "instances": found.instances,
    }
    metrics = [
        Metric(f"dicomweb_archive_{name}", f"How many {name} the archive holds.", (Sample(count),))
        for name, count in counts.items()
    ]
    size = Metric("dicomweb_archive_bytes", "Bytes of all instances.", (Sample(found.size),))
    return [*metrics, size, _room(context)]


def _room(context: ServerContext) -> Metric:
    samples = []
    for alias, store in context.storages.by_alias.items():
        try:
            free = store.free_bytes()
        except StorageError:
            free = 0
        if free is not None:
            samples.append(Sample(free, {"storage": alias}))
    return Metric("dicomweb_storage_free_bytes", "Room in each storage.", tuple(samples))
