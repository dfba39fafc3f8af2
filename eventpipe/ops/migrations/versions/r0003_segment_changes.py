"""Who entered and left which segment, by run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the journal of memberships."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "segment_changes",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("segment", sa.Text, nullable=False),
        sa.Column("as_of", instant, nullable=False),
        sa.Column("recorded_at", instant, nullable=False),
        sa.Column("entered", sa.BigInteger, nullable=False),
        sa.Column("left", sa.BigInteger, nullable=False),
        sa.Column("contacts", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "segment", name="pk_segment_changes"),
    )
    op.create_index("ix_segment_changes_as_of", "segment_changes", ["as_of"])


def downgrade() -> None:
    """Removes the journal: who entered and left when is forgotten."""
    op.drop_table("segment_changes")
