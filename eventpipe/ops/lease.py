"""The lease that lets one run write to a project at a time (two runs at once; an orphan
still writes).

Two things keep writers apart. The *lease* keeps them from starting side by side: it is held by one run,
renewed by a heartbeat, and free again when released, when its process is seen to be dead on this host, or
when it expires. The *epoch* makes that safe: every acquisition raises it, and `Lease.check` inside each
commit's transaction refuses to commit under an epoch that is no longer the store's. So a wrong guess about
who is dead (a stopped process that wakes up, a clock that jumped) costs a run, never the data.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Update, select, update

from eventpipe.errors import LeaseHeld
from eventpipe.ops.faults import OpsStoreError
from eventpipe.ops.process import Process, this_process
from eventpipe.ops.store import OpsStore
from eventpipe.ops.tables import run_lease

WRITER = "writer"
DELIVERY = "delivery"
_DOES = {WRITER: "writing to this project", DELIVERY: "delivering triggers of this project"}
TTL = timedelta(seconds=60)
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_POLL = 0.5  # seconds between two looks at a lease that somebody holds

Clock = Callable[[], datetime]


class Fenced(LeaseHeld):
    """This run has lost its lease to another one. The transaction that found out was rolled back."""


@dataclass(frozen=True)
class Tenure:
    """The lease's row: the run that holds it and since when. `holder` is None when it is free."""

    epoch: int
    holder: str | None
    process: Process | None
    acquired_at: datetime | None
    renewed_at: datetime | None
    expires_at: datetime | None

    def __str__(self) -> str:
        if self.holder is None:
            return "no run"
        return f"run {self.holder} ({self.process}, since {_instant(self.acquired_at)})"


@dataclass(frozen=True)
class Lease:
    """The right of run `holder` to write, as long as the store's epoch is `epoch`."""

    store: OpsStore
    holder: str
    epoch: int
    ttl: timedelta
    now: Clock
    name: str = WRITER

    def check(self, connection: Connection) -> None:
        """Raises Fenced unless the lease is still ours; call it first in every transaction that commits work.

        `connection` comes from `OpsStore.begin`: until that transaction ends nobody can take the lease over.
        """
        # On PostgreSQL this locks the row against the FOR UPDATE of a taker, not against our own heartbeat.
        row = select(run_lease.c.epoch, run_lease.c.holder).where(run_lease.c.name == self.name)
        found = connection.execute(row.with_for_update(read=True, key_share=True)).one()
        if (found.epoch, found.holder) != (self.epoch, self.holder):
            raise Fenced(
                f"Run {self.holder} has lost its lease in {self.store.place}: it gave no sign of life for so "
                f"long that it passed for dead, and {_tenure(connection, self.name)} holds the lease now. What it was "
                "about to write was not written. The next run finishes the work; start one when none runs."
            )

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A writing transaction under this lease: checked when it begins (Fenced), renewed with its commit.

        The heartbeat cannot write to SQLite meanwhile; renewing with the commit makes up for that.
        """
        with self.store.begin() as connection:
            self.check(connection)
            yield connection
            self._renew(connection)

    def renew(self) -> None:
        """Gives a sign of life: the lease expires `ttl` from now. Raises Fenced."""
        with self.store.begin() as connection:
            self.check(connection)
            self._renew(connection)

    def hand_over(self, before: Connection, after: Connection, place: str) -> None:
        """Ends it for good, its store going over to `place`: nobody gets it here any more, and there epochs go on from it.

        `before` is of this store, `after` of the one there; both commit.
        """
        after.execute(update(run_lease).where(run_lease.c.name == self.name).values(epoch=self.epoch))
        before.execute(
            self._own().values(holder=f"of the store at {place}", host=place, pid=0, birth="", expires_at=_NEVER)
        )

    def release(self) -> None:
        """Gives the lease back. Does nothing when it is no longer ours, so it is safe in any `finally`."""
        with self.store.begin() as connection:
            connection.execute(self._own().values(holder=None, host=None, pid=None, birth=None, expires_at=None))

    @contextmanager
    def keep_alive(self) -> Iterator[None]:
        """Renews the lease every third of its `ttl` from a thread of its own, until the block ends.

        A renewal that fails is tried again at the next beat. When the lease is lost the thread ends, and
        the next `check` says so.
        """
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(self.ttl.total_seconds() / 3):
                try:
                    self.renew()
                except LeaseHeld:
                    return
                except OpsStoreError:
                    continue

        heartbeat = threading.Thread(target=beat, name="eventpipe-lease", daemon=True)
        heartbeat.start()
        try:
            yield
        finally:
            ended.set()
            heartbeat.join()

    def _renew(self, connection: Connection) -> None:
        now = self.now()
        connection.execute(self._own().values(renewed_at=now, expires_at=now + self.ttl))

    def _own(self) -> Update:
        ours = (
            run_lease.c.name == self.name,
            run_lease.c.epoch == self.epoch,
            run_lease.c.holder == self.holder,
        )
        return update(run_lease).where(*ours)


def acquire(
    store: OpsStore,
    holder: str,
    *,
    now: Clock,
    wait: timedelta,
    ttl: timedelta = TTL,
    sleep: Callable[[float], None] = time.sleep,
    process: Process | None = None,
    name: str = WRITER,
) -> Lease:
    """Acquires the lease of the writer, or of who delivers, for run `holder`, waiting at most `wait` (by the sum of its sleeps, not
    the clock).

    A free lease is taken at once, as is one whose process ended on this host (kill -9) or that has expired.
    So is one that showed no sign of life during a whole time to live of our own waiting, whatever its dates
    say: clocks step. `process` is the process that will hold it, by default this one.

    Raises LeaseHeld naming the run that holds it, since when, and what to do.
    """
    me = process or this_process()
    seen: Tenure | None = None
    seen_for = waited = 0.0
    while True:
        with store.read() as connection:
            current = _tenure(connection, name)
        if current != seen:
            seen, seen_for = current, 0.0
        if _is_takeable(current, me, now(), seen_for):
            lease = _take(store, current, Lease(store, holder, current.epoch + 1, ttl, now, name), me)
            if lease is not None:
                return lease
            continue  # somebody was faster, and now holds it
        pause = min(_POLL, wait.total_seconds() - waited)
        if pause <= 0:
            raise LeaseHeld(_refusal(current, _DOES[name], store.place, waited))
        sleep(pause)
        waited += pause
        seen_for += pause


def current(store: OpsStore, name: str = WRITER) -> Tenure:
    """Who holds the lease now, for `eventpipe status`."""
    with store.read() as connection:
        return _tenure(connection, name)


def _take(store: OpsStore, judged: Tenure, lease: Lease, me: Process) -> Lease | None:
    """Takes the lease as it was `judged`; None when it has changed since."""
    with store.begin() as connection:
        # Waits, on PostgreSQL, for a commit of the old holder that is under way; SQLite's transaction
        # already did.
        if _tenure(connection, lease.name, lock=True) != judged:
            return None
        at = lease.now()
        connection.execute(
            update(run_lease)
            .where(run_lease.c.name == lease.name)
            .values(
                epoch=lease.epoch,
                holder=lease.holder,
                host=me.host,
                pid=me.pid,
                birth=me.birth,
                acquired_at=at,
                renewed_at=at,
                expires_at=at + lease.ttl,
            )
        )
    return lease


def _tenure(connection: Connection, name: str, *, lock: bool = False) -> Tenure:
    query = select(run_lease).where(run_lease.c.name == name)
    row = connection.execute(query.with_for_update() if lock else query).one()
    process = None if row.holder is None else Process(host=row.host, pid=row.pid, birth=row.birth)
    return Tenure(row.epoch, row.holder, process, row.acquired_at, row.renewed_at, row.expires_at)


def _is_takeable(tenure: Tenure, me: Process, now: datetime, unchanged_for: float) -> bool:
    """`unchanged_for`: for how many seconds of our own waiting the row has not changed."""
    if tenure.process is None or tenure.expires_at is None or tenure.renewed_at is None:
        return True
    if tenure.expires_at <= now or tenure.process.is_gone(me):
        return True
    return unchanged_for >= (tenure.expires_at - tenure.renewed_at).total_seconds()


def _refusal(tenure: Tenure, does: str, place: str, waited: float) -> str:
    return (
        f"Another run is {does}: {tenure}, by the lease in {place}; its last sign of life "
        f"was at {_instant(tenure.renewed_at)}. Waited {waited:.0f} s; nothing was done. Start again when it "
        "has ended. If it is stuck, end that process: then the lease is free at once on that host, elsewhere "
        f"from {_instant(tenure.expires_at)}."
    )


def _instant(at: datetime | None) -> str:
    return "?" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"
