"""Erasures: who is being erased, what must not come back, and what the ops store itself has to forget.

What was decided about an erased person stays a fact without a person: counts of decisions and triggers are what they were,
under ids that lead nowhere. Writing takes the caller's transaction and a lease.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Connection, Row, Table, Update, delete, insert, select, update

from eventpipe.erasure.person import Person
from eventpipe.erasure.tombstones import NOBODY, Tombstones, new_key
from eventpipe.ops import memberships, removals
from eventpipe.ops.automations import OPEN
from eventpipe.ops.lease import Lease
from eventpipe.ops.store import OpsStore
from eventpipe.ops.tables import (
    automation_triggers,
    contact_id_changes,
    deliveries,
    delivery_attempts,
    tombstone_key,
    tombstones,
    trigger_decisions,
)

_CHUNK: Final = 900
"""Values of one statement: SQLite as it was long built takes no more than 999."""


@dataclass(frozen=True)
class Erasure:
    """The erasure of one person or several. `people` is empty once nothing of them is left; `receipt` is what was removed so far."""

    removal_id: str
    requested_at: datetime
    ended_at: datetime | None
    people: tuple[Person, ...]
    receipt: Mapping[str, Any]


def tombstones_in(store: OpsStore) -> Tombstones:
    """What must not come back; empty, and without a key, where nobody was erased."""
    with store.read() as connection:
        return _tombstones(connection)


def _tombstones(connection: Connection) -> Tombstones:
    key: bytes | None = connection.execute(select(tombstone_key.c.key).where(tombstone_key.c.number == 1)).scalar()
    if key is None:
        return NOBODY
    return Tombstones(key, frozenset(connection.execute(select(tombstones.c.digest)).scalars()))


def begin(connection: Connection, lease: Lease, people: Sequence[Person], *, now: datetime) -> None:
    """Records that people are to be erased, with the tombstones: from now on nothing of them lands. Raises Fenced."""
    lease.check(connection)
    known = _tombstones(connection)
    if not known.key:
        known = Tombstones(new_key())
        connection.execute(insert(tombstone_key).values(number=1, key=known.key))
    removal_id = removals.begin(connection, lease, "erase", [each.as_dict() for each in people], now=now)
    new: frozenset[str] = frozenset().union(*(digests(known, each) for each in people)) - known.digests
    for some in _chunks(sorted(new)):
        connection.execute(insert(tombstones), [{"digest": each, "removal_id": removal_id} for each in some])


def digests(key: Tombstones, person: Person) -> frozenset[str]:
    """Everything that is not to come back of a person, hashed."""
    world = person.workspace_id
    found = {key.of_event(world, each) for each in person.event_ids}
    for type, value in person.identifiers:
        found |= {key.of_identifier(world, type, value), *key.of_words(type, value)}
    return frozenset(found)


def listed(connection: Connection, *, unfinished: bool = False) -> list[Erasure]:
    """All erasures, or those that have not ended, in the order in which they were asked for."""
    return [
        Erasure(
            each.removal_id,
            each.requested_at,
            each.ended_at,
            tuple(Person.of(person) for person in each.work or ()),
            each.receipt,
        )
        for each in removals.listed(connection, "erase", unfinished=unfinished)
    ]


def forget(connection: Connection, lease: Lease, person: Person) -> dict[str, int]:
    """Takes somebody out of what was observed: deliveries and memberships go, decisions and triggers lose whom they were about.
    How many of each there were. Raises Fenced.
    """
    lease.check(connection)
    stones = _tombstones(connection)
    decisions = trigger_decisions.c
    # An event may have come to the contact by itself: what waits for it under another id waits for this person. What fired
    # under that id fired for somebody else.
    decided = {
        (row.automation, row.occasion): row
        for column, values in ((decisions.contact_id, person.contact_ids), (decisions.event_id, person.event_ids))
        for row in _found(connection, trigger_decisions, column, values)
        if row.contact_id in person.contact_ids or row.status in OPEN
    }
    fired = {
        row.trigger_id: row
        for row in _found(connection, automation_triggers, automation_triggers.c.contact_id, person.contact_ids)
    }
    _removed(connection, delivery_attempts, delivery_attempts.c.trigger_id, fired)
    counts = {
        "deliveries": _removed(connection, deliveries, deliveries.c.trigger_id, fired),
        "decisions": len(decided),
        "triggers": len(fired),
        "contact_id_changes": _removed(
            connection, contact_id_changes, contact_id_changes.c.from_contact_id, person.contact_ids
        )
        + _removed(connection, contact_id_changes, contact_id_changes.c.into_contact_id, person.contact_ids),
        "memberships": memberships.forget(connection, person.contact_ids),
    }
    for row in decided.values():
        connection.execute(_rewritten(trigger_decisions, row, _decision(row, stones)))
    for row in fired.values():
        connection.execute(_rewritten(automation_triggers, row, _trigger(row, stones)))
    return counts


def _found(connection: Connection, table: Table, column: Column[str], values: Collection[str]) -> Iterator[Row[Any]]:
    for some in _chunks(values):
        yield from connection.execute(select(table).where(column.in_(some))).all()


def _removed(connection: Connection, table: Table, column: Column[str], values: Collection[str]) -> int:
    return sum(connection.execute(delete(table).where(column.in_(some))).rowcount for some in _chunks(values))


def _decision(row: Row[Any], stones: Tombstones) -> dict[str, Any]:
    """A decision without a person; one that was still to be made is made."""
    made = {"status": "skipped", "reason": "erased"} if row.status in OPEN else {}
    return {
        **_nobody(row, stones),
        "event_id": None,
        "detail": None,
        "trigger_id": None if row.trigger_id is None else stones.pseudonym(row.trigger_id),
        **made,
    }


def _trigger(row: Row[Any], stones: Tombstones) -> dict[str, Any]:
    return {**_nobody(row, stones), "trigger_id": stones.pseudonym(row.trigger_id), "payload": "{}"}


def _nobody(row: Row[Any], stones: Tombstones) -> dict[str, Any]:
    return {"contact_id": stones.pseudonym(row.contact_id), "occasion": stones.pseudonym(row.occasion)}


def _rewritten(table: Table, row: Row[Any], values: Mapping[str, Any]) -> Update:
    key = [column == getattr(row, column.name) for column in table.primary_key]
    return update(table).where(*key).values(**values)


def _chunks(values: Collection[str]) -> Iterator[list[str]]:
    listed = list(values)
    for start in range(0, len(listed), _CHUNK):
        yield listed[start : start + _CHUNK]
