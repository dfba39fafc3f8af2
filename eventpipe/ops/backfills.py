"""Backfills and how far they got, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, insert, select, update

from eventpipe.errors import EventpipeError, UsageError
from eventpipe.ops.lease import Lease
from eventpipe.ops.tables import backfills


@dataclass(frozen=True)
class Backfill:
    """One backfill: landing dates from `from_date` to `to_date`, both included, and which are `done`."""

    backfill_id: str
    from_date: date
    to_date: date
    done: tuple[date, ...]
    started_at: datetime
    ended_at: datetime | None

    @property
    def days(self) -> list[date]:
        """Every landing date of the range, in order."""
        return [self.from_date + timedelta(days=n) for n in range((self.to_date - self.from_date).days + 1)]

    @property
    def remaining(self) -> list[date]:
        """The landing dates that are still to be done, in order."""
        done = set(self.done)
        return [day for day in self.days if day not in done]


@dataclass(frozen=True)
class Backfills:
    """The backfills of the store, written by the run that holds `lease`; each method is one transaction.

    Every method raises Fenced when the lease was lost.
    """

    lease: Lease

    def open_or_resume(self, from_date: date, to_date: date, *, now: datetime, restart: bool = False) -> Backfill:
        """The unfinished backfill of exactly this range, or a new one.

        A resumed one has its `done` days and its old `started_at`: say so to the user, for what has changed
        in those days' exports since is not landed again. `restart` ends it instead and begins anew.
        """
        if from_date > to_date:
            raise UsageError(f"A backfill from {from_date} to {to_date} has no day: give the earlier date as --from.")
        with self.lease.begin() as connection:
            same = (
                backfills.c.from_date == from_date,
                backfills.c.to_date == to_date,
                backfills.c.ended_at.is_(None),
            )
            if restart:
                connection.execute(update(backfills).where(*same).values(ended_at=now))
            open_one = select(backfills).where(*same).order_by(backfills.c.started_at.desc()).limit(1)
            row = connection.execute(open_one).one_or_none()
            if row is not None:
                return _backfill(row)
            backfill = Backfill(uuid4().hex, from_date, to_date, done=(), started_at=now, ended_at=None)
            connection.execute(
                insert(backfills).values(
                    backfill_id=backfill.backfill_id,
                    from_date=from_date,
                    to_date=to_date,
                    done=[],
                    started_at=now,
                )
            )
            return backfill

    def mark_done(self, backfill_id: str, *days: date) -> Backfill:
        """Records landing dates as done, once their exports are in the lake. Twice is as good as once."""
        with self.lease.begin() as connection:
            backfill = _get(connection, backfill_id)
            outside = sorted(set(days) - set(backfill.days))
            if outside:
                raise EventpipeError(f"{outside[0]} is no day of the backfill {_title(backfill)}.")
            done = _texts({*backfill.done, *days})
            connection.execute(update(backfills).where(backfills.c.backfill_id == backfill_id).values(done=done))
            return _get(connection, backfill_id)

    def finish(self, backfill_id: str, *, now: datetime) -> Backfill:
        """Ends a backfill whose days are all done; raises EventpipeError while some remain."""
        with self.lease.begin() as connection:
            backfill = _get(connection, backfill_id)
            if backfill.remaining:
                raise EventpipeError(
                    f"The backfill {_title(backfill)} cannot end: {len(backfill.remaining)} days remain, "
                    f"from {backfill.remaining[0]}. Start it again with the same dates to go on."
                )
            connection.execute(update(backfills).where(backfills.c.backfill_id == backfill_id).values(ended_at=now))
            return _get(connection, backfill_id)


def _get(connection: Connection, backfill_id: str) -> Backfill:
    row = connection.execute(select(backfills).where(backfills.c.backfill_id == backfill_id)).one_or_none()
    if row is None:
        raise EventpipeError(f"There is no backfill {backfill_id} in the ops store.")
    return _backfill(row)


def _backfill(row: Row[Any]) -> Backfill:
    values = dict(row._mapping)
    values["done"] = tuple(date.fromisoformat(day) for day in row.done)
    return Backfill(**values)


def _texts(days: Iterable[date]) -> list[str]:
    return [day.isoformat() for day in sorted(days)]


def _title(backfill: Backfill) -> str:
    return f"{backfill.from_date} to {backfill.to_date}"
