"""Removals, and what must not come back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the tables of removals."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "removals",
        sa.Column("removal_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("requested_at", instant, nullable=False),
        sa.Column("ended_at", instant),
        sa.Column("work", sa.JSON),
        sa.Column("receipt", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("removal_id", name="pk_removals"),
        sa.CheckConstraint("kind in ('prune', 'erase')", name=op.f("ck_removals_kind")),
    )
    op.create_table(
        "tombstones",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("removal_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_tombstones"),
    )
    op.create_table(
        "tombstone_key",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_tombstone_key"),
    )


def downgrade() -> None:
    """Removes them: an older eventpipe would let erased people back in, so their exports must be gone before."""
    op.drop_table("tombstone_key")
    op.drop_table("tombstones")
    op.drop_table("removals")
