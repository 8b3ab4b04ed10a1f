"""The index on a SQL database: `SqlIndex` puts the parts of this package together."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, tuple_

from dicomweb_index_sql import (
    below,
    copying,
    filling,
    maintenance,
    migration,
    ordering,
    patients,
    reads,
    search,
    verifying,
)
from dicomweb_index_sql.batches import write_batch
from dicomweb_index_sql.conditions import answers
from dicomweb_index_sql.extras import NO_EXTRAS, Extras
from dicomweb_index_sql.group_commit import GroupCommit
from dicomweb_index_sql.options import OPTIONS, open_database
from dicomweb_index_sql.reindexing import reindex
from dicomweb_index_sql.schema import changes, instances, studies
from dicomweb_index_sql.statements import chunks
from dicomweb_server.context import ServerContext
from dicomweb_server.interfaces.auth import Scope
from dicomweb_server.interfaces.index import (
    Added,
    BlobEntry,
    BlobRef,
    Change,
    Details,
    Found,
    Index,
    InstanceRecord,
    NewInstance,
    Overwrite,
    PatientRecord,
    Statistics,
)
from dicomweb_server.interfaces.provider import Settings
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.ps318.query_model import Condition, Order, Query, QueryLevel

_Job = tuple[Sequence[NewInstance], Overwrite]
_BLOB_PAGE = 5000


class SqlIndex(Index):
    """The index on SQLite (a file in `IndexDirectory`) or PostgreSQL, if `Index.Url` names it."""

    name = "sql"
    options = OPTIONS

    def __init__(self, settings: Settings) -> None:
        self.database = open_database(settings)
        self._commits: GroupCommit[_Job, list[Added]] = GroupCommit(self._add_all)
        self._extras = NO_EXTRAS

    def bind(self, context: ServerContext) -> None:
        self._extras = Extras(context.main_tags.extra, context.dictionary)

    def check(self) -> None:
        migration.require_current(self.database)
        with self.database.translated():
            self.database.kind.require_writable()

    def close(self) -> None:
        self.database.close()

    # --- writing ---------------------------------------------------------------------------

    def add(
        self, instances: Sequence[NewInstance], *, overwrite: Overwrite = Overwrite.NEVER
    ) -> list[Added]:
        return self._commits.submit((instances, overwrite)) if instances else []

    def _add_all(self, jobs: Sequence[_Job]) -> list[list[Added]]:
        batch = [(new, overwrite) for news, overwrite in jobs for new in news]
        added = iter(
            self.database.transact(
                lambda connection: write_batch(self.database, connection, batch, self._extras)
            )
        )
        return [[next(added) for _ in news] for news, _ in jobs]

    def delete(self, resource: Resource, scope: Scope) -> list[BlobRef]:
        if scope.nothing:
            return []
        inside = self._scope(scope)
        return self.database.transact(
            lambda connection: maintenance.delete_resource(
                self.database, connection, resource, inside
            )
        )

    def delete_patient(self, record: PatientRecord) -> list[BlobRef]:
        return self.database.transact(
            lambda connection: patients.delete_patient(self.database, connection, record)
        )

    def relocate(self, moves: Sequence[tuple[BlobRef, BlobRef]]) -> set[BlobRef]:
        return self.database.transact(
            lambda connection: maintenance.relocate(self.database, connection, moves)
        )

    def reindex(self, instances: Sequence[NewInstance]) -> int:
        return self.database.transact(
            lambda connection: reindex(self.database, connection, instances, self._extras)
        )

    # --- searching -------------------------------------------------------------------------

    def keeps(self, condition: Condition, level: QueryLevel) -> bool:
        return answers(condition, level) or self._extras.key_of(condition) is not None

    def answers(self, condition: Condition, level: QueryLevel) -> bool:
        if answers(condition, level):
            return True
        return self._extras.key_of(condition) is not None and self._is_filled()

    def _is_filled(self) -> bool:
        return filling.is_filled(self.database, self._extras)

    def _query(self, query: Query) -> Query:
        order = ordering.resolved(query.order, self._extras)
        return self._extras.of_query(replace(query, order=order) if order else query)

    def _scope(self, scope: Scope) -> Scope:
        return self._extras.of_scope(scope)

    def search(self, query: Query, scope: Scope, *, attributes: bool = False) -> list[Found]:
        asked = self._query(query)
        return search.run(self.database, asked, self._scope(scope), attributes=attributes)

    def sorts(self, order: Order, level: QueryLevel) -> bool:
        if not ordering.sorts(order, level, self._extras):
            return False
        return ordering.sorts(order, level, NO_EXTRAS) or self._is_filled()

    def count(self, query: Query, scope: Scope) -> int:
        return search.count(self.database, self._query(query), self._scope(scope))

    def scan(self, query: Query, scope: Scope) -> Iterator[tuple[Found, bytes]]:
        return below.scan(self.database, self._query(query), self._scope(scope))

    def representative(
        self,
        level: QueryLevel,
        row: int,
        conditions: Sequence[Condition] = (),
        *,
        scope: Scope,
    ) -> bytes:
        return self.representatives(level, (row,), conditions, scope=scope).get(row, b"{}")

    def representatives(
        self,
        level: QueryLevel,
        rows: Sequence[int],
        conditions: Sequence[Condition] = (),
        *,
        scope: Scope,
    ) -> Mapping[int, bytes]:
        asked = [self._extras.resolved(condition) for condition in conditions]
        return below.representatives(self.database, level, rows, asked, self._scope(scope))

    # --- retrieving ------------------------------------------------------------------------

    def version(self, resource: Resource, scope: Scope) -> str | None:
        if scope.nothing:
            return None
        return reads.version(self.database, resource, self._scope(scope))

    def transfer_syntaxes(self, resource: Resource, scope: Scope) -> frozenset[str]:
        if scope.nothing:
            return frozenset()
        return reads.transfer_syntaxes(self.database, resource, self._scope(scope))

    def count_pixel_data(self, resource: Resource, scope: Scope) -> Mapping[str, tuple[int, int]]:
        if scope.nothing:
            return {}
        return reads.count_pixel_data(self.database, resource, self._scope(scope))

    def instances(self, resource: Resource, scope: Scope) -> Iterator[InstanceRecord]:
        if not scope.nothing:
            inside = self._scope(scope)
            for record, _ in reads.rows(self.database, resource, inside, headers=False):
                yield record

    def headers(self, resource: Resource, scope: Scope) -> Iterator[tuple[InstanceRecord, bytes]]:
        if not scope.nothing:
            inside = self._scope(scope)
            for record, packed in reads.rows(self.database, resource, inside, headers=True):
                yield record, zlib.decompress(packed)

    def details(self, row: int) -> Details | None:
        return reads.read_details(self.database, row)

    def pixel_data(self, row: int) -> bytes | None:
        return reads.read_pixel_data(self.database, row)

    def state(self) -> Hashable:
        return self.database.state()

    # --- looking after it ------------------------------------------------------------------

    def unfilled(self) -> int:
        return filling.count_unfilled(self.database, self._extras)

    def fill(self) -> Iterator[None]:
        return filling.fill(self.database, self._extras)

    def patients(self) -> Iterator[PatientRecord]:
        return iter(patients.read_patients(self.database))

    def patient(self, orthanc_id: str) -> PatientRecord | None:
        return self.database.read(lambda connection: patients.find(connection, orthanc_id))

    def studies_of(self, record: PatientRecord) -> list[str]:
        return patients.read_studies(self.database, record)

    def changes(self, *, after: int = 0, limit: int = 100) -> list[Change]:
        statement = (
            select(changes).where(changes.c.seq > after).order_by(changes.c.seq).limit(limit)
        )
        return [
            Change(r.seq, r.kind, r.level, r.orthanc_id, r.date.replace(tzinfo=UTC))
            for r in self._rows(statement)
        ]

    def statistics(self) -> Statistics:
        return maintenance.statistics(self.database)

    def blobs(
        self,
        *,
        storage: str | None = None,
        received_before: datetime | None = None,
        study: str | None = None,
    ) -> Iterator[BlobEntry]:
        wanted = _wanted(storage, received_before, study)
        columns = instances.c
        last = 0
        while True:
            statement = (
                select(columns.id, columns.storage, columns.blob, columns.size, columns.sha256)
                .where(instances.c.id > last, *wanted)
                .order_by(instances.c.id)
                .limit(_BLOB_PAGE)
            )
            page = self._rows(statement)
            for row in page:
                yield BlobEntry(BlobRef(row.storage, row.blob), row.size, row.sha256)
            if len(page) < _BLOB_PAGE:
                return
            last = page[-1].id

    def storages(self) -> frozenset[str]:
        # From one alias to the next by way of the index: DISTINCT would look at every row.
        found: list[str] = []
        while True:
            smallest = select(func.min(instances.c.storage))
            if found:
                smallest = smallest.where(instances.c.storage > found[-1])
            ((alias,),) = self._rows(smallest)
            if alias is None:
                return frozenset(found)
            found.append(alias)

    def knows(self, blobs: Sequence[BlobRef]) -> set[BlobRef]:
        known: set[BlobRef] = set()
        self.database.wait_for_writers()
        for part in chunks(blobs, 200):
            pair = tuple_(instances.c.storage, instances.c.blob)
            wanted = [pair == tuple_(ref.storage, ref.key) for ref in part]
            statement = select(instances.c.storage, instances.c.blob).where(or_(*wanted))
            known |= {BlobRef(*row) for row in self._rows(statement)}
        return known

    def copy_to(self, target: Path) -> Iterator[BlobEntry]:
        return copying.copy_to(self.database, target)

    def restoring(self, copy: Path) -> AbstractContextManager[Iterable[BlobEntry]]:
        return copying.restoring(self.database, copy)

    def verify(self, *, repair: bool = False) -> list[str]:
        return verifying.verify(self.database, self._extras, repair=repair)

    def undescribed(self) -> list[BlobRef]:
        return verifying.undescribed(self.database)

    def migrate(self) -> str:
        return migration.migrate(self.database)

    def _rows(self, statement: Select[Any]) -> Sequence[Any]:
        return self.database.read(lambda connection: connection.execute(statement).all())


def _wanted(
    storage: str | None, received_before: datetime | None, study: str | None
) -> list[ColumnElement[bool]]:
    """Conditions on instances; None says nothing."""
    found: list[ColumnElement[bool]] = []
    if storage is not None:
        found.append(instances.c.storage == storage)
    if received_before is not None:
        limit = received_before.astimezone(UTC).replace(tzinfo=None)
        found.append(instances.c.received < limit)
    if study is not None:
        named = select(studies.c.id).where(studies.c.study_uid == study)
        found.append(instances.c.study_row.in_(named))
    return found
