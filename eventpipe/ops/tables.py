"""The tables of the ops store, as SQLAlchemy Core objects.

A change here comes with a migration in `migrations/versions`; a test compares the two. What can be rebuilt
from the lake is not kept here (derived and observed state are never mixed).
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Float,
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
    CheckConstraint("kind in ('run', 'backfill', 'prune', 'erase')", name="kind"),
    CheckConstraint("status in ('running', 'published', 'partial', 'failed', 'held')", name="status"),
    Index("ix_runs_started_at", "started_at"),
)

# One row for who writes to the project, `writer`, and one for who delivers, `delivery`. Made by the migrations and never
# deleted: an epoch only grows. Written by eventpipe.ops.lease.
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

# One row per decision step of a run: what it decided is as of `as_of`. Written by eventpipe.ops.automations.
automation_runs = Table(
    "automation_runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("as_of", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("candidates", BigInteger, nullable=False),
    Column("fired", BigInteger, nullable=False),
    Index("ix_automation_runs_as_of", "as_of"),
)

# One row per time that an automation was active: from the run that first saw it, until one that did not. `awaits` is
# what it was triggered by: another one has another past. `rule_version` is the rule as the last run saw it. Written by
# eventpipe.ops.automations.
automation_activations = Table(
    "automation_activations",
    metadata,
    Column("automation", Text, primary_key=True),
    Column("run_id", Text, primary_key=True),
    Column("awaits", Text, nullable=False),
    Column("rule_version", Text, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
)

# One row per run that decided and event name that automations waited for then: `events` of that name it was the first to
# see, and by its end all that there were are seen. Written by eventpipe.ops.seen_events.
seen_events = Table(
    "seen_events",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("event_name", Text, primary_key=True),
    Column("events", BigInteger, nullable=False),
)

# Which events those are: `frame` is a Parquet frame of so many keys, of which it holds a bounded number. A run adds one,
# into which it takes those that are no larger, so they stay few. Written by eventpipe.ops.seen_events.
seen_event_frames = Table(
    "seen_event_frames",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("event_name", Text, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("events", BigInteger, nullable=False),
    Column("frame", LargeBinary, nullable=False),
    Index("ix_seen_event_frames_event_name", "event_name", "events"),
)

# Lines that a backfill or a replay took in: their events are nobody's triggers. `lines` is a Parquet frame, null for the
# whole export; `decided_run` the first run that decided with the mark there. Written by eventpipe.ops.quiet.
quiet_lines = Table(
    "quiet_lines",
    metadata,
    Column("mark_id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("landed_on", Date, nullable=False),
    Column("file", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("lines", LargeBinary),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("decided_run", Text),
)

# One row per candidate: an event or a change of membership that an automation could be triggered by. `decided_at` and
# `due_at` are instants of the data, as `as_of` is. Written by eventpipe.ops.automations.
trigger_decisions = Table(
    "trigger_decisions",
    metadata,
    Column("automation", Text, primary_key=True),
    Column("occasion", Text, primary_key=True),
    Column("workspace_id", Text, nullable=False),
    Column("contact_id", Text, nullable=False),
    Column("event_id", Text),
    Column("event_name", Text),
    Column("source", Text),
    Column("segment", Text),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("detail", Text),
    Column("trigger_id", Text),
    Column("rule_version", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    CheckConstraint("status in ('fired', 'waiting', 'held', 'skipped')", name="status"),
    CheckConstraint(
        "reason in ('exited', 'frequency', 'too_late', 'condition', 'held', 'erased', 'inactive')", name="reason"
    ),
    Index("ix_trigger_decisions_status", "status", "due_at"),
    Index("ix_trigger_decisions_contact_id", "contact_id"),
    Index("ix_trigger_decisions_run_id", "run_id"),
)

# One row per fired trigger. Written by eventpipe.ops.automations.
automation_triggers = Table(
    "automation_triggers",
    metadata,
    Column("trigger_id", Text, primary_key=True),
    Column("automation", Text, nullable=False),
    Column("workspace_id", Text, nullable=False),
    Column("contact_id", Text, nullable=False),
    Column("occasion", Text, nullable=False),
    Column("fired_at", UtcDateTime, nullable=False),
    Column("payload", Text, nullable=False),
    Column("rule_version", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    UniqueConstraint("automation", "contact_id", "occasion"),
    Index("ix_automation_triggers_contact_id", "contact_id", "automation", "fired_at"),
    Index("ix_automation_triggers_run_id", "run_id"),
)

# One row per trigger that is to be delivered. `place` orders those of one contact. Written by eventpipe.ops.deliveries.
deliveries = Table(
    "deliveries",
    metadata,
    Column("trigger_id", Text, primary_key=True),
    Column("automation", Text, nullable=False),
    Column("contact_id", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("endpoint", Text),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("attempts_before_replay", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime, nullable=False),
    Column("last_status_code", Integer),
    Column("last_error", Text),
    Column("ended_at", UtcDateTime),
    CheckConstraint("status in ('pending', 'delivered', 'dead')", name="status"),
    Index("ix_deliveries_place", "status", "endpoint", "place"),
    Index("ix_deliveries_contact_id", "contact_id", "status", "endpoint", "place"),
)

# One row per attempt to deliver a trigger. Written by eventpipe.ops.deliveries.
delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("trigger_id", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("attempted_at", UtcDateTime, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("status_code", Integer),
    Column("error", Text),
)

# One row per target that was delivered to, under a hash of its address. Written by eventpipe.ops.deliveries.
endpoints = Table(
    "endpoints",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("paused_until", UtcDateTime),
    Column("disabled_at", UtcDateTime),
    Column("last_error", Text),
)

# One row per removal: exports that were pruned, people who were erased. `work` is what it is about, as JSON, and null once
# nothing of it is in any table; `receipt` what was removed, in numbers, and what still names it. Written by eventpipe.ops.removals.
removals = Table(
    "removals",
    metadata,
    Column("removal_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("work", JSON(none_as_null=True)),
    Column("receipt", JSON, nullable=False),
    CheckConstraint("kind in ('prune', 'erase')", name="kind"),
)

# What must not come back: keyed hashes of identifiers, of words that name them, of events. Written by eventpipe.ops.erasures.
tombstones = Table(
    "tombstones",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("removal_id", Text, nullable=False),
)

# The key of those hashes: one row, number 1, made by the first erasure. Written by eventpipe.ops.erasures.
tombstone_key = Table(
    "tombstone_key",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("key", LargeBinary, nullable=False),
)
