"""Adds instances to the index: one transaction for a batch, whatever its parents are."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from dicomweb_index_sql import answers
from dicomweb_index_sql.columns import BY_TAG, clean, column_values, of_level
from dicomweb_index_sql.database import Database
from dicomweb_index_sql.extras import LEVELS, NO_EXTRAS, Extras
from dicomweb_index_sql.loading import Parent, Row, load
from dicomweb_index_sql.prepared import Cursor
from dicomweb_index_sql.statements import (
    ARRIVAL,
    DELETE_DETAILS,
    DELETE_EXTRAS,
    FIRST,
    INSERT,
    UPDATE,
    write_log,
)
from dicomweb_server.dicom import OrthancIds, orthanc_ids
from dicomweb_server.dicom.version import READER_VERSION
from dicomweb_server.interfaces.index import (
    Added,
    BlobEntry,
    BlobRef,
    NewInstance,
    Outcome,
    Overwrite,
)
from dicomweb_server.ps318.attributes import MODALITY, available_transfer_syntaxes
from dicomweb_server.ps318.query_model import QueryLevel


def ids_of(new: NewInstance) -> OrthancIds:
    """The Orthanc identifiers of an instance and its parents."""
    p = new.parsed
    return orthanc_ids(p.patient_id, p.study_uid, p.series_uid, p.sop_uid)


def compress(header: bytes) -> bytes:
    """A header as it is kept; level 1 is a third of the time of the default for 6 % more bytes."""
    return zlib.compress(header, 1)


class BatchWriter:
    """One batch inside of one transaction."""

    def __init__(self, database: Database, cursor: Cursor, extras: Extras = NO_EXTRAS) -> None:
        self.database = database
        self.cursor = cursor
        self.extras = extras
        self.extra_rows: dict[tuple[int, int], list[Row]] = {}
        self.outdated: set[tuple[int, int]] = set()
        self.patients: dict[str, Row] = {}
        self.studies: dict[str, Parent] = {}
        self.series: dict[str, Parent] = {}
        self.known: dict[str, Row] = {}
        self.new_rows: dict[str, Row] = {}
        self.new_details: dict[str, Row] = {}
        self.replaced: dict[str, Row] = {}
        self.replaced_details: dict[str, Row] = {}
        self.new_patients: list[Row] = []
        self.log: list[tuple[str, str, str]] = []
        self.parent_sets: dict[str, dict[str, Any]] = {}
        self.of_another_kind: set[int] = set()
        """Rows of studies with a replaced instance of another SOP class or modality than before:
        only counting again tells whether others of the study still have the old one."""
        self.renewed: set[int] = set()
        """Rows of studies whose series and instances repeat attributes that have changed."""
        self._firsts: dict[tuple[str, int], int] = {}
        self.revision = 0
        self._next = 0

    # --- the steps -------------------------------------------------------------------------

    def add(self, batch: Sequence[tuple[NewInstance, Overwrite]]) -> list[Added]:
        """Index everything; one `Added` for each, in order."""
        ids = [ids_of(new) for new, _ in batch]
        found, self._next = load(self.database, self.cursor, ids, 8 * len(batch) + 1)
        self.known, self.patients = found.instances, found.patients
        self.studies, self.series = found.studies, found.series
        self.revision = self._next_number()
        results = [
            self._one(new, overwrite, known)
            for (new, overwrite), known in zip(batch, ids, strict=True)
        ]
        with self.cursor.together():
            self._flush()
        return results

    def _next_number(self) -> int:
        number = self._next
        self._next += 1
        return number

    def _one(self, new: NewInstance, overwrite: Overwrite, ids: OrthancIds) -> Added:
        known = self.known.get(ids.instance)
        if known is None:
            self._insert(new, ids)
            return Added(Outcome.STORED, ids, None)
        changed = overwrite is Overwrite.ALWAYS or (
            overwrite is Overwrite.IF_CHANGED and known["sha256"] != new.sha256
        )
        old = BlobRef(known["storage"], known["blob"])
        if not changed:
            return Added(
                Outcome.KEPT, ids, new.blob, BlobEntry(old, known["size"], known["sha256"])
            )
        self._replace(known, new, ids)
        return Added(Outcome.REPLACED, ids, old)

    def _insert(self, new: NewInstance, ids: OrthancIds) -> None:
        study = self._study(new, ids)
        parent = self._series(new, ids, study)
        row = self._instance_row(new, ids, study, parent)
        row["id"] = self._next_number()
        self.known[ids.instance] = row
        self.new_rows[ids.instance] = row
        self.new_details[ids.instance] = _detail_row(new, row["id"])
        self._keep_extras(QueryLevel.INSTANCE, row["id"], new, study)
        study.row["instance_count"] += 1
        study.row["size"] += new.size
        study.row["sop_classes"] = _with(study.row["sop_classes"], new.parsed.sop_class_uid)
        parent.row["instance_count"] += 1
        parent.row["size"] += new.size
        study.changed = parent.changed = True
        self.log.append(("NewInstance", "Instance", ids.instance))

    def _replace(self, known: Row, new: NewInstance, ids: OrthancIds) -> None:
        study, parent = self.studies[ids.study], self.series[ids.series]
        self._refresh_parents(known, new, study, parent)
        if (known["sop_class_uid"] or "") != new.parsed.sop_class_uid:
            self.of_another_kind.add(study.row["id"])
        difference = new.size - known["size"]
        study.row["size"] += difference
        parent.row["size"] += difference
        study.row["sop_classes"] = _with(study.row["sop_classes"], new.parsed.sop_class_uid)
        study.changed = parent.changed = True
        row = self._instance_row(new, ids, study, parent) | {"id": known["id"]}
        if new.blob == BlobRef(known["storage"], known["blob"]):  # read again, not stored again
            row |= {name: known[name] for name in ARRIVAL}
        self.known[ids.instance] = row
        detail = _detail_row(new, row["id"])
        self._replace_extras(QueryLevel.INSTANCE, row["id"], new, study)
        if ids.instance in self.new_rows:
            self.new_rows[ids.instance] = row
            self.new_details[ids.instance] = detail
        else:
            self.replaced[ids.instance] = row
            self.replaced_details[ids.instance] = detail
        self.log.append(("NewInstance", "Instance", ids.instance))

    def _refresh_parents(self, known: Row, new: NewInstance, study: Parent, parent: Parent) -> None:
        """A parent takes its attributes from its first instance: that may be the one replaced."""
        if self._is_first(known, "series_row", parent):
            before = parent.row["modality"]
            self._describe(parent, self._series_values(new), study)
            self._replace_extras(QueryLevel.SERIES, parent.row["id"], new, study)
            if parent.row["modality"] != before:
                self.of_another_kind.add(study.row["id"])
        if self._is_first(known, "study_row", study):
            self._describe(study, self._study_values(new), study)
            self._replace_extras(QueryLevel.STUDY, study.row["id"], new, study)
            if study.row["instance_count"] == 1:
                study.row["sop_classes"] = []
                study.row["modalities"] = _with([], _modality(new))

    def _describe(self, parent: Parent, values: Row, study: Parent) -> None:
        if values["attributes"] != parent.row["attributes"]:
            self.parent_sets.clear()
            if study.row["instance_count"] > 1:
                self.renewed.add(study.row["id"])
        parent.row |= values

    def _is_first(self, known: Row, column: str, parent: Parent) -> bool:
        """Whether no instance of a study or series was stored before one."""
        if parent.row["instance_count"] == 1:
            return True
        key = column, parent.row["id"]
        if key not in self._firsts:
            ((stored,),) = FIRST[column].rows(self.cursor, {"row": parent.row["id"]})
            mine = (r["id"] for r in self.new_rows.values() if r[column] == parent.row["id"])
            self._firsts[key] = min(mine, default=0) if stored is None else stored
        return bool(known["id"] == self._firsts[key])

    # --- parents ---------------------------------------------------------------------------

    def _patient(self, new: NewInstance, ids: OrthancIds) -> Row:
        row = self.patients.get(ids.patient)
        if row is None:
            row = self.patients[ids.patient] = {
                "id": self._next_number(),
                "orthanc_id": ids.patient,
                "revision": self.revision,
                "patient_id": clean(new.parsed.patient_id),
            }
            self.new_patients.append(row)
            self.log.append(("NewPatient", "Patient", ids.patient))
        return row

    def _study(self, new: NewInstance, ids: OrthancIds) -> Parent:
        study = self.studies.get(ids.study)
        if study is None:
            row = self._study_values(new) | {
                "id": self._next_number(),
                "orthanc_id": ids.study,
                "patient_row": self._patient(new, ids)["id"],
                "modalities": [],
                "sop_classes": [],
                "series_count": 0,
                "instance_count": 0,
                "size": 0,
                "extras": self.extras.signature,
            }
            study = self.studies[ids.study] = Parent(row, fresh=True)
            self._keep_extras(QueryLevel.STUDY, row["id"], new, study)
            self.log.append(("NewStudy", "Study", ids.study))
        return study

    def _series(self, new: NewInstance, ids: OrthancIds, study: Parent) -> Parent:
        parent = self.series.get(ids.series)
        if parent is None:
            row = self._series_values(new) | {
                "id": self._next_number(),
                "orthanc_id": ids.series,
                "study_row": study.row["id"],
                "instance_count": 0,
                "size": 0,
            }
            parent = self.series[ids.series] = Parent(row, fresh=True)
            self._keep_extras(QueryLevel.SERIES, row["id"], new, study)
            study.row["series_count"] += 1
            study.row["modalities"] = _with(study.row["modalities"], _modality(new))
            self.log.append(("NewSeries", "Series", ids.series))
        return parent

    def _study_values(self, new: NewInstance) -> Row:
        values = described(new.parsed.attributes, QueryLevel.STUDY, self.extras)
        return values | {"study_uid": new.parsed.study_uid}

    def _series_values(self, new: NewInstance) -> Row:
        values = described(new.parsed.attributes, QueryLevel.SERIES, self.extras)
        return values | {"series_uid": new.parsed.series_uid}

    # --- attributes without columns --------------------------------------------------------

    def _keep_extras(self, level: QueryLevel, row: int, new: NewInstance, study: Parent) -> None:
        if study.row["extras"] != self.extras.signature:
            study.row["extras"] = ""  # what is kept of the study is not all of one kind any more
        if self.extras:
            kept = list(self.extras.rows(level, row, new.parsed.attributes))
            self.extra_rows[LEVELS[level], row] = kept

    def _replace_extras(self, level: QueryLevel, row: int, new: NewInstance, study: Parent) -> None:
        self.outdated.add((LEVELS[level], row))
        self._keep_extras(level, row, new, study)

    # --- rows of instances -----------------------------------------------------------------

    def _instance_row(
        self, new: NewInstance, ids: OrthancIds, study: Parent, parent: Parent
    ) -> Row:
        parsed = new.parsed
        parents = self.parent_sets.get(ids.series)
        if parents is None:
            parents = self.parent_sets[ids.series] = answers.parent_set(
                orjson.loads(study.row["attributes"]), orjson.loads(parent.row["attributes"])
            )
        uids = (parsed.study_uid, parsed.series_uid, parsed.sop_uid)
        columns = columns_of(parsed.attributes, QueryLevel.INSTANCE)
        return columns | {
            "orthanc_id": ids.instance,
            "revision": self.revision,
            "study_row": study.row["id"],
            "series_row": parent.row["id"],
            "sort_number": columns["instance_number"] or 0,
            "transfer_syntax": clean(parsed.transfer_syntax),
            "deflated": parsed.deflated,
            "storage": new.blob.storage,
            "blob": new.blob.key,
            "size": new.size,
            "md5": new.md5,
            "sha256": new.sha256,
            "received": new.received,
            "origin": new.origin.kind,
            "remote_address": clean(new.origin.remote_address),
            "username": clean(new.origin.user),
            "answer": answers.instance_answer(
                parents,
                parsed.attributes,
                uids,
                available_transfer_syntaxes(parsed.transfer_syntax),
            ),
        }

    # --- writing it down -------------------------------------------------------------------

    def _flush(self) -> None:
        """Parents before children, in the order of their identifiers (no deadlocks)."""
        if self.new_patients:
            INSERT["patients"].run_many(self.cursor, sorted(self.new_patients, key=_by_id))
        self._flush_studies()
        self._flush_series()
        if self.new_rows:
            rows = sorted(self.new_rows.values(), key=_by_id)
            INSERT["instances"].run_many(self.cursor, rows)
            INSERT["details"].run_many(self.cursor, self.new_details.values())
        if self.replaced:
            UPDATE["instances"].run_many(self.cursor, self.replaced.values())
            # Not updated: one that was lost is made again.
            described = list(self.replaced_details.values())
            DELETE_DETAILS.run_many(self.cursor, [{"row": r["instance_row"]} for r in described])
            INSERT["details"].run_many(self.cursor, described)
        self._flush_extras()
        write_log(self.cursor, self._next, self.log)

    def _flush_extras(self) -> None:
        if self.outdated:
            keys = [{"l": level, "o": owner} for level, owner in sorted(self.outdated)]
            DELETE_EXTRAS.run_many(self.cursor, keys)
        rows = [row for kept in self.extra_rows.values() for row in kept]
        if rows:
            INSERT["extra_values"].run_many(self.cursor, rows)

    def _flush_studies(self) -> None:
        touched = [study for study in self.studies.values() if study.changed]
        for study in touched:
            finish_study(study.row, self.revision)
        self._write("studies", [(s.row, s.fresh) for s in touched])

    def _flush_series(self) -> None:
        touched = [parent for parent in self.series.values() if parent.changed]
        by_row = {study.row["id"]: study.row for study in self.studies.values()}
        for parent in touched:
            finish_series(parent.row, by_row[parent.row["study_row"]], self.revision)
        self._write("series", [(s.row, s.fresh) for s in touched])

    def _write(self, table: str, rows: Sequence[tuple[Row, bool]]) -> None:
        ordered = sorted(rows, key=lambda pair: _by_id(pair[0]))
        new = [row for row, fresh in ordered if fresh]
        old = [row for row, fresh in ordered if not fresh]
        if new:
            INSERT[table].run_many(self.cursor, new)
        if old:
            UPDATE[table].run_many(self.cursor, old)


def finish_study(row: Row, revision: int) -> None:
    """Write the ready answer of a study whose counts or attributes changed."""
    row["revision"] = revision
    row["answer"] = answers.study_answer(
        orjson.loads(row["attributes"]),
        row["study_uid"],
        row["modalities"],
        row["series_count"],
        row["instance_count"],
    )


def finish_series(row: Row, study: Row, revision: int) -> None:
    """Write the ready answer of a series whose count or attributes changed."""
    row["revision"] = revision
    row["answer"] = answers.series_answer(
        orjson.loads(study["attributes"]),
        orjson.loads(row["attributes"]),
        (study["study_uid"], row["series_uid"]),
        row["instance_count"],
    )


def _by_id(row: Mapping[str, Any]) -> str:
    return str(row["orthanc_id"])


def columns_of(attributes: Mapping[str, Any], level: QueryLevel) -> Row:
    """The columns by which a level is searched."""
    row: Row = {}
    for searchable in of_level(level):
        row |= column_values(searchable, attributes)
    return row


def described(attributes: Mapping[str, Any], level: QueryLevel, extras: Extras) -> Row:
    """The columns of a study or series that tell its attributes."""
    main = answers.main_attributes(attributes, level, extras.tags(level))
    return columns_of(attributes, level) | {"attributes": answers.dumps(main)}


def _detail_row(new: NewInstance, instance_row: int) -> Row:
    parsed = new.parsed
    return {
        "instance_row": instance_row,
        "reader_version": READER_VERSION,
        "pixel_data": parsed.pixel_data.to_bytes() if parsed.pixel_data else None,
        "located": [[v.path, v.vr, v.offset, v.length] for v in parsed.located],
        "header": compress(parsed.header),
    }


def _modality(new: NewInstance) -> str:
    """The first modality as its column has it, so that counting again finds the same."""
    value = column_values(BY_TAG[MODALITY], new.parsed.attributes)["modality"]
    return (value or "").split("\\")[0]


def _with(values: list[str], value: str) -> list[str]:
    return values if not value or value in values else sorted([*values, value])
