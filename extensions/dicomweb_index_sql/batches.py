"""Writes a batch of instances: in one transaction, and so that what studies sum up stays true."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from dicomweb_index_sql.database import Database, cursor_of
from dicomweb_index_sql.extras import NO_EXTRAS, Extras
from dicomweb_index_sql.maintenance import recount
from dicomweb_index_sql.renewal import renew_answers
from dicomweb_index_sql.writer import BatchWriter
from dicomweb_server.interfaces.index import Added, NewInstance, Overwrite


def write_batch(
    database: Database,
    connection: Connection,
    batch: Sequence[tuple[NewInstance, Overwrite]],
    extras: Extras = NO_EXTRAS,
) -> list[Added]:
    """Index everything; one `Added` for each, in order."""
    writer = BatchWriter(database, cursor_of(connection), extras)
    added = writer.add(batch)
    for row in sorted(writer.renewed):
        renew_answers(connection, row)
    if writer.of_another_kind:
        recount(database, connection, (), writer.of_another_kind, [])
    return added
