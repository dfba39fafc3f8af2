"""Runs, the writer's lease, backfills."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the first tables and the one row of the lease."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("started_at", instant, nullable=False),
        sa.Column("ended_at", instant),
        sa.Column("as_of", instant, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("stages", sa.JSON, nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("eventpipe_version", sa.Text, nullable=False),
        sa.Column("full_refresh", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_runs"),
        sa.CheckConstraint("kind in ('run', 'backfill')", name=op.f("ck_runs_kind")),
        sa.CheckConstraint(
            "status in ('running', 'published', 'partial', 'failed', 'held')", name=op.f("ck_runs_status")
        ),
    )
    op.create_index("ix_runs_started_at", "runs", ["started_at"])
    lease = op.create_table(
        "run_lease",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("host", sa.Text),
        sa.Column("pid", sa.Integer),
        sa.Column("birth", sa.Text),
        sa.Column("acquired_at", instant),
        sa.Column("renewed_at", instant),
        sa.Column("expires_at", instant),
        sa.PrimaryKeyConstraint("name", name="pk_run_lease"),
        sa.CheckConstraint("epoch >= 0", name=op.f("ck_run_lease_epoch")),
    )
    op.bulk_insert(lease, [{"name": "writer", "epoch": 0}])
    op.create_table(
        "backfills",
        sa.Column("backfill_id", sa.Text, nullable=False),
        sa.Column("from_date", sa.Date, nullable=False),
        sa.Column("to_date", sa.Date, nullable=False),
        sa.Column("done", sa.JSON, nullable=False),
        sa.Column("started_at", instant, nullable=False),
        sa.Column("ended_at", instant),
        sa.PrimaryKeyConstraint("backfill_id", name="pk_backfills"),
        sa.CheckConstraint("from_date <= to_date", name=op.f("ck_backfills_range")),
    )


def downgrade() -> None:
    """Removes the first tables, and with them everything the store knew."""
    op.drop_table("backfills")
    op.drop_table("run_lease")
    op.drop_table("runs")
