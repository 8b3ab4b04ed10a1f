"""Takes instances in: streamed to the storage while they are read, indexed in batches.

The order of truth: the bytes are durable, then the index commits, then the caller is told. What
fails in between leaves at most a blob that no row points to, and `check` finds it.
"""

from .batch import Batch
from .part import Part
from .results import Ingested
from .service import IngestService

__all__ = ["Batch", "IngestService", "Ingested", "Part"]
