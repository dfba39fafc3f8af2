"""The keys of seen events lie in frames of a bounded size, apart from which run saw how many of which name; quiet lines know
the first run that decided with them there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Moves the frames into a table of their own, each as the only part of its run."""
    op.create_table(
        "seen_event_frames",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("event_name", sa.Text, nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.Column("frame", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "event_name", "part", name="pk_seen_event_frames"),
    )
    op.create_index("ix_seen_event_frames_event_name", "seen_event_frames", ["event_name", "events"])
    old, new = _seen_events(), _frames()
    columns = ["run_id", "event_name", "part", "events", "frame"]
    kept = sa.select(old.c.run_id, old.c.event_name, sa.literal(0), old.c.events, old.c.frame)
    op.execute(sa.insert(new).from_select(columns, kept))
    op.drop_column("seen_events", "frame", schema=_schema())
    op.add_column("quiet_lines", sa.Column("decided_run", sa.Text), schema=_schema())


def downgrade() -> None:
    """Puts them back, each part as that of a run of its own: what was seen stays seen."""
    op.drop_column("quiet_lines", "decided_run", schema=_schema())
    op.add_column("seen_events", sa.Column("frame", sa.LargeBinary), schema=_schema())
    old, new = _seen_events(), _frames()
    op.execute(sa.delete(old))
    run = new.c.run_id + " " + sa.cast(new.c.part, sa.Text)
    kept = sa.select(run, new.c.event_name, new.c.events, new.c.frame)
    op.execute(sa.insert(old).from_select(["run_id", "event_name", "events", "frame"], kept))
    op.drop_table("seen_event_frames")


def _schema() -> str | None:
    """That of a server's store: changing a table, unlike making one, does not find it by itself."""
    return op.get_context().version_table_schema


def _seen_events() -> sa.Table:
    """Whole tables: the schema of a server's store is not put before the names of light ones."""
    return sa.Table(
        "seen_events",
        sa.MetaData(),
        sa.Column("run_id", sa.Text),
        sa.Column("event_name", sa.Text),
        sa.Column("events", sa.BigInteger),
        sa.Column("frame", sa.LargeBinary),
    )


def _frames() -> sa.Table:
    return sa.Table(
        "seen_event_frames",
        sa.MetaData(),
        sa.Column("run_id", sa.Text),
        sa.Column("event_name", sa.Text),
        sa.Column("part", sa.Integer),
        sa.Column("events", sa.BigInteger),
        sa.Column("frame", sa.LargeBinary),
    )
