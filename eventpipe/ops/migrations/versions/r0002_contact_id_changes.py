"""What changed for readers of contact ids, run by run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the table."""
    op.create_table(
        "contact_id_changes",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("from_contact_id", sa.Text, nullable=False),
        sa.Column("into_contact_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint(
            "run_id", "workspace_id", "from_contact_id", "into_contact_id", name="pk_contact_id_changes"
        ),
        sa.CheckConstraint("change in ('merge', 'split')", name=op.f("ck_contact_id_changes_change")),
    )


def downgrade() -> None:
    """Removes the table, and with it what the store knew of the changes."""
    op.drop_table("contact_id_changes")
