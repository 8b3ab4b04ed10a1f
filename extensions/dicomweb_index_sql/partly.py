"""What is told of a study of which a scope holds some series only (`Scope.series`).

The ready answers are those of whole studies. Scopes of this kind are links to one series, so that a
search meets one study, or a few: these are counted again when they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import select

from dicomweb_index_sql import answers as texts
from dicomweb_index_sql.columns import compared
from dicomweb_index_sql.database import Database
from dicomweb_index_sql.schema import instances, series
from dicomweb_server.interfaces.index import Found
from dicomweb_server.ps318 import attributes as sets


@dataclass(frozen=True, slots=True)
class Summary:
    """What is computed for a study from the rows below it (PS3.18 table 10.6.3-3)."""

    modalities: Sequence[str]
    sop_classes: Sequence[str]
    series: int
    instances: int


class Partly:
    """Summaries of studies, of the series with some UIDs."""

    def __init__(self, database: Database, uids: Sequence[str]) -> None:
        self._database = database
        self._uids = [compared(uid) for uid in uids]
        self._known: dict[int, Summary] = {}

    def of(self, study: int) -> Summary:
        """The summary of a row of studies."""
        if study not in self._known:
            self._known[study] = self._read(study)
        return self._known[study]

    def _read(self, study: int) -> Summary:
        columns = select(series.c.id, series.c.modality, series.c.instance_count)
        inside = columns.where(series.c.study_row == study, series.c.series_uid.in_(self._uids))
        rows = self._database.read(lambda connection: connection.execute(inside).all())
        keys = [row.id for row in rows]
        classes = select(instances.c.sop_class_uid).where(instances.c.series_row.in_(keys))
        kinds = self._database.read(
            lambda connection: connection.execute(classes.distinct()).scalars().all()
        )
        return Summary(
            sorted({(row.modality or "").split("\\")[0] for row in rows} - {""}),
            sorted({kind or "" for kind in kinds} - {""}),
            len(rows),
            sum(row.instance_count for row in rows),
        )

    def told(self, match: Found) -> Found:
        """A study with the answer that it has if there are no other series."""
        answer = orjson.loads(match.answer.replace(b"\x1f", b""))
        summary = self.of(match.row)
        uid = answer[sets.STUDY_INSTANCE_UID]["Value"][0]
        text = texts.study_answer(
            answer, uid, summary.modalities, summary.series, summary.instances
        )
        return Found(match.row, text, match.attributes)
