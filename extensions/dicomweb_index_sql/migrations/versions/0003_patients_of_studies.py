"""What is said of a patient is read from its studies: a copy outlived the study that it was of."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing is lost: every study has the attributes of its patient."""
    op.drop_column("patients", "attributes")
