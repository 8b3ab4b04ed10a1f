"""Values of attributes that `ExtraMainDicomTags` names, and the mark of studies that have them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _keep_rows_as_they_are() -> None:
    """PostgreSQL compresses rows above 2 kB, which costs more than all else of a search.

    It would try to compress headers too, which are compressed. This holds for rows written later.
    """
    for table in ("studies", "series", "instances"):
        op.execute(f"ALTER TABLE {table} SET (toast_tuple_target = 8160)")
    op.execute("ALTER TABLE details ALTER COLUMN header SET STORAGE EXTERNAL")


def upgrade() -> None:
    """Nothing is moved: studies without the mark are filled by `reindex`."""
    if op.get_bind().dialect.name == "postgresql":
        _keep_rows_as_they_are()
    op.add_column(
        "studies", sa.Column("extras", sa.String(length=16), nullable=False, server_default="")
    )
    op.create_index("ix_studies_extras", "studies", ["extras"])
    op.create_table(
        "extra_values",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("owner", _ID, nullable=False),
        sa.Column("name", _KEY, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("text", _KEY, nullable=True),
        sa.Column("folded", _KEY, nullable=True),
        sa.Column("ideographic", _KEY, nullable=True),
        sa.Column("phonetic", _KEY, nullable=True),
        sa.Column("number", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("level", "owner", "name", "position", name="pk_extra_values"),
    )
    for column in ("text", "folded", "number"):
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"ix_extra_values_{column}",
            "extra_values",
            ["level", "name", column],
            sqlite_where=there,
            postgresql_where=there,
        )
