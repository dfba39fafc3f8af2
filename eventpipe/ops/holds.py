"""Events that the audit holds back, per source, until a person releases them.

A held event still lands and is published; what would be triggered by it waits. `all_held` is what triggers ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, insert, select, update

from eventpipe.errors import UsageError
from eventpipe.ops.lease import Lease
from eventpipe.ops.store import OpsStore
from eventpipe.ops.tables import holds as table


@dataclass(frozen=True)
class Breach:
    """A day on which an event of a source broke with its past."""

    source: str
    event_name: str
    day: date
    reason: str


@dataclass(frozen=True)
class Hold:
    """An event of a source that is held back for days `first_day` to `last_day`; open while `released_at` is None."""

    hold_id: str
    source: str
    event_name: str
    first_day: date
    last_day: date
    reason: str
    run_id: str
    opened_at: datetime
    released_at: datetime | None
    note: str | None


def held(connection: Connection, source: str, event_name: str) -> Hold | None:
    """The open hold on this event of this source; None: its triggers may fire."""
    found = connection.execute(
        select(table).where(table.c.source == source, table.c.event_name == event_name, table.c.released_at.is_(None))
    ).first()
    return None if found is None else _hold(found)


def all_held(connection: Connection) -> set[tuple[str, str]]:
    """The source and event name of every open hold."""
    query = select(table.c.source, table.c.event_name).where(table.c.released_at.is_(None))
    return {(row.source, row.event_name) for row in connection.execute(query)}


def open_holds(connection: Connection, lease: Lease, breaches: Sequence[Breach], *, now: datetime) -> list[Hold]:
    """Holds the event of each breach back, and lists the holds that are new.

    A breach that goes on makes its hold longer. A day that was held and released stays released. Raises Fenced.
    """
    lease.check(connection)
    opened = []
    for breach in sorted(breaches, key=lambda each: (each.source, each.event_name, each.day)):
        before = connection.execute(
            select(table)
            .where(table.c.source == breach.source, table.c.event_name == breach.event_name)
            .order_by(table.c.first_day)
        ).all()
        if any(row.first_day <= breach.day <= row.last_day for row in before):
            continue
        running = next((row for row in before if row.released_at is None), None)
        if running is not None:
            days = {"first_day": min(running.first_day, breach.day), "last_day": max(running.last_day, breach.day)}
            connection.execute(update(table).where(table.c.hold_id == running.hold_id).values(**days))
            continue
        hold = Hold(
            uuid4().hex[:12],
            breach.source,
            breach.event_name,
            breach.day,
            breach.day,
            breach.reason,
            lease.holder,
            now,
            None,
            None,
        )
        connection.execute(insert(table).values(**hold.__dict__))
        opened.append(hold)
    return opened


def release(
    connection: Connection,
    lease: Lease,
    name: str,
    *,
    source: str | None = None,
    note: str | None = None,
    now: datetime,
) -> list[Hold]:
    """Releases the open holds with this id or event name, of one source if given; what was held up to today is let go.

    Raises Fenced, and UsageError where there is no such hold.
    """
    lease.check(connection)
    found = [
        hold
        for hold in _all(connection, released=False)
        if name in (hold.hold_id, hold.event_name) and source in (None, hold.source)
    ]
    if not found:
        raise UsageError(f"Nothing is held under {name!r}: `eventpipe hold ls` lists ids and event names.")
    ids = [hold.hold_id for hold in found]
    connection.execute(update(table).where(table.c.hold_id.in_(ids)).values(released_at=now, note=note))
    return found


def list_holds(store: OpsStore, *, released: bool = False) -> list[Hold]:
    """The open holds, oldest first; with `released` those that were let go too."""
    with store.read() as connection:
        return _all(connection, released=released)


def _all(connection: Connection, *, released: bool) -> list[Hold]:
    query = select(table).order_by(table.c.opened_at, table.c.source, table.c.event_name)
    if not released:
        query = query.where(table.c.released_at.is_(None))
    return [_hold(row) for row in connection.execute(query)]


def _hold(row: Row[Any]) -> Hold:
    return Hold(**row._mapping)
