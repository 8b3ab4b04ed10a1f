"""The tables. What a migration creates must equal this: a test compares them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from dicomweb_index_sql.columns import Searchable, of_level
from dicomweb_server.ps318.query_model import QueryLevel

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Keys are compared and sorted by code point on every database.
KeyText = Text().with_variant(Text(collation="C"), "postgresql")


def _short(length: int) -> Any:
    """Text that is short as a rule. SQLite keeps longer ones too, PostgreSQL would refuse them."""
    return String(length).with_variant(Text(collation="C"), "postgresql")


Id = BigInteger().with_variant(Integer(), "sqlite")
Orthanc = String(44)


def _columns(searchable: Searchable) -> list[Column[object]]:
    kind = BigInteger() if searchable.kind == "number" else KeyText
    return [Column(name, kind) for name in searchable.columns]


def _searchable(level: QueryLevel) -> list[Column[object]]:
    return [column for searchable in of_level(level) for column in _columns(searchable)]


def _index_searchable(table: Table, level: QueryLevel) -> None:
    """Indexes without the rows that lack the attribute: most lack most name groups."""
    for searchable in of_level(level):
        for name in searchable.columns if searchable.indexed else ():
            column = table.c[name]
            there = column.isnot(None)
            Index(None, column, sqlite_where=there, postgresql_where=there)


def _identity() -> list[Column[object]]:
    return [
        Column("id", Id, primary_key=True, autoincrement=False),
        Column("orthanc_id", Orthanc, nullable=False, unique=True),
        Column("revision", BigInteger, nullable=False),
    ]


counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

patients = Table(
    "patients",
    metadata,
    *_identity(),
    Column("patient_id", KeyText, nullable=False),
)

studies = Table(
    "studies",
    metadata,
    *_identity(),
    Column("patient_row", Id, ForeignKey("patients.id"), nullable=False, index=True),
    *_searchable(QueryLevel.STUDY),
    Column("modalities", JSON, nullable=False),
    Column("sop_classes", JSON, nullable=False),
    Column("series_count", BigInteger, nullable=False),
    Column("instance_count", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("attributes", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    # `Extras.signature` of what is kept of everything in the study.
    Column("extras", String(16), nullable=False, server_default="", index=True),
)

series = Table(
    "series",
    metadata,
    *_identity(),
    Column("study_row", Id, ForeignKey("studies.id"), nullable=False, index=True),
    *_searchable(QueryLevel.SERIES),
    Column("instance_count", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("attributes", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False),
)

instances = Table(
    "instances",
    metadata,
    *_identity(),
    Column("study_row", Id, ForeignKey("studies.id"), nullable=False, index=True),
    Column("series_row", Id, ForeignKey("series.id"), nullable=False),
    *_searchable(QueryLevel.INSTANCE),
    # Instances without a number come first; NULL would sort differently on each database.
    Column("sort_number", BigInteger, nullable=False),
    Column("transfer_syntax", _short(64), nullable=False),
    Column("deflated", Boolean, nullable=False),
    Column("storage", _short(64), nullable=False),
    Column("blob", _short(255), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("md5", String(32), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("received", DateTime, nullable=False),
    Column("origin", _short(64), nullable=False),
    Column("remote_address", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Index("ix_instances_series_row_sort_number_id", "series_row", "sort_number", "id"),
    Index("ix_instances_storage_blob", "storage", "blob"),
)

# Never joined by searches: large, and read by primary key only.
details = Table(
    "details",
    metadata,
    Column("instance_row", Id, ForeignKey("instances.id"), primary_key=True, autoincrement=False),
    Column("reader_version", Integer, nullable=False),
    Column("pixel_data", LargeBinary),
    Column("located", JSON, nullable=False),
    Column("header", LargeBinary, nullable=False),
)

# Values of attributes without columns, see `extras`. `owner`: the row of the level.
extra_values = Table(
    "extra_values",
    metadata,
    Column("level", Integer, nullable=False),
    Column("owner", Id, nullable=False),
    Column("name", KeyText, nullable=False),
    Column("position", Integer, nullable=False),
    Column("text", KeyText),
    Column("folded", KeyText),
    Column("ideographic", KeyText),
    Column("phonetic", KeyText),
    Column("number", Double),
    PrimaryKeyConstraint("level", "owner", "name", "position"),
)

changes = Table(
    "changes",
    metadata,
    Column("seq", Id, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("level", String(16), nullable=False),
    Column("orthanc_id", Orthanc, nullable=False),
    Column("date", DateTime, nullable=False),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("storage", _short(64), nullable=False),
    Column("blob", _short(255), nullable=False),
    Column("orthanc_id", Orthanc, nullable=False),
    Column("date", DateTime, nullable=False),
    PrimaryKeyConstraint("storage", "blob"),
)

documents = Table(
    "documents",
    metadata,
    Column("namespace", _short(128), primary_key=True),
    Column("key", KeyText, primary_key=True),
    Column("value", JSON, nullable=False),
    Column("version", BigInteger, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", _short(255), primary_key=True),
    Column("holder", _short(255), nullable=False),
    Column("expires", Float, nullable=False),
)

logs = Table(
    "logs",
    metadata,
    Column("log", _short(128), nullable=False),
    Column("seq", Id, nullable=False),
    Column("value", JSON, nullable=False),
    PrimaryKeyConstraint("log", "seq"),
)

for _name in ("text", "folded", "number"):
    _column = extra_values.c[_name]
    Index(
        f"ix_extra_values_{_name}",
        extra_values.c.level,
        extra_values.c.name,
        _column,
        sqlite_where=_column.isnot(None),
        postgresql_where=_column.isnot(None),
    )

_index_searchable(studies, QueryLevel.STUDY)
_index_searchable(series, QueryLevel.SERIES)
_index_searchable(instances, QueryLevel.INSTANCE)
