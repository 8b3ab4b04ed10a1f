"""Keeps the attributes of `ExtraMainDicomTags` of what was stored before they were named.

Everything comes from the headers that are in the index, so no file is read. Others can store and
search meanwhile: each transaction is short, and a study gets its mark when all of it was seen.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Connection, and_, func, insert, or_, select, update

from dicomweb_index_sql import answers
from dicomweb_index_sql.database import Database
from dicomweb_index_sql.extras import Extras
from dicomweb_index_sql.maintenance import remove_extras
from dicomweb_index_sql.prepared import Prepared
from dicomweb_index_sql.schema import details, extra_values, instances, series, studies
from dicomweb_server.dicom import load_header
from dicomweb_server.ps318.query_model import QueryLevel

_PAGE = 50
_PASSES = 5
_ENDS = Prepared(
    select(
        select(func.min(studies.c.extras)).scalar_subquery(),
        select(func.max(studies.c.extras)).scalar_subquery(),
    )
)


def is_filled(database: Database, extras: Extras) -> bool:
    """Whether all is kept of every study; that costs two looks into an index."""
    ((lowest, highest),) = database.fetch(_ENDS)
    return lowest is None or lowest == highest == extras.signature


def _unmarked(extras: Extras) -> Any:
    # Two ranges: an index cannot find what is unequal.
    return or_(studies.c.extras < extras.signature, studies.c.extras > extras.signature)


def count_unfilled(database: Database, extras: Extras) -> int:
    """How many studies lack something."""
    if not extras or is_filled(database, extras):
        return 0
    statement = select(func.count()).select_from(studies).where(_unmarked(extras))
    return database.read(lambda connection: int(connection.execute(statement).scalar_one()))


def fill(database: Database, extras: Extras) -> Iterator[None]:
    """Keep what is lacking; yields after each study."""
    row = _next_unfilled(database, extras, 0)
    while row is not None:
        _fill_study(database, extras, row)
        yield
        row = _next_unfilled(database, extras, row)


def _next_unfilled(database: Database, extras: Extras, after: int) -> int | None:
    if not extras:
        return None
    statement = (
        select(studies.c.id)
        .where(studies.c.id > after, _unmarked(extras))
        .order_by(studies.c.id)
        .limit(1)
    )
    return database.read(lambda connection: connection.execute(statement).scalar())


def _fill_study(database: Database, extras: Extras, row: int) -> None:
    """Each pass fills what came during the one before, so that little is left for the last one."""
    seen = 0
    for left in reversed(range(_PASSES)):
        revision = database.read(partial(_revision, row=row))
        _fill_instances(database, extras, row, seen)
        seen = revision or 0
        # What comes while nobody else can write is nothing: the last pass may take all there is.
        most = _PAGE if left else None
        if database.transact(partial(_finish, extras=extras, row=row, seen=seen, most=most)):
            return


def _revision(connection: Connection, row: int) -> int | None:
    statement = select(studies.c.revision).where(studies.c.id == row)
    found: int | None = connection.execute(statement).scalar()
    return found


def _fill_instances(database: Database, extras: Extras, row: int, seen: int) -> None:
    last = 0
    while True:
        page = partial(_fill_page, extras=extras, row=row, seen=seen, after=last)
        found = database.transact(page)
        if len(found) < _PAGE:
            return
        last = found[-1]


def _fill_page(
    connection: Connection, extras: Extras, row: int, seen: int, after: int
) -> Sequence[int]:
    """Instances of a study that changed since a revision, from one on; their row keys."""
    statement = (
        select(instances.c.id, details.c.header)
        .join_from(instances, details, details.c.instance_row == instances.c.id)
        .where(_changed(row, seen), instances.c.id > after)
        .order_by(instances.c.id)
        .limit(_PAGE)
    )
    found = connection.execute(statement).all()
    for key, header in found:
        _keep(connection, extras, QueryLevel.INSTANCE, key, _read(header))
    return [key for key, _ in found]


def _changed(row: int, seen: int) -> Any:
    """Which instances of a study were stored after it had a revision."""
    return and_(instances.c.study_row == row, instances.c.revision > seen)


def _read(header: bytes) -> dict[str, Any]:
    read: dict[str, Any] = load_header(zlib.decompress(header))
    return read


def _keep(
    connection: Connection,
    extras: Extras,
    level: QueryLevel,
    owner: int,
    attributes: dict[str, Any],
) -> None:
    remove_extras(connection, level, [owner])
    rows = list(extras.rows(level, owner, attributes))
    if rows:
        connection.execute(insert(extra_values), rows)


def _finish(connection: Connection, extras: Extras, row: int, seen: int, most: int | None) -> bool:
    """Fill what came since and the parents, mark the study; False if more than `most` came."""
    if _revision(connection, row) is None:
        return True  # it was deleted
    changed = select(func.count()).select_from(instances).where(_changed(row, seen))
    count = connection.execute(changed).scalar_one()
    if most is not None and count > most:
        return False
    after = 0
    while page := _fill_page(connection, extras, row, seen, after):
        after = page[-1]
    _mark(connection, extras, row)
    return True


def _mark(connection: Connection, extras: Extras, row: int) -> None:
    """Fill parents from their first instances."""
    of_series = select(series.c.id).where(series.c.study_row == row).order_by(series.c.id)
    for key in connection.execute(of_series).scalars().all():
        first = instances.c.series_row == key
        _fill_parent(connection, extras, QueryLevel.SERIES, series, key, first)
    first = instances.c.study_row == row
    _fill_parent(connection, extras, QueryLevel.STUDY, studies, row, first)
    marked = update(studies).where(studies.c.id == row).values(extras=extras.signature)
    connection.execute(marked)


def _fill_parent(
    connection: Connection, extras: Extras, level: QueryLevel, table: Any, row: int, below: Any
) -> None:
    lowest = select(func.min(instances.c.id)).where(below).scalar_subquery()
    header = select(details.c.header).where(details.c.instance_row == lowest)
    attributes = _read(connection.execute(header).scalar_one())
    _keep(connection, extras, level, row, attributes)
    own = table.c.id == row
    kept = orjson.loads(connection.execute(select(table.c.attributes).where(own)).scalar_one())
    main = answers.main_attributes(kept, level) | {
        tag: attributes[tag] for tag in extras.tags(level) if tag in attributes
    }
    connection.execute(update(table).where(own).values(attributes=answers.dumps(main)))
