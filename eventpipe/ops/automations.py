"""What was decided about automations, run by run: no rebuild can find it out again.

A run's decision step is one transaction: which automations are active, which events were seen for the first time, what
became of each candidate, which triggers fired and wait to be delivered. Killed before it, the run decided nothing, and
the next one finds the same candidates; killed after it, the next one finds nothing new in them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
from polars.datatypes import DataType, DataTypeClass
from sqlalchemy import Connection, Select, and_, bindparam, func, insert, or_, select, tuple_, update

from eventpipe.ops import quiet, seen_events
from eventpipe.ops.lease import Lease
from eventpipe.ops.store import OpsStore
from eventpipe.ops.tables import (
    automation_activations,
    automation_runs,
    automation_triggers,
    deliveries,
    trigger_decisions,
)

OPEN: Final = ("waiting", "held")
"""What a decision can be while it is still to be made."""

PolarsDataType = DataType | DataTypeClass

_INSTANT: Final = pl.Datetime("us", "UTC")
_CHUNK: Final = 10_000
"""Rows of one statement: below what any database takes."""

_IDS: Final = 900
"""Ids in one question: SQLite as it was long built takes no more than 999."""

DECISION_SCHEMA: Final[Mapping[str, PolarsDataType]] = {
    "automation": pl.String,
    "occasion": pl.String,
    "workspace_id": pl.String,
    "contact_id": pl.String,
    "event_id": pl.String,
    "event_name": pl.String,
    "source": pl.String,
    "segment": pl.String,
    "occurred_at": _INSTANT,
    "due_at": _INSTANT,
    "decided_at": _INSTANT,
    "status": pl.String,
    "reason": pl.String,
    "detail": pl.String,
    "trigger_id": pl.String,
    "rule_version": pl.String,
    "run_id": pl.String,
}
"""A row of trigger_decisions, and so of the frames of decisions. Grain: automation and occasion."""

TRIGGER_SCHEMA: Final[Mapping[str, PolarsDataType]] = {
    "trigger_id": pl.String,
    "automation": pl.String,
    "workspace_id": pl.String,
    "contact_id": pl.String,
    "occasion": pl.String,
    "fired_at": _INSTANT,
    "payload": pl.String,
    "rule_version": pl.String,
    "run_id": pl.String,
}
"""A row of automation_triggers. `payload` is a JSON object. Grain: trigger_id."""


@dataclass(frozen=True)
class Activation:
    """Since which run an automation is active, what it waits for since then, and its rule as the last run saw it."""

    automation: str
    awaits: str
    rule_version: str
    run_id: str
    as_of: datetime


@dataclass(frozen=True)
class DecisionRun:
    """A run that decided, and as of when."""

    run_id: str
    as_of: datetime


@dataclass(frozen=True)
class Step:
    """All that the decision step of one run writes.

    `decided` are rows of DECISION_SCHEMA of which `is_new` says whether the candidate is; `triggers` are those of
    TRIGGER_SCHEMA, those that are to be delivered named in `outgoing`. `changed` are automations whose rule is another
    than the last run's, with its version.
    """

    run_id: str
    as_of: datetime
    activated: tuple[Activation, ...]
    ended: tuple[str, ...]
    changed: Mapping[str, str]
    seen: seen_events.Seen
    decided: pl.DataFrame
    triggers: pl.DataFrame
    outgoing: frozenset[str]

    @property
    def candidates(self) -> int:
        """How many candidates are new."""
        return int(self.decided["is_new"].sum())

    def by_outcome(self) -> dict[str, int]:
        """Decisions of this step by status, skipped ones by reason."""
        outcome = pl.when(pl.col("status") == "skipped").then(pl.col("reason")).otherwise(pl.col("status"))
        counted = self.decided.group_by(outcome.alias("outcome")).len().sort("outcome")
        return dict(counted.iter_rows())


def active(connection: Connection) -> dict[str, Activation]:
    """The automations that are active, by name."""
    query = select(automation_activations).where(automation_activations.c.ended_at.is_(None))
    return {
        row.automation: Activation(row.automation, row.awaits, row.rule_version, row.run_id, row.as_of)
        for row in connection.execute(query)
    }


def last_run(connection: Connection) -> DecisionRun | None:
    """The run that decided last; None before the first one."""
    table = automation_runs.c
    query = select(table.run_id, table.as_of).order_by(table.as_of.desc(), table.decided_at.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else DecisionRun(row.run_id, row.as_of)


def undecided(
    connection: Connection, as_of: datetime, held: Collection[tuple[str, str]], anew: Collection[str]
) -> Iterator[pl.DataFrame]:
    """The candidates about which something may be new, as frames of DECISION_SCHEMA: those whose wait is over, those that the
    audit holds or holds no longer (`held` are source and name of the events that it does), and all open ones of the
    automations `anew`."""
    table = trigger_decisions.c
    of_event = tuple_(table.source, table.event_name)
    waited = select(table.source, table.event_name).where(table.status == "held").distinct()
    released = [tuple(row) for row in connection.execute(waited) if tuple(row) not in held]
    query = select(trigger_decisions).where(
        or_(
            and_(table.status == "waiting", or_(table.due_at <= as_of, of_event.in_([*held]))),
            and_(table.status == "held", of_event.in_(released)),
            and_(table.status.in_(OPEN), table.automation.in_(anew)),
        )
    )
    return _frames(connection, query, DECISION_SCHEMA)


def decided(connection: Connection, run_id: str | None = None) -> Iterator[pl.DataFrame]:
    """Decisions as DECISION_SCHEMA, all of them or those that a run made, in frames of a bounded size."""
    return _frames(connection, _of_run(trigger_decisions, run_id), DECISION_SCHEMA)


def triggers(connection: Connection, run_id: str | None = None) -> Iterator[pl.DataFrame]:
    """Triggers as TRIGGER_SCHEMA, all of them or those of a run, in frames of a bounded size."""
    return _frames(connection, _of_run(automation_triggers, run_id), TRIGGER_SCHEMA)


def known_occasions(connection: Connection, automation: str, at: datetime | None = None) -> set[str]:
    """The occasions that were ever decided about, of one automation; those alone that occurred `at` an instant."""
    query = select(trigger_decisions.c.occasion).where(trigger_decisions.c.automation == automation)
    if at is not None:
        query = query.where(trigger_decisions.c.occurred_at == at)
    return set(connection.execute(query).scalars())


def last_fired(connection: Connection, automation: str, contacts: Sequence[str]) -> pl.DataFrame:
    """When it last fired for each of these contact ids: contact_id and fired_at."""
    table = automation_triggers.c
    found: list[tuple[str, datetime]] = []
    for start in range(0, len(contacts), _IDS):
        some = contacts[start : start + _IDS]
        query = (
            select(table.contact_id, func.max(table.fired_at))
            .where(table.automation == automation, table.contact_id.in_(some))
            .group_by(table.contact_id)
        )
        found += [(row[0], row[1]) for row in connection.execute(query)]
    return pl.DataFrame(found, schema={"contact_id": pl.String, "fired_at": _INSTANT}, orient="row")


def decisions_of(
    store: OpsStore, automation: str | None, contacts: Iterable[str], limit: int, occasions: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """The decisions about contact ids, and about these occasions, newest first, with what became of the delivery."""
    table = trigger_decisions.c
    query = (
        select(
            trigger_decisions,
            deliveries.c.status.label("delivery"),
            deliveries.c.attempts,
            deliveries.c.next_attempt_at,
            deliveries.c.last_error,
        )
        .join(deliveries, deliveries.c.trigger_id == table.trigger_id, isouter=True)
        .where(or_(table.contact_id.in_(list(contacts)), table.occasion.in_(list(occasions))))
        .order_by(table.occurred_at.desc(), table.automation, table.occasion)
        .limit(limit)
    )
    if automation is not None:
        query = query.where(table.automation == automation)
    with store.read() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def activations(store: OpsStore) -> dict[str, Activation]:
    """The automations that are active, by name."""
    with store.read() as connection:
        return active(connection)


def counts(store: OpsStore) -> dict[str, dict[str, int]]:
    """For each automation, how many candidates are in which status."""
    table = trigger_decisions.c
    query = select(table.automation, table.status, func.count()).group_by(table.automation, table.status)
    found: dict[str, dict[str, int]] = {}
    with store.read() as connection:
        for row in connection.execute(query):
            found.setdefault(row[0], {})[row[1]] = row[2]
    return found


def next_due(store: OpsStore, until: datetime | None = None) -> dict[str, datetime]:
    """For each automation with waiting candidates, when the first of them is due; those alone that are `until` then."""
    table = trigger_decisions.c
    query = select(table.automation, func.min(table.due_at)).where(table.status == "waiting").group_by(table.automation)
    if until is not None:
        query = query.where(table.due_at <= until)
    with store.read() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def record(connection: Connection, lease: Lease, step: Step, *, now: datetime) -> None:
    """Writes a decision step in the caller's transaction. Raises Fenced."""
    lease.check(connection)
    for name in step.ended:
        connection.execute(
            update(automation_activations)
            .where(automation_activations.c.automation == name, automation_activations.c.ended_at.is_(None))
            .values(ended_at=step.as_of)
        )
    if step.activated:
        connection.execute(insert(automation_activations), [each.__dict__ for each in step.activated])
    for name, version in step.changed.items():
        connection.execute(
            update(automation_activations)
            .where(automation_activations.c.automation == name, automation_activations.c.ended_at.is_(None))
            .values(rule_version=version)
        )
    seen_events.record(connection, step.run_id, step.seen)
    quiet.tell(connection, step.run_id)
    _write(connection, step, now)
    connection.execute(
        insert(automation_runs).values(
            run_id=step.run_id,
            as_of=step.as_of,
            decided_at=now,
            candidates=step.candidates,
            fired=step.triggers.height,
        )
    )


def _write(connection: Connection, step: Step, now: datetime) -> None:
    rows = step.decided.drop("is_new")
    for some in rows.filter(step.decided["is_new"]).iter_slices(_CHUNK):
        connection.execute(insert(trigger_decisions), some.to_dicts())
    changed = rows.filter(~step.decided["is_new"])
    if changed.height:
        keys = {"automation": "its_automation", "occasion": "its_occasion"}
        statement = (
            update(trigger_decisions)
            .where(trigger_decisions.c.automation == bindparam("its_automation"))
            .where(trigger_decisions.c.occasion == bindparam("its_occasion"))
            .values({name: bindparam(name) for name in DECISION_SCHEMA if name not in keys})
        )
        for some in changed.rename(keys).iter_slices(_CHUNK):
            connection.execute(statement, some.to_dicts())
    for some in step.triggers.iter_slices(_CHUNK):
        connection.execute(insert(automation_triggers), some.to_dicts())
    outgoing = (
        step.triggers.filter(pl.col("automation").is_in(step.outgoing))
        .join(rows.select("trigger_id", "occurred_at"), on="trigger_id")
        .select(
            "trigger_id",
            "automation",
            "contact_id",
            pl.format(
                "{} {} {}",
                pl.col("fired_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f"),
                pl.col("occurred_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f"),
                "trigger_id",
            ).alias("place"),
        )
    )
    for some in outgoing.iter_slices(_CHUNK):
        connection.execute(
            insert(deliveries),
            [
                {**row, "status": "pending", "attempts": 0, "attempts_before_replay": 0, "next_attempt_at": now}
                for row in some.to_dicts()
            ],
        )


def _of_run(table: Any, run_id: str | None) -> Select[Any]:
    query = select(table)
    return query if run_id is None else query.where(table.c.run_id == run_id)


def _frames(connection: Connection, query: Select[Any], schema: Mapping[str, Any]) -> Iterator[pl.DataFrame]:
    result = connection.execution_options(yield_per=_CHUNK).execute(query)
    for some in result.partitions(_CHUNK):
        yield pl.DataFrame([tuple(row) for row in some], schema=schema, orient="row")
