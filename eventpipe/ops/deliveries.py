"""Which triggers are delivered, which are to be, and what was tried: the outbox.

A row is `pending` until it is delivered or dead. One process delivers at a time, under a lease of its own; killed between
sending and recording, it leaves the row pending, and the trigger is sent again under the same id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, exists, func, insert, or_, select, update

from eventpipe.errors import UsageError
from eventpipe.ops.lease import Lease
from eventpipe.ops.store import OpsStore
from eventpipe.ops.tables import automation_triggers, deliveries, delivery_attempts, endpoints, trigger_decisions

Status = Literal["pending", "delivered", "dead"]
STATUSES: Final[tuple[Status, ...]] = ("pending", "delivered", "dead")


@dataclass(frozen=True)
class Outgoing:
    """A trigger that is to be sent, and how often that was tried."""

    trigger_id: str
    automation: str
    contact_id: str
    occasion: str
    fired_at: datetime
    payload: str
    attempts: int
    attempts_before_replay: int = 0

    @property
    def tried(self) -> int:
        """Attempts of this round: a replay begins the schedule anew."""
        return self.attempts - self.attempts_before_replay


@dataclass(frozen=True)
class Attempt:
    """What came of sending a trigger once. `again_at` None: it is over, delivered without `error`, else dead."""

    trigger_id: str
    number: int
    attempted_at: datetime
    seconds: float
    status_code: int | None
    error: str | None
    again_at: datetime | None

    @property
    def status(self) -> Status:
        """What the delivery is now."""
        if self.error is None:
            return "delivered"
        return "dead" if self.again_at is None else "pending"


@dataclass(frozen=True)
class EndpointState:
    """How a target does: failures in a row, until when it is left alone, whether it said that it is gone for good."""

    endpoint: str
    title: str
    failures: int = 0
    paused_until: datetime | None = None
    disabled_at: datetime | None = None
    last_error: str | None = None


def delivered_folders(connection: Connection) -> list[str]:
    """The folders that were ever delivered to, as their automations named them."""
    titles: list[str] = list(
        connection.execute(select(endpoints.c.title).where(endpoints.c.title.startswith("file "))).scalars()
    )
    return [title.removeprefix("file ") for title in titles]


def assign(connection: Connection, lease: Lease, targets: Mapping[str, tuple[str, str]]) -> None:
    """Gives what is pending of each automation to its target of today: (endpoint, title). Raises Fenced."""
    lease.check(connection)
    known = set(connection.execute(select(endpoints.c.endpoint)).scalars())
    for endpoint, title in sorted(set(targets.values())):
        if endpoint not in known:
            connection.execute(insert(endpoints).values(endpoint=endpoint, title=title, failures=0))
            known.add(endpoint)
    pending = deliveries.c.status == "pending"
    for automation, (endpoint, _) in targets.items():
        other = or_(deliveries.c.endpoint.is_(None), deliveries.c.endpoint != endpoint)
        connection.execute(
            update(deliveries).where(pending, deliveries.c.automation == automation, other).values(endpoint=endpoint)
        )
    named = deliveries.c.automation.not_in(list(targets))
    connection.execute(
        update(deliveries).where(pending, named, deliveries.c.endpoint.is_not(None)).values(endpoint=None)
    )


def states(connection: Connection) -> dict[str, EndpointState]:
    """The targets by endpoint."""
    return {row.endpoint: EndpointState(**row._mapping) for row in connection.execute(select(endpoints))}


def due(
    connection: Connection, endpoint: str, now: datetime, limit: int, without: Sequence[str] = ()
) -> list[Outgoing]:
    """What can be sent to a target now, oldest first: of each contact the first that is pending, if its time has come.

    `without` are contacts that have one on its way.
    """
    query = (
        select(automation_triggers, deliveries.c.attempts, deliveries.c.attempts_before_replay)
        .join(automation_triggers, automation_triggers.c.trigger_id == deliveries.c.trigger_id)
        .where(deliveries.c.endpoint == endpoint, _is_due(now), deliveries.c.contact_id.not_in(list(without)))
        .order_by(deliveries.c.place)
        .limit(limit)
    )
    return [
        Outgoing(
            row.trigger_id,
            row.automation,
            row.contact_id,
            row.occasion,
            row.fired_at,
            row.payload,
            row.attempts,
            row.attempts_before_replay,
        )
        for row in connection.execute(query)
    ]


def record(connection: Connection, lease: Lease, attempts: Sequence[Attempt], target: EndpointState) -> None:
    """Writes what was tried with a target, and how the target does now. Raises Fenced."""
    lease.check(connection)
    if attempts:
        connection.execute(
            insert(delivery_attempts),
            [
                {
                    "trigger_id": each.trigger_id,
                    "attempt": each.number,
                    "attempted_at": each.attempted_at,
                    "seconds": each.seconds,
                    "status_code": each.status_code,
                    "error": each.error,
                }
                for each in attempts
            ],
        )
        connection.execute(
            update(deliveries)
            .where(deliveries.c.trigger_id == bindparam("its_id"))
            .values(
                status=bindparam("new_status"),
                attempts=bindparam("number"),
                next_attempt_at=bindparam("again_at"),
                last_status_code=bindparam("status_code"),
                last_error=bindparam("error"),
                ended_at=bindparam("over_at"),
            ),
            [
                {
                    "its_id": each.trigger_id,
                    "new_status": each.status,
                    "number": each.number,
                    "again_at": each.again_at or each.attempted_at,
                    "status_code": each.status_code,
                    "error": each.error,
                    "over_at": each.attempted_at if each.again_at is None else None,
                }
                for each in attempts
            ],
        )
    connection.execute(
        update(endpoints)
        .where(endpoints.c.endpoint == target.endpoint)
        .values(
            failures=target.failures,
            paused_until=target.paused_until,
            disabled_at=target.disabled_at,
            last_error=target.last_error,
        )
    )


def replay(connection: Connection, lease: Lease, trigger_id: str, *, now: datetime) -> None:
    """Makes a trigger pending again, with all attempts before it; its target is tried again too. Raises UsageError where
    there is no such delivery, Fenced."""
    lease.check(connection)
    row = connection.execute(select(deliveries).where(deliveries.c.trigger_id == trigger_id)).one_or_none()
    if row is None:
        raise UsageError(f"No delivery has the id {trigger_id!r}: `eventpipe deliveries ls` lists them.")
    connection.execute(
        update(deliveries)
        .where(deliveries.c.trigger_id == trigger_id)
        .values(status="pending", attempts_before_replay=row.attempts, next_attempt_at=now, ended_at=None)
    )
    if row.endpoint is not None:
        connection.execute(
            update(endpoints)
            .where(endpoints.c.endpoint == row.endpoint)
            .values(failures=0, paused_until=None, disabled_at=None)
        )


@dataclass(frozen=True)
class Backlog:
    """How deliveries stand. `waiting`: their target is disabled or resting, or their automation has none."""

    pending: int
    due: int
    waiting: int
    delivered: int
    dead: int
    failing: int


def backlog(store: OpsStore, now: datetime, automations: Collection[str]) -> Backlog:
    """Counts of all deliveries; `due` those that a process would send now, `failing` pending ones that failed before.
    `automations` are those that have a target."""
    by_status = select(deliveries.c.status, func.count()).group_by(deliveries.c.status)
    failing = select(func.count()).where(deliveries.c.status == "pending", deliveries.c.attempts > 0)
    ready = (
        select(func.count())
        .select_from(deliveries)
        .where(_is_due(now), _may_be_sent(now), deliveries.c.automation.in_(list(automations)))
    )
    late = select(func.count()).where(deliveries.c.status == "pending", deliveries.c.next_attempt_at <= now)
    with store.read() as connection:
        counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(by_status)}
        due_now = connection.execute(ready).scalar_one()
        return Backlog(
            counts.get("pending", 0),
            due_now,
            connection.execute(late).scalar_one() - due_now,
            counts.get("delivered", 0),
            counts.get("dead", 0),
            connection.execute(failing).scalar_one(),
        )


def due_now(store: OpsStore, now: datetime, automations: Collection[str]) -> list[dict[str, Any]]:
    """For each automation with a target, how many triggers a process would send now, and when the oldest fired: automation,
    due, oldest. Of a contact's triggers only the first counts."""
    query = (
        select(
            deliveries.c.automation,
            func.count().label("due"),
            func.min(automation_triggers.c.fired_at).label("oldest"),
        )
        .join(automation_triggers, automation_triggers.c.trigger_id == deliveries.c.trigger_id)
        .where(_is_due(now), _may_be_sent(now), deliveries.c.automation.in_(list(automations)))
        .group_by(deliveries.c.automation)
        .order_by(deliveries.c.automation)
    )
    return _dicts(store, query)


def troubled(store: OpsStore) -> list[EndpointState]:
    """Targets that are disabled, or failed the last time."""
    query = select(endpoints).where(or_(endpoints.c.disabled_at.is_not(None), endpoints.c.failures > 0))
    with store.read() as connection:
        return [EndpointState(**row._mapping) for row in connection.execute(query.order_by(endpoints.c.title))]


def by_automation(store: OpsStore) -> dict[str, dict[str, int]]:
    """For each automation, how many deliveries are in which status."""
    query = select(deliveries.c.automation, deliveries.c.status, func.count()).group_by(
        deliveries.c.automation, deliveries.c.status
    )
    found: dict[str, dict[str, int]] = {}
    with store.read() as connection:
        for row in connection.execute(query):
            found.setdefault(row[0], {})[row[1]] = row[2]
    return found


def listed(
    store: OpsStore, *, status: Status | None = None, automation: str | None = None, limit: int
) -> list[dict[str, Any]]:
    """Deliveries, newest first, with where they go."""
    query = (
        select(deliveries, endpoints.c.title, endpoints.c.disabled_at, endpoints.c.paused_until)
        .join(endpoints, endpoints.c.endpoint == deliveries.c.endpoint, isouter=True)
        .order_by(deliveries.c.place.desc())
        .limit(limit)
    )
    if status is not None:
        query = query.where(deliveries.c.status == status)
    if automation is not None:
        query = query.where(deliveries.c.automation == automation)
    return _dicts(store, query)


def shown(store: OpsStore, trigger_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A delivery with its trigger and its candidate, and every attempt, oldest first. Raises UsageError."""
    query = (
        select(
            deliveries,
            automation_triggers.c.fired_at,
            automation_triggers.c.occasion,
            automation_triggers.c.payload,
            automation_triggers.c.rule_version,
            trigger_decisions.c.occurred_at,
            endpoints.c.title,
            endpoints.c.disabled_at,
            endpoints.c.paused_until,
        )
        .join(automation_triggers, automation_triggers.c.trigger_id == deliveries.c.trigger_id)
        .join(trigger_decisions, trigger_decisions.c.trigger_id == deliveries.c.trigger_id)
        .join(endpoints, endpoints.c.endpoint == deliveries.c.endpoint, isouter=True)
        .where(deliveries.c.trigger_id == trigger_id)
    )
    found = _dicts(store, query)
    if not found:
        raise UsageError(f"No delivery has the id {trigger_id!r}: `eventpipe deliveries ls` lists them.")
    tried = select(delivery_attempts).where(delivery_attempts.c.trigger_id == trigger_id)
    return found[0], _dicts(store, tried.order_by(delivery_attempts.c.attempted_at, delivery_attempts.c.attempt))


def _dicts(store: OpsStore, query: Select[Any]) -> list[dict[str, Any]]:
    with store.read() as connection:
        return [dict(row._mapping) for row in connection.execute(query)]


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Of each contact's at one target, the first that is pending, when its time has come."""
    earlier = deliveries.alias("earlier")
    return and_(
        deliveries.c.status == "pending",
        deliveries.c.next_attempt_at <= now,
        ~exists().where(
            earlier.c.contact_id == deliveries.c.contact_id,
            earlier.c.status == "pending",
            earlier.c.endpoint == deliveries.c.endpoint,
            earlier.c.place < deliveries.c.place,
        ),
    )


def _may_be_sent(now: datetime) -> ColumnElement[bool]:
    """To a target that is neither disabled nor resting; one that no process has met yet is neither."""
    return ~exists().where(
        endpoints.c.endpoint == deliveries.c.endpoint,
        or_(endpoints.c.disabled_at.is_not(None), endpoints.c.paused_until > now),
    )
