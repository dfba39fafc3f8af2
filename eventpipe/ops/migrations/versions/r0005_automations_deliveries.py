"""Automations: activations, seen events, decisions, triggers and their deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the tables of automations and of deliveries."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "automation_runs",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("as_of", instant, nullable=False),
        sa.Column("decided_at", instant, nullable=False),
        sa.Column("candidates", sa.BigInteger, nullable=False),
        sa.Column("fired", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_automation_runs"),
    )
    op.create_index("ix_automation_runs_as_of", "automation_runs", ["as_of"])
    op.create_table(
        "automation_activations",
        sa.Column("automation", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("awaits", sa.Text, nullable=False),
        sa.Column("rule_version", sa.Text, nullable=False),
        sa.Column("as_of", instant, nullable=False),
        sa.Column("ended_at", instant),
        sa.PrimaryKeyConstraint("automation", "run_id", name="pk_automation_activations"),
    )
    op.create_table(
        "seen_events",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("event_name", sa.Text, nullable=False),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.Column("frame", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "event_name", name="pk_seen_events"),
    )
    op.create_table(
        "quiet_lines",
        sa.Column("mark_id", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("landed_on", sa.Date, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("lines", sa.LargeBinary),
        sa.Column("recorded_at", instant, nullable=False),
        sa.PrimaryKeyConstraint("mark_id", name="pk_quiet_lines"),
    )
    op.create_table(
        "trigger_decisions",
        sa.Column("automation", sa.Text, nullable=False),
        sa.Column("occasion", sa.Text, nullable=False),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("contact_id", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text),
        sa.Column("event_name", sa.Text),
        sa.Column("source", sa.Text),
        sa.Column("segment", sa.Text),
        sa.Column("occurred_at", instant, nullable=False),
        sa.Column("due_at", instant, nullable=False),
        sa.Column("decided_at", instant, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("trigger_id", sa.Text),
        sa.Column("rule_version", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("automation", "occasion", name="pk_trigger_decisions"),
        sa.CheckConstraint(
            "reason in ('exited', 'frequency', 'too_late', 'condition', 'held', 'erased', 'inactive')",
            name=op.f("ck_trigger_decisions_reason"),
        ),
        sa.CheckConstraint(
            "status in ('fired', 'waiting', 'held', 'skipped')", name=op.f("ck_trigger_decisions_status")
        ),
    )
    op.create_index("ix_trigger_decisions_contact_id", "trigger_decisions", ["contact_id"])
    op.create_index("ix_trigger_decisions_run_id", "trigger_decisions", ["run_id"])
    op.create_index("ix_trigger_decisions_status", "trigger_decisions", ["status", "due_at"])
    op.create_table(
        "automation_triggers",
        sa.Column("trigger_id", sa.Text, nullable=False),
        sa.Column("automation", sa.Text, nullable=False),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("contact_id", sa.Text, nullable=False),
        sa.Column("occasion", sa.Text, nullable=False),
        sa.Column("fired_at", instant, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("rule_version", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("trigger_id", name="pk_automation_triggers"),
        sa.UniqueConstraint(
            "automation", "contact_id", "occasion", name="uq_automation_triggers_automation_contact_id_occasion"
        ),
    )
    op.create_index(
        "ix_automation_triggers_contact_id", "automation_triggers", ["contact_id", "automation", "fired_at"]
    )
    op.create_index("ix_automation_triggers_run_id", "automation_triggers", ["run_id"])
    op.create_table(
        "deliveries",
        sa.Column("trigger_id", sa.Text, nullable=False),
        sa.Column("automation", sa.Text, nullable=False),
        sa.Column("contact_id", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("attempts_before_replay", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", instant, nullable=False),
        sa.Column("last_status_code", sa.Integer),
        sa.Column("last_error", sa.Text),
        sa.Column("ended_at", instant),
        sa.PrimaryKeyConstraint("trigger_id", name="pk_deliveries"),
        sa.CheckConstraint("status in ('pending', 'delivered', 'dead')", name=op.f("ck_deliveries_status")),
    )
    op.create_index("ix_deliveries_contact_id", "deliveries", ["contact_id", "status", "endpoint", "place"])
    op.create_index("ix_deliveries_place", "deliveries", ["status", "endpoint", "place"])
    op.create_table(
        "delivery_attempts",
        sa.Column("trigger_id", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("attempted_at", instant, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("status_code", sa.Integer),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("trigger_id", "attempt", name="pk_delivery_attempts"),
    )
    op.create_table(
        "endpoints",
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("paused_until", instant),
        sa.Column("disabled_at", instant),
        sa.Column("last_error", sa.Text),
        sa.PrimaryKeyConstraint("endpoint", name="pk_endpoints"),
    )
    op.bulk_insert(_lease(), [{"name": "delivery", "epoch": 0}])


def downgrade() -> None:
    """Removes them: what was decided and delivered is forgotten."""
    lease = _lease()
    op.execute(sa.delete(lease).where(lease.c.name == "delivery"))
    op.drop_table("endpoints")
    op.drop_table("delivery_attempts")
    op.drop_table("deliveries")
    op.drop_table("automation_triggers")
    op.drop_table("trigger_decisions")
    op.drop_table("quiet_lines")
    op.drop_table("seen_events")
    op.drop_table("automation_activations")
    op.drop_table("automation_runs")


def _lease() -> sa.Table:
    """A whole table: the schema of a server's store is not put before the names of light ones."""
    return sa.Table("run_lease", sa.MetaData(), sa.Column("name", sa.Text), sa.Column("epoch", sa.BigInteger))
