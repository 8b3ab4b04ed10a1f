"""The tables of the first release. Frozen: later changes are migrations of their own."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _short(length: int) -> Any:
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create every table, and the sequence that all keys and revisions come from."""
    op.create_table(
        "changes",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("orthanc_id", sa.String(length=44), nullable=False),
        sa.Column("date", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_changes")),
    )
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.bulk_insert(counters, [{"name": "sequence", "value": 0}])
    op.create_table(
        "documents",
        sa.Column("namespace", _short(128), nullable=False),
        sa.Column(
            "key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "key", name=op.f("pk_documents")),
    )
    op.create_table(
        "leases",
        sa.Column("name", _short(255), nullable=False),
        sa.Column("holder", _short(255), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "logs",
        sa.Column("log", _short(128), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("log", "seq", name=op.f("pk_logs")),
    )
    op.create_table(
        "patients",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("orthanc_id", sa.String(length=44), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column(
            "patient_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("attributes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patients")),
        sa.UniqueConstraint("orthanc_id", name=op.f("uq_patients_orthanc_id")),
    )
    op.create_table(
        "tombstones",
        sa.Column("storage", _short(64), nullable=False),
        sa.Column("blob", _short(255), nullable=False),
        sa.Column("orthanc_id", sa.String(length=44), nullable=False),
        sa.Column("date", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("storage", "blob", name=op.f("pk_tombstones")),
    )
    op.create_table(
        "studies",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("orthanc_id", sa.String(length=44), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column(
            "patient_row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "patient_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "patient_id_folded",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "patient_name_alphabetic",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "patient_name_ideographic",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "patient_name_phonetic",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "patient_birth_date",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "patient_sex",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "patient_sex_folded",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "study_uid", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True
        ),
        sa.Column(
            "study_date",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "study_time",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "accession_number",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "accession_number_folded",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "study_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True
        ),
        sa.Column(
            "study_id_folded",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "study_description",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "study_description_folded",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "institution_name",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "institution_name_folded",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "referring_physician_alphabetic",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "referring_physician_ideographic",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "referring_physician_phonetic",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column("modalities", sa.JSON(), nullable=False),
        sa.Column("sop_classes", sa.JSON(), nullable=False),
        sa.Column("series_count", sa.BigInteger(), nullable=False),
        sa.Column("instance_count", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("attributes", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["patient_row"], ["patients.id"], name=op.f("fk_studies_patient_row")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sa.UniqueConstraint("orthanc_id", name=op.f("uq_studies_orthanc_id")),
    )
    with op.batch_alter_table("studies", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_studies_accession_number"),
            ["accession_number"],
            unique=False,
            sqlite_where=sa.text("accession_number IS NOT NULL"),
            postgresql_where=sa.text("accession_number IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_studies_accession_number_folded"),
            ["accession_number_folded"],
            unique=False,
            sqlite_where=sa.text("accession_number_folded IS NOT NULL"),
            postgresql_where=sa.text("accession_number_folded IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_studies_patient_birth_date"),
            ["patient_birth_date"],
            unique=False,
            sqlite_where=sa.text("patient_birth_date IS NOT NULL"),
            postgresql_where=sa.text("patient_birth_date IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_studies_patient_id"),
            ["patient_id"],
            unique=False,
            sqlite_where=sa.text("patient_id IS NOT NULL"),
            postgresql_where=sa.text("patient_id IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_studies_patient_id_folded"),
            ["patient_id_folded"],
            unique=False,
            sqlite_where=sa.text("patient_id_folded IS NOT NULL"),
            postgresql_where=sa.text("patient_id_folded IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_studies_patient_name_alphabetic"),
            ["patient_name_alphabetic"],
            unique=False,
            sqlite_where=sa.text("patient_name_alphabetic IS NOT NULL"),
            postgresql_where=sa.text("patient_name_alphabetic IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_studies_patient_name_ideographic"),
            ["patient_name_ideographic"],
            unique=False,
            sqlite_where=sa.text("patient_name_ideographic IS NOT NULL"),
            postgresql_where=sa.text("patient_name_ideographic IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_studies_patient_name_phonetic"),
            ["patient_name_phonetic"],
            unique=False,
            sqlite_where=sa.text("patient_name_phonetic IS NOT NULL"),
            postgresql_where=sa.text("patient_name_phonetic IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_studies_patient_row"), ["patient_row"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_studies_study_date"),
            ["study_date"],
            unique=False,
            sqlite_where=sa.text("study_date IS NOT NULL"),
            postgresql_where=sa.text("study_date IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_studies_study_id"),
            ["study_id"],
            unique=False,
            sqlite_where=sa.text("study_id IS NOT NULL"),
            postgresql_where=sa.text("study_id IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_studies_study_id_folded"),
            ["study_id_folded"],
            unique=False,
            sqlite_where=sa.text("study_id_folded IS NOT NULL"),
            postgresql_where=sa.text("study_id_folded IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_studies_study_uid"),
            ["study_uid"],
            unique=False,
            sqlite_where=sa.text("study_uid IS NOT NULL"),
            postgresql_where=sa.text("study_uid IS NOT NULL"),
        )

    op.create_table(
        "series",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("orthanc_id", sa.String(length=44), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column(
            "study_row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "series_uid",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "modality", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True
        ),
        sa.Column(
            "modality_folded",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column("series_number", sa.BigInteger(), nullable=True),
        sa.Column(
            "series_description",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "series_description_folded",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "body_part", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True
        ),
        sa.Column(
            "body_part_folded",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "protocol_name",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "protocol_name_folded",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "station_name",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "station_name_folded",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "manufacturer",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "manufacturer_folded",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "series_date",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "series_time",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "performed_date",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column(
            "performed_time",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column("instance_count", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("attributes", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["study_row"], ["studies.id"], name=op.f("fk_series_study_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint("orthanc_id", name=op.f("uq_series_orthanc_id")),
    )
    with op.batch_alter_table("series", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_series_series_uid"),
            ["series_uid"],
            unique=False,
            sqlite_where=sa.text("series_uid IS NOT NULL"),
            postgresql_where=sa.text("series_uid IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_series_study_row"), ["study_row"], unique=False)

    op.create_table(
        "instances",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("orthanc_id", sa.String(length=44), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column(
            "study_row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "series_row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "sop_uid", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True
        ),
        sa.Column(
            "sop_class_uid",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column("instance_number", sa.BigInteger(), nullable=True),
        sa.Column("number_of_frames", sa.BigInteger(), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("columns", sa.BigInteger(), nullable=True),
        sa.Column("bits_allocated", sa.BigInteger(), nullable=True),
        sa.Column("sort_number", sa.BigInteger(), nullable=False),
        sa.Column("transfer_syntax", _short(64), nullable=False),
        sa.Column("deflated", sa.Boolean(), nullable=False),
        sa.Column("storage", _short(64), nullable=False),
        sa.Column("blob", _short(255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("md5", sa.String(length=32), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("received", sa.DateTime(), nullable=False),
        sa.Column("origin", _short(64), nullable=False),
        sa.Column("remote_address", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_row"], ["series.id"], name=op.f("fk_instances_series_row")
        ),
        sa.ForeignKeyConstraint(["study_row"], ["studies.id"], name=op.f("fk_instances_study_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        sa.UniqueConstraint("orthanc_id", name=op.f("uq_instances_orthanc_id")),
    )
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.create_index(
            "ix_instances_series_row_sort_number_id",
            ["series_row", "sort_number", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_instances_sop_uid"),
            ["sop_uid"],
            unique=False,
            sqlite_where=sa.text("sop_uid IS NOT NULL"),
            postgresql_where=sa.text("sop_uid IS NOT NULL"),
        )
        batch_op.create_index("ix_instances_storage_blob", ["storage", "blob"], unique=False)
        batch_op.create_index(batch_op.f("ix_instances_study_row"), ["study_row"], unique=False)

    op.create_table(
        "details",
        sa.Column(
            "instance_row",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("reader_version", sa.Integer(), nullable=False),
        sa.Column("pixel_data", sa.LargeBinary(), nullable=True),
        sa.Column("located", sa.JSON(), nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_row"], ["instances.id"], name=op.f("fk_details_instance_row")
        ),
        sa.PrimaryKeyConstraint("instance_row", name=op.f("pk_details")),
    )
