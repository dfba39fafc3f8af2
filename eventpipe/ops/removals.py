"""Removals: exports or people that are being taken out for good. Recorded before the first step and after the last, so that one
that was cut short is seen and finished.

Writing takes the caller's transaction and the run's lease.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args
from uuid import uuid4

from sqlalchemy import Connection, insert, null, select, update

from eventpipe.errors import EventpipeError
from eventpipe.ops.lease import Lease
from eventpipe.ops.tables import removals

RemovalKind = Literal["prune", "erase"]
KINDS: Final[tuple[RemovalKind, ...]] = get_args(RemovalKind)


@dataclass(frozen=True)
class Removal:
    """One removal. `work` is what it is about, None once that is out of every table; `receipt` what was removed so far."""

    removal_id: str
    kind: RemovalKind
    requested_at: datetime
    ended_at: datetime | None
    work: Any
    receipt: Mapping[str, Any]


def begin(connection: Connection, lease: Lease, kind: RemovalKind, work: object, *, now: datetime) -> str:
    """Records that something is to be removed; the removal's id. Raises Fenced."""
    lease.check(connection)
    removal_id = uuid4().hex
    connection.execute(
        insert(removals).values(
            removal_id=removal_id, kind=kind, requested_at=now, ended_at=None, work=work, receipt={}
        )
    )
    return removal_id


def listed(connection: Connection, kind: RemovalKind, *, unfinished: bool = False) -> list[Removal]:
    """All removals of a kind, or those that have not ended, in the order in which they were asked for."""
    query = select(removals).where(removals.c.kind == kind).order_by(removals.c.requested_at, removals.c.removal_id)
    if unfinished:
        query = query.where(removals.c.ended_at.is_(None))
    return [Removal(**row._mapping) for row in connection.execute(query)]


def refuse_while_unfinished(connection: Connection, but: RemovalKind | None = None) -> None:
    """What is half removed must not be taken for news: nothing may be decided about it, or sent. Raises EventpipeError, for
    removals of another kind than `but`."""
    query = select(removals.c.kind, removals.c.requested_at).where(removals.c.work.is_not(null()))
    if but is not None:
        query = query.where(removals.c.kind != but)
    begun = connection.execute(query.order_by(removals.c.requested_at).limit(1)).one_or_none()
    if begun is not None:
        what = "erasure" if begun.kind == "erase" else "prune"
        raise EventpipeError(
            f"The {what} that was asked for at {begun.requested_at:%Y-%m-%d %H:%M:%S} UTC has not ended: some of what it takes out "
            f"may still be there. Nothing was done. Call `eventpipe {begun.kind} --resume`, and start again."
        )


def note(connection: Connection, lease: Lease, removal_id: str, counts: Mapping[str, Any]) -> None:
    """Adds to what a removal has removed: numbers are added up, the rest is replaced. Raises Fenced."""
    lease.check(connection)
    query = select(removals.c.receipt).where(removals.c.removal_id == removal_id)
    stored: dict[str, Any] = connection.execute(query).scalar_one()
    added = {name: stored.get(name, 0) + value if isinstance(value, int) else value for name, value in counts.items()}
    connection.execute(update(removals).where(removals.c.removal_id == removal_id).values(receipt={**stored, **added}))


def let_go(connection: Connection, lease: Lease, removal_ids: Collection[str]) -> None:
    """Forgets what removals are about: nothing of it is in any table. Raises Fenced."""
    lease.check(connection)
    connection.execute(update(removals).where(removals.c.removal_id.in_(removal_ids)).values(work=null()))


def end(connection: Connection, lease: Lease, removal_ids: Collection[str], *, now: datetime) -> None:
    """Records that removals are done. Raises Fenced."""
    lease.check(connection)
    connection.execute(update(removals).where(removals.c.removal_id.in_(removal_ids)).values(ended_at=now))
