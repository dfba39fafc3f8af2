"""Checks, holds, versions of event definitions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates what the audit observes."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "checks",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("check_name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("observed", sa.JSON, nullable=False),
        sa.Column("failing", sa.JSON, nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("checked_at", instant, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "check_name", "subject", name="pk_checks"),
        sa.CheckConstraint("severity in ('error', 'warn')", name=op.f("ck_checks_severity")),
        sa.CheckConstraint("status in ('passed', 'failed', 'skipped')", name=op.f("ck_checks_status")),
    )
    op.create_index("ix_checks_checked_at", "checks", ["checked_at"])
    op.create_table(
        "holds",
        sa.Column("hold_id", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("event_name", sa.Text, nullable=False),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("last_day", sa.Date, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("opened_at", instant, nullable=False),
        sa.Column("released_at", instant),
        sa.Column("note", sa.Text),
        sa.PrimaryKeyConstraint("hold_id", name="pk_holds"),
        sa.UniqueConstraint("source", "event_name", "first_day", name="uq_holds_source_event_name_first_day"),
        sa.CheckConstraint("first_day <= last_day", name=op.f("ck_holds_days")),
    )
    op.create_table(
        "definition_versions",
        sa.Column("event_name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("from_at", instant, nullable=False),
        sa.Column("until_at", instant),
        sa.Column("content", sa.JSON, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("event_name", "version", "from_at", name="pk_definition_versions"),
    )


def downgrade() -> None:
    """Removes what the audit observed."""
    op.drop_table("definition_versions")
    op.drop_table("holds")
    op.drop_table("checks")
