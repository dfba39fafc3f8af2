"""The tables of the ops store, as SQLAlchemy Core objects.

A change here comes with a migration in `migrations/versions`; a test compares the two. What can be rebuilt
from the lake is not kept here (shared design: derived and observed state are never mixed).
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from eventpipe.ops.utc import UtcDateTime

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    },
)

# One row per run that wrote or tried to; written by eventpipe.ops.runs.
runs = Table(
    "runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("as_of", UtcDateTime, nullable=False),
    Column("status", Text, nullable=False),
    Column("stages", JSON, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("error", Text),
    Column("eventpipe_version", Text, nullable=False),
    Column("full_refresh", Boolean, nullable=False),
    CheckConstraint("kind in ('run', 'backfill')", name="kind"),
    CheckConstraint("status in ('running', 'published', 'partial', 'failed', 'held')", name="status"),
    Index("ix_runs_started_at", "started_at"),
)

# One row, `writer`, made by the migration and never deleted: its epoch only grows. Written by
# eventpipe.ops.lease.
run_lease = Table(
    "run_lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("holder", Text),
    Column("host", Text),
    Column("pid", Integer),
    Column("birth", Text),
    Column("acquired_at", UtcDateTime),
    Column("renewed_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    CheckConstraint("epoch >= 0", name="epoch"),
)

# One row per backfill; `done` lists the landing dates that are finished. Written by eventpipe.ops.backfills.
backfills = Table(
    "backfills",
    metadata,
    Column("backfill_id", Text, primary_key=True),
    Column("from_date", Date, nullable=False),
    Column("to_date", Date, nullable=False),
    Column("done", JSON, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    CheckConstraint("from_date <= to_date", name="range"),
)

# One row per contact id that a run took from readers, and where it went; written by
# eventpipe.ops.contact_id_changes.
contact_id_changes = Table(
    "contact_id_changes",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("workspace_id", Text, primary_key=True),
    Column("change", Text, nullable=False),
    Column("from_contact_id", Text, primary_key=True),
    Column("into_contact_id", Text, primary_key=True),
    CheckConstraint("change in ('merge', 'split')", name="change"),
)

# One row per run and segment that it changed: `contacts` is a Parquet frame of who entered, left, or went on under
# another id. A run may change millions of memberships; rows of their own would cost more than finding them does.
# Written by eventpipe.ops.memberships.
segment_changes = Table(
    "segment_changes",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("segment", Text, primary_key=True),
    Column("as_of", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("entered", BigInteger, nullable=False),
    Column("left", BigInteger, nullable=False),
    Column("contacts", LargeBinary, nullable=False),
    Index("ix_segment_changes_as_of", "as_of"),
)

# One row per check of a run's audit and subject of it. `observed` holds its numbers, `failing` a short table without personal data.
# Written by eventpipe.ops.checks.
checks = Table(
    "checks",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("check_name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("subject", Text, primary_key=True),
    Column("severity", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("observed", JSON, nullable=False),
    Column("failing", JSON, nullable=False),
    Column("message", Text),
    Column("checked_at", UtcDateTime, nullable=False),
    CheckConstraint("severity in ('error', 'warn')", name="severity"),
    CheckConstraint("status in ('passed', 'failed', 'skipped')", name="status"),
    Index("ix_checks_checked_at", "checked_at"),
)

# One row per event of a source whose volume broke with its past, and from which day to which. While it is not
# released its triggers wait. Written by eventpipe.ops.holds.
holds = Table(
    "holds",
    metadata,
    Column("hold_id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("event_name", Text, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("reason", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("released_at", UtcDateTime),
    Column("note", Text),
    UniqueConstraint("source", "event_name", "first_day"),
    CheckConstraint("first_day <= last_day", name="days"),
)

# One row per time that a version of an event's definition was in force. Written by eventpipe.ops.definitions.
definition_versions = Table(
    "definition_versions",
    metadata,
    Column("event_name", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("from_at", UtcDateTime, primary_key=True),
    Column("until_at", UtcDateTime),
    Column("content", JSON, nullable=False),
    Column("run_id", Text, nullable=False),
)
