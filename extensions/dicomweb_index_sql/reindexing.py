"""Replaces what is known of blobs with what the reader finds in them now."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, select

from dicomweb_index_sql.batches import write_batch
from dicomweb_index_sql.database import Database
from dicomweb_index_sql.extras import Extras
from dicomweb_index_sql.schema import instances, tombstones
from dicomweb_index_sql.statements import chunks
from dicomweb_server.interfaces.index import BlobRef, NewInstance, Overwrite


def _refs(connection: Connection, table: Table, keys: Sequence[str]) -> set[BlobRef]:
    columns = table.c
    found: set[BlobRef] = set()
    for part in chunks(keys):
        statement = select(columns.storage, columns.blob).where(columns.blob.in_(part))
        found |= {BlobRef(*row) for row in connection.execute(statement)}
    return found


def reindex(
    database: Database, connection: Connection, news: Sequence[NewInstance], extras: Extras
) -> int:
    """Blobs that are indexed are described anew; others are added, unless they were deleted."""
    keys = [new.blob.key for new in news]
    known = _refs(connection, instances, keys)
    deleted = _refs(connection, tombstones, keys)
    batch = [
        (new, Overwrite.ALWAYS if new.blob in known else Overwrite.NEVER)
        for new in news
        if new.blob not in deleted
    ]
    if not batch:
        return 0
    added = write_batch(database, connection, batch, extras)
    return sum(
        overwrite is Overwrite.ALWAYS or result.discarded != new.blob
        for (new, overwrite), result in zip(batch, added, strict=True)
    )
